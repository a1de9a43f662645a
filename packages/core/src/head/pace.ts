import type { JobState } from "./state.ts";

/** How long a slot has been at a chunk on average so far; infinite where that is not known yet. Milliseconds. */
export function usualChunkMs(job: JobState): number {
  const run = job.settled.size - job.settledBefore;
  if (run <= 0 || job.firstLeaseMs === undefined) return Number.POSITIVE_INFINITY;
  return ((job.lastSettledMs - job.firstLeaseMs) * job.slotsGranted) / run;
}
