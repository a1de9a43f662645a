/** Watches the threads of a job whose voxels have a time-out. It runs outside them: a kernel that loops cannot stop it. */
import { lateTimerMs, watchIntervalMs } from "./limits.ts";
import type { SlotWords } from "./slotWords.ts";

export class VoxelWatch {
  readonly #words: SlotWords;
  readonly #timeoutMs: number;
  readonly #onOverdue: (slot: number) => void;
  readonly #beats: number[];
  /** By slot: when its beat was last seen to have changed. */
  readonly #movedMs: number[];
  readonly #timer: NodeJS.Timeout;
  readonly #intervalMs: number;
  #lookedMs = performance.now();

  /** `onOverdue` is called for a slot whose batch has taken longer than `timeoutMs` for each of its voxels. */
  constructor(
    words: SlotWords,
    slots: number,
    timeoutMs: number,
    onOverdue: (slot: number) => void,
  ) {
    this.#words = words;
    this.#timeoutMs = timeoutMs;
    this.#onOverdue = onOverdue;
    this.#beats = new Array<number>(slots).fill(0);
    this.#movedMs = new Array<number>(slots).fill(this.#lookedMs);
    const { least, most } = watchIntervalMs;
    this.#intervalMs = Math.min(most, Math.max(least, timeoutMs / 4));
    this.#timer = setInterval(() => this.#look(performance.now()), this.#intervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(nowMs: number): void {
    // Where this process stood still, so did its threads.
    const stoodStill = nowMs - this.#lookedMs > this.#intervalMs + lateTimerMs;
    this.#lookedMs = nowMs;
    for (const [slot, seen] of this.#beats.entries()) {
      const beat = this.#words.beatOf(slot);
      const voxels = this.#words.batchOf(slot);
      if (beat !== seen || voxels === 0 || stoodStill) {
        this.#beats[slot] = beat;
        this.#movedMs[slot] = nowMs;
      } else if (nowMs - this.#movedMs[slot] > voxels * this.#timeoutMs) {
        this.#movedMs[slot] = nowMs;
        this.#onOverdue(slot);
      }
    }
  }
}
