/** One job in a worker thread: draws chunks from the job's board and fits them in place. */
import { chunkStart, type VoxelKernel } from "@fascicle/core";
import { ChunkBoard } from "./chunkBoard.ts";
import { type BufferOf, ownOrShared, PagedOutputs, PagedSignals } from "./pagedRows.ts";
import type { SlotWords } from "./slotWords.ts";
import { type FromThread, reasonOf, type ThreadJob } from "./threadMessages.ts";

/** Voxels between two looks at the cancel word. */
const batchVoxels = 32;
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
  readonly #batchVoxels: number;
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
    this.#batchVoxels = spec.voxelTimeoutMs === undefined ? batchVoxels : 1;
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
      const chunk = this.#board.isCancelled ? -1 : this.#board.claim(this.#slot, this.#words);
      if (chunk < 0) {
        this.#sendReceipt();
        this.#post({ type: "idle", job: this.#spec.job, generation });
        return false;
      }
      this.#tellIfLow(chunk);
      const begunMs = performance.now();
      if (!this.#fit(chunk)) continue;
      const nowMs = performance.now();
      this.#computeMs += nowMs - begunMs;
      const hasRoom = !this.#board.finish(chunk, this.#slot) || this.#words.note(this.#slot, chunk);
      if (hasRoom) this.reportIfDue(nowMs);
      else this.#sendReceipt();
      if (nowMs > untilMs) return true;
    }
  }

  /** Whoever fetches more must hear of it, once, while there is something to do. */
  #tellIfLow(chunk: number): void {
    const isLow = this.#board.runsLowAt(chunk);
    if (isLow && !this.#saidLow) this.#sendReceipt();
    this.#saidLow = isLow;
  }

  /** Fits one chunk; false where it was cancelled or the kernel threw. */
  #fit(chunk: number): boolean {
    const { voxelCount } = this.#spec;
    const { pageVoxels: signalPage } = this.#signals;
    const { pageVoxels: outputPage } = this.#outputs;
    const start = chunkStart(voxelCount, this.#board.chunkCount, chunk);
    const end = chunkStart(voxelCount, this.#board.chunkCount, chunk + 1);
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
      this.#post({ type: "threw", job: this.#spec.job, chunk, reason: reasonOf(error) });
      return false;
    } finally {
      this.#words.begin(this.#slot, 0);
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
