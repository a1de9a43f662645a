/**
 * Whole signals and results of fits of this process. They are the user's, who drops them without a word; the system has
 * them back only when this thread collects its garbage, to which nothing in a heap of small objects drives it.
 */
import { ForgottenMemory } from "@fascicle/object-store";

const forgotten = new ForgottenMemory();
let endedBytes = 0;

/** A fit begins: what those before it had is nobody's any more, as like as not. */
export function forgetEndedFits(): void {
  const bytes = endedBytes;
  endedBytes = 0;
  forgotten.add(bytes);
}

/** A fit has ended that had these in shared memory. */
export function fitHasEnded(buffers: readonly SharedArrayBuffer[]): void {
  for (const { byteLength } of buffers) endedBytes += byteLength;
}
