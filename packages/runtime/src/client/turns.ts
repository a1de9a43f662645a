/** Lets so many at a time, in the order in which they came. */
import { abortReason } from "../errors.ts";

export class Turns {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Resolves when it is the caller's turn, with what ends it; rejects with the reason of `signal`. */
  async next(signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted) throw abortReason(signal);
    if (this.#running < this.#limit) this.#running++;
    else await this.#wait(signal);
    return () => this.#hand();
  }

  /** Gives a turn that ends to whoever waits longest. */
  #hand(): void {
    const [first] = this.#waiting;
    this.#waiting.delete(first);
    if (first === undefined) this.#running--;
    else first();
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    let begin = () => {};
    let onAbort = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        begin = resolve;
        onAbort = () => {
          // No turn may go to one that has left.
          this.#waiting.delete(begin);
          reject(abortReason(signal!));
        };
        this.#waiting.add(begin);
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    } finally {
      this.#waiting.delete(begin);
      signal?.removeEventListener("abort", onAbort);
    }
  }
}
