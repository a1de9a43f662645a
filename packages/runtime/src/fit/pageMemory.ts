/** Memory for pages, used again by the next fit of this process. */
import { SlabPool } from "@fascicle/object-store";
import { forgetSlab } from "./local.ts";

let idle: SlabPool | undefined;

/** A pool of this many bytes that no other fit has. */
export function borrowPageMemory(limitBytes: number): SlabPool {
  const found = idle;
  idle = undefined;
  if (found?.limitBytes === limitBytes) return found;
  found?.trim();
  // Slabs are dropped between fits, too, and threads stay.
  return new SlabPool(limitBytes, { onDrop: forgetSlab });
}

/** The fit has ended and nothing can touch its pages any more. */
export function returnPageMemory(pool: SlabPool): void {
  idle?.trim();
  // One that a fit could not clear has less room than it says.
  idle = pool.usedBytes === 0 ? pool : undefined;
}
