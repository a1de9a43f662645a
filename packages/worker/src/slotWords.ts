/**
 * What each thread has in hand of one job, in shared memory, so that it is known however the thread ends: the chunks
 * that it claimed last, those it has done and not reported, and whether it is moving. One thread writes its own words;
 * the pool reads them, and clears them when the thread is gone.
 */
import type { Range } from "@fascicle/core";

/** A receipt is sent at the latest when a thread has this many separate ranges to report. */
export const unreportedRangesLimit = 120;

const at = {
  chunk: 0,
  chunkCount: 1,
  busy: 2,
  voxels: 3,
  beat: 4,
  batch: 5,
  rangeCount: 6,
  ranges: 7,
} as const;
const wordsPerSlot = at.ranges + 2 * unreportedRangesLimit;

export class SlotWords {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  static forSlots(slots: number): SlotWords {
    return new SlotWords(new SharedArrayBuffer(slots * wordsPerSlot * 4));
  }

  /** The thread is about to claim this chunk. */
  intend(slot: number, chunk: number): void {
    this.#set(slot, at.chunkCount, 1);
    this.#set(slot, at.chunk, chunk + 1);
    this.#set(slot, at.voxels, 0);
  }

  /** It is about to claim those that follow as well, one by one, so that it has so many in all. */
  intendMore(slot: number, count: number): void {
    this.#set(slot, at.chunkCount, count);
  }

  /** The chunks that the thread claimed, or tried to claim, last. */
  chunksOf(slot: number): Range {
    const start = Math.max(0, this.#get(slot, at.chunk) - 1);
    return { start, end: start + this.#get(slot, at.chunkCount) };
  }

  /**
   * From here on the thread may touch the job's memory. It must look at the board's cancel word afterwards: then
   * whoever cancels and finds the slot not busy knows that it never will be again.
   */
  enter(slot: number): void {
    this.#set(slot, at.busy, 1);
  }

  leave(slot: number): void {
    this.#set(slot, at.busy, 0);
  }

  isBusy(slot: number): boolean {
    return this.#get(slot, at.busy) === 1;
  }

  /** The thread hands a batch of voxels to the kernel, or has come back from one (0). */
  begin(slot: number, batchVoxels: number): void {
    this.#set(slot, at.batch, batchVoxels);
    this.#set(slot, at.beat, this.#get(slot, at.beat) + 1);
  }

  /** Changes with every batch. */
  beatOf(slot: number): number {
    return this.#get(slot, at.beat);
  }

  /** Voxels that the kernel is at; 0 where it is not running. */
  batchOf(slot: number): number {
    return this.#get(slot, at.batch);
  }

  /** Voxels of the claimed chunks that the thread has counted on the board, while it has not done one of them. */
  countVoxels(slot: number, count: number): void {
    this.#set(slot, at.voxels, count);
  }

  voxelsOf(slot: number): number {
    return this.#get(slot, at.voxels);
  }

  /** Notes chunks as done and not reported; says whether there is room for others. */
  note(slot: number, chunks: Range): boolean {
    const count = this.#get(slot, at.rangeCount);
    const end = at.ranges + 2 * count - 1;
    if (count > 0 && this.#get(slot, end) === chunks.start) {
      this.#set(slot, end, chunks.end);
      return true;
    }
    this.#set(slot, end + 1, chunks.start);
    this.#set(slot, end + 2, chunks.end);
    this.#set(slot, at.rangeCount, count + 1);
    return count + 1 < unreportedRangesLimit;
  }

  /** Done and not reported, as pairs of start and end. */
  unreportedOf(slot: number): number[] {
    const first = slot * wordsPerSlot + at.ranges;
    return [...this.#words.subarray(first, first + 2 * this.#get(slot, at.rangeCount))];
  }

  /** All that was done is reported. */
  reported(slot: number): void {
    this.#set(slot, at.rangeCount, 0);
  }

  /** Forgets what a thread had that is gone. */
  clear(slot: number): void {
    this.#words.fill(0, slot * wordsPerSlot, (slot + 1) * wordsPerSlot);
  }

  #get(slot: number, which: number): number {
    return Atomics.load(this.#words, slot * wordsPerSlot + which);
  }

  #set(slot: number, which: number, value: number): void {
    Atomics.store(this.#words, slot * wordsPerSlot + which, value);
  }
}
