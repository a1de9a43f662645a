/** What of a fit waits for a host's memory. Reads the state of the pages, changes nothing. */
import type { PageOwner } from "./pages.ts";

/** Portions that have no room yet, and what the first of them needs beyond what its fit has pinned, bytes. */
export interface WaitingPortions {
  readonly count: number;
  readonly firstBytes: number;
}

/** Takes time by portions, of which there are never many more than pages, however many chunks share one. */
export function waitingPortions({ pages, portions }: PageOwner): WaitingPortions {
  const waiting = [...portions.values()].filter(({ isReserved }) => !isReserved);
  let firstBytes = 0;
  for (const id of waiting[0]?.pages ?? []) {
    const page = pages.get(id);
    if (page?.pins === 0) firstBytes += page.bytes;
  }
  return { count: waiting.length, firstBytes };
}
