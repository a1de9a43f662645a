/**
 * Shared memory that a thread holds no more. The system has it back only once each thread that ever held the buffer
 * has collected its garbage, and engines put that off for a long time, since buffers look small from within.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** A thread collects its garbage when it has let go of this much since the last time (a collection takes milliseconds). */
export const forgottenBytesLimit = 64 << 20;

let collect: ((options?: { type: "minor" }) => void) | undefined;

/** Collects this thread's garbage, whole, at once, and gives back the memory of buffers that were found dead. */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as typeof collect;
  }
  collect?.();
  // The first only marks buffers and leaves them to a sweep in the background; the second, a cheap one, waits for it.
  collect?.({ type: "minor" });
}

/** Counts what one thread has let go of, and collects its garbage when that is worth it. One for each thread. */
export class ForgottenMemory {
  readonly limitBytes: number;
  #bytes = 0;

  constructor(limitBytes = forgottenBytesLimit) {
    this.limitBytes = limitBytes;
  }

  /** Bytes let go of since the last collection. */
  get bytes(): number {
    return this.#bytes;
  }

  /** This thread has dropped its last reference to a buffer of so many bytes. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= this.limitBytes) this.flush();
  }

  /** Gives back what there is, now: at the end of a fit, say. */
  flush(): void {
    if (this.#bytes === 0) return;
    this.#bytes = 0;
    collectGarbage();
  }
}
