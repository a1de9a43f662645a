/** One job in a worker thread: draws chunks from the job's board and fits them in place. */
import { chunkStart, type OutputView, type VoxelKernel } from "@fascicle/core";
import { nextBatch, outputView, signalView } from "@fascicle/object-store";
import { ChunkBoard } from "./chunkBoard.ts";
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
  readonly #slabs: readonly (Float32Array | Float64Array)[];
  readonly #outputs: readonly OutputView[];
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
    post: (message: FromThread) => void,
  ) {
    this.#spec = spec;
    this.#kernel = kernel;
    this.#slot = slot;
    this.#words = words;
    this.#post = post;
    this.#board = new ChunkBoard(spec.board);
    this.#slabs = spec.signals.slabs.map((slab) => signalView(spec.signals.dtype, slab));
    this.#outputs = spec.outputs.map(({ dtype, buffer }) => outputView(dtype, buffer));
    // With a time-out, one voxel must be told from the next.
    this.#batchVoxels = spec.voxelTimeoutMs === undefined ? batchVoxels : 1;
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
    const { voxelCount, signals } = this.#spec;
    const start = chunkStart(voxelCount, this.#board.chunkCount, chunk);
    const end = chunkStart(voxelCount, this.#board.chunkCount, chunk + 1);
    let voxel = start;
    try {
      while (voxel < end) {
        if (this.#board.isCancelled) return false;
        const batch = nextBatch(voxel, end, signals.voxelsPerSlab, this.#batchVoxels);
        this.#words.begin(this.#slot, batch.count);
        this.#kernel.fit(this.#slabs[batch.slab], batch.first, batch.count, this.#outputs, voxel);
        voxel += batch.count;
        this.#board.addVoxels(batch.count);
        this.#words.countVoxels(this.#slot, voxel - start);
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
