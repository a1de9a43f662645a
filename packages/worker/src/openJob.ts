/** One job in a worker thread: draws chunks from the job's board and fits them in place. */
import { type Range, type VoxelKernel, voxelsOfChunks } from "@fascicle/core";
import { ChunkBoard } from "./chunkBoard.ts";
import { type BufferOf, ownOrShared, PagedOutputs, PagedSignals } from "./pagedRows.ts";
import type { SlotWords } from "./slotWords.ts";
import { type FromThread, reasonOf, type ThreadJob } from "./threadMessages.ts";

/**
 * Voxels that a kernel gets at a time, between two looks at the cancel word: kernels work on several side by side, and
 * do so badly where they get few. So it is more than the least where they are quick, and chunks of fewer voxels are
 * drawn several at a time.
 */
const batchVoxels = { least: 32, most: 128 } as const;
/** No more voxels at a time than take about this long, beyond the least; and no more chunks. */
const batchMs = 2;
/** Receipts are sent this often at most, and when little or nothing is left to draw. */
const receiptIntervalMs = 200;

export class OpenJob {
  readonly #spec: ThreadJob;
  readonly #kernel: VoxelKernel;
  readonly #slot: number;
  readonly #words: SlotWords;
  readonly #post: (message: FromThread) => void;
  readonly #board: ChunkBoard;
  readonly #signals: PagedSignals;
  readonly #outputs: PagedOutputs;
  #batchVoxels: number;
  /** Chunks to draw next; one until it is known how long they take. */
  #chunksAtOnce = 1;
  /** What a voxel took in the last draw. */
  #voxelMs = Number.POSITIVE_INFINITY;
  /** It has said that the board runs low. */
  #saidLow = false;
  #computeMs = 0;
  #lastReceiptMs = performance.now();

  constructor(
    spec: ThreadJob,
    kernel: VoxelKernel,
    slot: number,
    words: SlotWords,
    sharedSlab: BufferOf,
    post: (message: FromThread) => void,
  ) {
    this.#spec = spec;
    this.#kernel = kernel;
    this.#slot = slot;
    this.#words = words;
    this.#post = post;
    this.#board = new ChunkBoard(spec.board);
    const bufferOf = ownOrShared(spec.slabs, sharedSlab);
    const { voxelCount, signals, outputs, outputPageVoxels } = spec;
    this.#signals = new PagedSignals(signals, voxelCount, bufferOf);
    this.#outputs = new PagedOutputs(outputs, outputPageVoxels, voxelCount, bufferOf);
    // With a time-out, one voxel must be told from the next.
    this.#batchVoxels = spec.voxelTimeoutMs === undefined ? batchVoxels.least : 1;
  }

  /** Bytes of shared memory that no other job has. */
  get ownBytes(): number {
    return this.#spec.slabs.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Fits chunks until `untilMs` or until there is none; says whether there may be more. */
  work(untilMs: number): boolean {
    this.#words.enter(this.#slot);
    const mayBeMore = this.#work(untilMs);
    this.#words.leave(this.#slot);
    return mayBeMore;
  }

  /** Tells what it has done if that has waited long enough. */
  reportIfDue(nowMs: number): void {
    if (nowMs - this.#lastReceiptMs > receiptIntervalMs) this.#sendReceipt();
  }

  #work(untilMs: number): boolean {
    for (;;) {
      const { generation } = this.#board;
      const first = this.#board.isCancelled
        ? -1
        : this.#board.claim(this.#slot, this.#words, this.#chunksAtOnce);
      if (first < 0) {
        this.#sendReceipt();
        this.#post({ type: "idle", job: this.#spec.job, generation });
        return false;
      }
      const chunks = this.#words.chunksOf(this.#slot);
      this.#tellIfLow(chunks.end - 1);
      const begunMs = performance.now();
      if (!this.#fit(chunks)) continue;
      const nowMs = performance.now();
      this.#computeMs += nowMs - begunMs;
      this.#learn(nowMs - begunMs, chunks);
      this.#finish(chunks);
      this.reportIfDue(nowMs);
      if (nowMs > untilMs) return true;
    }
  }

  /** These chunks took so long: how many voxels, and chunks, to take at a time from now on. */
  #learn(ms: number, { start, end }: Range): void {
    if (this.#spec.voxelTimeoutMs !== undefined) return;
    const chunkVoxels = this.#spec.voxelCount / this.#board.chunkCount;
    const voxelMs = ms / (end - start) / chunkVoxels;
    // The lesser of two: one in which the system let somebody else run tells nothing of voxels.
    const usualMs = Math.min(voxelMs, this.#voxelMs);
    this.#voxelMs = voxelMs;
    const { least, most } = batchVoxels;
    const voxels = Math.floor(Math.min(most, batchMs / usualMs));
    this.#batchVoxels = Math.max(least, voxels);
    this.#chunksAtOnce = Math.max(1, Math.floor(voxels / Math.ceil(chunkVoxels)));
  }

  /** These chunks are done, but for those whose claim no longer stands. */
  #finish({ start, end }: Range): void {
    // What is done of several must not be taken back with the rest, should the thread end in between.
    if (end - start > 1) this.#words.countVoxels(this.#slot, 0);
    let first = start;
    for (let chunk = start; chunk < end; chunk++) {
      if (this.#board.finish(chunk, this.#slot)) continue;
      this.#note(first, chunk);
      first = chunk + 1;
    }
    this.#note(first, end);
  }

  #note(start: number, end: number): void {
    if (start < end && !this.#words.note(this.#slot, { start, end })) this.#sendReceipt();
  }

  /** Whoever fetches more must hear of it, once, while there is something to do. */
  #tellIfLow(chunk: number): void {
    const isLow = this.#board.runsLowAt(chunk);
    if (isLow && !this.#saidLow) this.#sendReceipt();
    this.#saidLow = isLow;
  }

  /** Fits these chunks; false where it was cancelled or the kernel threw. */
  #fit(chunks: Range): boolean {
    const { voxelCount } = this.#spec;
    const { pageVoxels: signalPage } = this.#signals;
    const { pageVoxels: outputPage } = this.#outputs;
    const { start, end } = voxelsOfChunks(voxelCount, this.#board.chunkCount, chunks);
    let voxel = start;
    try {
      while (voxel < end) {
        // Pages are looked up once for all batches in them: that costs more than a small batch.
        const page = Math.floor(voxel / signalPage);
        const outputsPage = Math.floor(voxel / outputPage);
        const spanEnd = Math.min(end, (page + 1) * signalPage, (outputsPage + 1) * outputPage);
        const signals = this.#signals.page(page);
        const outputs = this.#outputs.page(outputsPage);
        const row = voxel - page * signalPage;
        const outputRow = voxel - outputsPage * outputPage;
        for (const first = voxel; voxel < spanEnd; ) {
          if (this.#board.isCancelled) return false;
          const count = Math.min(this.#batchVoxels, spanEnd - voxel);
          this.#words.begin(this.#slot, count);
          const done = voxel - first;
          this.#kernel.fit(signals, row + done, count, outputs, outputRow + done);
          voxel += count;
          this.#board.addVoxels(count);
          this.#words.countVoxels(this.#slot, voxel - start);
        }
      }
      return true;
    } catch (error) {
      this.#board.addVoxels(start - voxel);
      this.#words.countVoxels(this.#slot, 0);
      if (chunks.end - chunks.start > 1) this.#fitEachAlone(chunks);
      else {
        const chunk = chunks.start;
        this.#post({ type: "threw", job: this.#spec.job, chunk, reason: reasonOf(error) });
      }
      return false;
    } finally {
      this.#words.begin(this.#slot, 0);
    }
  }

  /** One of these chunks makes the kernel throw: the others have nothing to do with it. */
  #fitEachAlone({ start, end }: Range): void {
    for (let chunk = start; chunk < end; chunk++) {
      const alone = { start: chunk, end: chunk + 1 };
      if (this.#fit(alone)) this.#finish(alone);
    }
  }

  #sendReceipt(): void {
    this.#lastReceiptMs = performance.now();
    const ranges = this.#words.unreportedOf(this.#slot);
    if (ranges.length === 0) return;
    const computeSeconds = this.#computeMs / 1000;
    this.#post({ type: "receipt", job: this.#spec.job, ranges, computeSeconds });
    this.#words.reported(this.#slot);
    this.#computeMs = 0;
  }
}
