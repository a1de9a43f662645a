/**
 * Which chunks are to be fitted, by whom, and which are done: one word of shared memory for each chunk. Threads
 * draw indices from it without asking anyone.
 *
 * The word decides: a claim is a compare-and-exchange from `ready`, so that a chunk has one claimant, and what
 * a dead thread had claimed can be read off and made ready again. The hint only shortens the search.
 */

const word = { absent: 0, ready: 1, done: -1, firstClaim: 2 } as const;
const header = { cancelled: 0, hint: 1, voxelsDone: 2, words: 16 } as const;

/** Bytes of a board for `chunkCount` chunks. */
export const boardBytes = (chunkCount: number) => (header.words + chunkCount) * 4;

export class ChunkBoard {
  readonly #words: Int32Array;
  readonly chunkCount: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.chunkCount = this.#words.length - header.words;
  }

  /** Opens chunks `[start, end)` to be drawn. */
  makeReady(start: number, end: number): void {
    for (let index = start; index < end; index++) {
      Atomics.store(this.#words, header.words + index, word.ready);
    }
    this.rewindTo(start);
  }

  /** Lets the next search begin at `index` or before. */
  rewindTo(index: number): void {
    for (;;) {
      const hint = Atomics.load(this.#words, header.hint);
      if (hint <= index) return;
      if (Atomics.compareExchange(this.#words, header.hint, hint, index) === hint) return;
    }
  }

  /** Takes the first ready chunk for `slot`; -1 where there is none. */
  claim(slot: number): number {
    const hint = Atomics.load(this.#words, header.hint);
    for (let index = hint; index < this.chunkCount; index++) {
      const at = header.words + index;
      if (Atomics.load(this.#words, at) !== word.ready) continue;
      if (this.#exchange(at, word.ready, word.firstClaim + slot)) {
        // If it was moved meanwhile, whoever moved it knows better.
        Atomics.compareExchange(this.#words, header.hint, hint, index + 1);
        return index;
      }
    }
    return -1;
  }

  /** Marks a claimed chunk done; false where the claim no longer stands. */
  finish(index: number, slot: number): boolean {
    return this.#exchange(header.words + index, word.firstClaim + slot, word.done);
  }

  isDone(index: number): boolean {
    return Atomics.load(this.#words, header.words + index) === word.done;
  }

  /** Takes a ready chunk off the board (to hand it back); false where it is claimed, done or absent. */
  withdraw(index: number): boolean {
    return this.#exchange(header.words + index, word.ready, word.absent);
  }

  /** Chunks that `slot` has claimed and not finished. Only one thread's death calls for this. */
  claimedBy(slot: number): number[] {
    const claimed: number[] = [];
    for (let index = 0; index < this.chunkCount; index++) {
      if (Atomics.load(this.#words, header.words + index) === word.firstClaim + slot) {
        claimed.push(index);
      }
    }
    return claimed;
  }

  hasReady(): boolean {
    for (let index = 0; index < this.chunkCount; index++) {
      if (Atomics.load(this.#words, header.words + index) === word.ready) return true;
    }
    return false;
  }

  /** Stops every thread at its next voxel batch. */
  cancel(): void {
    Atomics.store(this.#words, header.cancelled, 1);
  }

  get isCancelled(): boolean {
    return Atomics.load(this.#words, header.cancelled) === 1;
  }

  /** Counts fitted voxels, chunks under way included. */
  addVoxels(count: number): void {
    Atomics.add(this.#words, header.voxelsDone, count);
  }

  get voxelsDone(): number {
    return Atomics.load(this.#words, header.voxelsDone);
  }

  #exchange(at: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, at, from, to) === from;
  }
}
