/** Where the time of a whole command goes: phases that follow each other without a gap. */
import type { CommandSeconds } from "../fit/receipt.ts";

export type CommandPhase = keyof Omit<CommandSeconds, "total">;

export class CommandClock {
  readonly #now: () => number;
  readonly #seconds = { starting: 0, reading: 0, binding: 0, fit: 0, writing: 0 };
  #phase: CommandPhase = "starting";
  #sinceMs = 0;

  /** `now`: milliseconds since the process began. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The present phase ends and this one begins. */
  begin(phase: CommandPhase): void {
    const nowMs = this.#now();
    this.#seconds[this.#phase] += (nowMs - this.#sinceMs) / 1000;
    this.#phase = phase;
    this.#sinceMs = nowMs;
  }

  /** Until now; the phases add up to `total`. */
  get seconds(): CommandSeconds {
    this.begin(this.#phase);
    return { ...this.#seconds, total: this.#sinceMs / 1000 };
  }
}
