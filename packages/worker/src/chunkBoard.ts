/**
 * Which chunks are to be fitted, by whom, and which are done: one word of shared memory for each chunk. Threads
 * draw indices from it without asking anyone.
 *
 * The word decides: a claim is a compare-and-exchange from `ready`, so that a chunk has one claimant, and what
 * a dead thread had claimed can be made ready again. The hint only shortens the search: no chunk before it is
 * ready, unless some thread is just about to put it back (see `claim`).
 */
import type { Range } from "@fascicle/core";
import type { SlotWords } from "./slotWords.ts";

const word = { absent: 0, ready: 1, done: -1, firstClaim: 2 } as const;
const header = {
  cancelled: 0,
  hint: 1,
  voxelsDone: 2,
  generation: 3,
  chunksAhead: 4,
  words: 16,
} as const;

/** The claimant of chunks that run outside the threads; no thread has this number. */
export const carefulSlot = 2 ** 20;

/** Bytes of a board for `chunkCount` chunks. */
export const boardBytes = (chunkCount: number) => (header.words + chunkCount) * 4;

export class ChunkBoard {
  readonly #words: Int32Array;
  readonly chunkCount: number;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.chunkCount = this.#words.length - header.words;
  }

  /**
   * Opens chunks `[start, end)` to be drawn. Those that somebody is at or has done stay his. Only the thread that owns
   * the board calls this.
   */
  makeReady(start: number, end: number): void {
    for (let index = start; index < end; index++) this.#exchange(index, word.absent, word.ready);
    this.#added(start);
  }

  /** Those of the chunks `[start, end)` that are done may be done again. */
  clearDone(start: number, end: number): void {
    for (let index = start; index < end; index++) this.#exchange(index, word.done, word.absent);
  }

  /** How often chunks were added: who searched in vain before the last time has to search again. */
  get generation(): number {
    return Atomics.load(this.#words, header.generation);
  }

  /** Lets the next search begin at 0, as after the death of a thread that may have left the hint too far. */
  searchAgain(): void {
    this.#added(0);
  }

  /**
   * Takes the first ready chunk for `slot`, and those that follow it as long as they are ready, `most` in all; the words
   * of the slot in `slots` say which. Gives the first; -1 where there is none.
   */
  claim(slot: number, slots: SlotWords, most = 1): number {
    for (;;) {
      const generation = this.generation;
      const hint = Atomics.load(this.#words, header.hint);
      const index = this.#takeFrom(hint, slot, slots);
      const end = index < 0 ? this.chunkCount : this.#takeMore(index, slot, slots, most);
      // If it was moved meanwhile, whoever moved it knows better.
      if (end > hint) Atomics.compareExchange(this.#words, header.hint, hint, end);
      if (this.generation !== generation) {
        // Chunks were added, perhaps behind this search and before the hint was moved past them.
        this.#rewindTo(hint);
        if (index < 0) continue;
      }
      return index;
    }
  }

  /** Marks a claimed chunk done; false where the claim no longer stands. */
  finish(index: number, slot: number): boolean {
    return this.#exchange(index, word.firstClaim + slot, word.done);
  }

  /** Whoever fills the board wants to hear when no more than this many chunks are left to draw; 0 for nobody does. */
  set chunksAhead(count: number) {
    Atomics.store(this.#words, header.chunksAhead, count);
  }

  /** Whether so few are left behind the chunk that was just drawn. */
  runsLowAt(index: number): boolean {
    const ahead = Atomics.load(this.#words, header.chunksAhead);
    if (ahead === 0) return false;
    const at = index + ahead;
    return at >= this.chunkCount || Atomics.load(this.#words, header.words + at) !== word.ready;
  }

  isDone(index: number): boolean {
    return Atomics.load(this.#words, header.words + index) === word.done;
  }

  isClaimedBy(index: number, slot: number): boolean {
    return Atomics.load(this.#words, header.words + index) === word.firstClaim + slot;
  }

  /** Those of the chunks `[start, end)` that somebody is at, or has done. */
  begun(start: number, end: number): Range[] {
    const ranges: { start: number; end: number }[] = [];
    for (let index = start; index < end; index++) {
      const state = Atomics.load(this.#words, header.words + index);
      if (state < word.firstClaim && state !== word.done) continue;
      const last = ranges.at(-1);
      if (last?.end === index) last.end = index + 1;
      else ranges.push({ start: index, end: index + 1 });
    }
    return ranges;
  }

  /** Hands a claim on from one slot to another; false where `from` has none. */
  transfer(index: number, from: number, to: number): boolean {
    return this.#exchange(index, word.firstClaim + from, word.firstClaim + to);
  }

  /** Makes a claimed chunk ready again; false where `slot` has not claimed it. */
  giveBack(index: number, slot: number): boolean {
    if (!this.#exchange(index, word.firstClaim + slot, word.ready)) return false;
    this.#added(index);
    return true;
  }

  /** Claims a chunk for the careful slot, ready or not; false where somebody has it, or has done it. */
  claimCarefully(index: number): boolean {
    const claim = word.firstClaim + carefulSlot;
    return [word.ready, word.absent].some((from) => this.#exchange(index, from, claim));
  }

  /** Takes a ready chunk off the board (to hand it back); false where it is claimed, done or absent. */
  withdraw(index: number): boolean {
    return this.#exchange(index, word.ready, word.absent);
  }

  /** Takes every chunk of `[start, end)` that nobody has begun off the board; gives what it took, in order. */
  withdrawTail(start: number, end: number): Range[] {
    const taken: { start: number; end: number }[] = [];
    // From the end: threads draw from the front.
    for (let index = end - 1; index >= start; index--) {
      if (!this.withdraw(index)) continue;
      const last = taken.at(-1);
      if (last?.start === index + 1) last.start = index;
      else taken.push({ start: index, end: index + 1 });
    }
    return taken.reverse();
  }

  /** Stops every thread at its next voxel batch. */
  cancel(): void {
    Atomics.store(this.#words, header.cancelled, 1);
  }

  get isCancelled(): boolean {
    return Atomics.load(this.#words, header.cancelled) === 1;
  }

  /** Counts fitted voxels, chunks under way included; a negative count takes back those of a lost chunk. */
  addVoxels(count: number): void {
    Atomics.add(this.#words, header.voxelsDone, count);
  }

  get voxelsDone(): number {
    return Atomics.load(this.#words, header.voxelsDone);
  }

  /** Claims the first ready chunk from `from` on; -1 where there is none. */
  #takeFrom(from: number, slot: number, slots: SlotWords): number {
    for (let index = from; index < this.chunkCount; index++) {
      if (Atomics.load(this.#words, header.words + index) !== word.ready) continue;
      // Said before it is done: should the thread die in between, nobody has to search for what it had.
      slots.intend(slot, index);
      if (this.#exchange(index, word.ready, word.firstClaim + slot)) return index;
    }
    return -1;
  }

  /** Claims what is ready right behind `first`, which is claimed; gives the end of it all. */
  #takeMore(first: number, slot: number, slots: SlotWords, most: number): number {
    const last = Math.min(first + most, this.chunkCount);
    let end = first + 1;
    if (end >= last) return end;
    slots.intendMore(slot, last - first);
    while (end < last && this.#exchange(end, word.ready, word.firstClaim + slot)) end++;
    slots.intendMore(slot, end - first);
    return end;
  }

  /** Chunks from `start` on are ready: first the count, then the hint, so that a search under way sees one of them. */
  #added(start: number): void {
    Atomics.add(this.#words, header.generation, 1);
    this.#rewindTo(start);
  }

  #rewindTo(index: number): void {
    for (;;) {
      const hint = Atomics.load(this.#words, header.hint);
      if (hint <= index) return;
      if (Atomics.compareExchange(this.#words, header.hint, hint, index) === hint) return;
    }
  }

  #exchange(index: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, header.words + index, from, to) === from;
  }
}
