/** Cures for the tail of a job: work that one host holds and has not begun goes to idle ones; slow chunks get a copy. */
import type { Range } from "../chunks.ts";
import { counted } from "../counted.ts";
import { carefulRoom, grant, hasForHungry, isOutranked, suspectsOf } from "./leases.ts";
import { slowAfterChunks, slowAfterMs } from "./limits.ts";
import { usualChunkMs } from "./pace.ts";
import type { Assignment, JobState } from "./state.ts";
import { note, type Turn } from "./turn.ts";

/** Asks the host that has most in hand for the tail of it, if somebody is idle and nothing is on its way already. */
export function recallFor(turn: Turn, job: JobState): void {
  if (hasForHungry(job) || !job.mayHaveSpare || !isAnyoneIdle(turn, job)) return;
  let victim: string | undefined;
  let most = 0;
  job.mayHaveSpare = false;
  for (const [agent, assignment] of job.assignments) {
    const spare = assignment.leased.size - assignment.slots;
    job.mayHaveSpare ||= spare > 0;
    if (spare <= most || assignment.recalled !== undefined || assignment.isRecallFutile) continue;
    if (turn.state.agents.get(agent)?.phase !== "ready") continue;
    victim = agent;
    most = spare;
  }
  if (victim === undefined) return;
  const assignment = job.assignments.get(victim)!;
  const chunks = tailOf(assignment, Math.ceil(most / 2));
  assignment.recalled = chunks;
  job.recallsOpen++;
  const { epoch } = assignment;
  turn.effects.push({ type: "Recall", agent: victim, job: job.request.job, epoch, chunks });
}

/** Whether more hosts wait with slots free than there are recalls open; those that asked ahead of need are not idle. */
function isAnyoneIdle(turn: Turn, job: JobState): boolean {
  let count = 0;
  for (const agent of job.hungry) {
    const { leased, slots } = job.assignments.get(agent)!;
    if (leased.size >= slots || turn.state.agents.get(agent)?.phase !== "ready") continue;
    if (!isOutranked(turn, job, agent) && ++count > job.recallsOpen) return true;
  }
  return false;
}

/** The last chunks of a lease, at most `count` and in one range. */
function tailOf({ leased }: Assignment, count: number): Range {
  const { start, end } = leased.ranges().at(-1)!;
  return { start: Math.max(start, end - count), end };
}

/** A host answered a recall: with ranges that are pending again, or with nothing. */
export function recallAnswered(turn: Turn, job: JobState, agent: string, chunks: number): void {
  const assignment = job.assignments.get(agent);
  if (assignment?.recalled === undefined) return;
  assignment.recalled = undefined;
  assignment.isRecallFutile = chunks === 0;
  job.recallsOpen--;
  if (chunks > 0) {
    job.counts.stolen++;
    note(turn, job, `${counted(chunks, "chunk")} recalled from ${agent} for idle hosts`);
  }
  recallFor(turn, job);
}

/**
 * Gives copies of slow chunks to idle hosts: whoever is first wins. A chunk is slow when its host has settled
 * nothing for a few times what chunks usually take, or cannot be reached.
 */
export function backUp(turn: Turn, job: JobState): void {
  if (hasForHungry(job) || job.hungry.size === 0 || job.recallsOpen > 0) return;
  const limitMs = slowLimitMs(job);
  const slow = [...job.assignments].filter(
    ([agent, { leased, progressMs }]) =>
      leased.size > 0 &&
      (turn.nowMs - progressMs > limitMs || turn.state.agents.get(agent)?.phase === "away"),
  );
  slow.sort(([, a], [, b]) => a.progressMs - b.progressMs);
  for (const [holder, { leased }] of slow) {
    for (const range of [...leased.ranges()]) copyRange(turn, job, holder, range);
  }
}

/** Spreads the chunks of a range that have no copy yet over the idle hosts, at most one for each of their slots. */
function copyRange(turn: Turn, job: JobState, holder: string, range: Range): void {
  for (const agent of [...job.hungry]) {
    const assignment = job.assignments.get(agent);
    const host = turn.state.agents.get(agent);
    if (agent === holder || assignment === undefined || host?.phase !== "ready") continue;
    if (isOutranked(turn, job, agent)) continue;
    const start = firstWithout(job, range);
    if (start === undefined) return;
    // What took hosts down before is no less a suspect for being given out as a copy.
    const isCareful = suspectsOf(job)?.intersects({ start, end: start + 1 }) ?? false;
    const freeSlots = assignment.slots - assignment.leased.size;
    const room = isCareful ? Math.min(1, freeSlots, carefulRoom(job, assignment)) : freeSlots;
    if (room < 1) continue;
    const next = job.backedUp.firstFrom(start) ?? range.end;
    const suspect = isCareful ? undefined : suspectsOf(job)?.firstFrom(start);
    const end = Math.min(range.end, next, suspect ?? range.end, start + room);
    const chunks = { start, end };
    job.hungry.delete(agent);
    job.backedUp.add(chunks);
    job.counts.backups += end - start;
    note(turn, job, `${end - start} slow chunks of ${holder} copied to ${agent}`);
    grant(turn, job, agent, assignment, chunks, isCareful);
  }
}

/** The first chunk of a range that has no copy. */
function firstWithout(job: JobState, { start, end }: Range): number | undefined {
  let at = start;
  for (const copied of job.backedUp.ranges()) {
    if (copied.end <= at) continue;
    if (copied.start > at) break;
    at = copied.end;
  }
  return at < end ? at : undefined;
}

const slowLimitMs = (job: JobState) => Math.max(slowAfterMs, slowAfterChunks * usualChunkMs(job));
