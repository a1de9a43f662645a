/**
 * Who gets which chunks. Hosts hold leases of ranges: large ones first and small ones last (guided
 * self-scheduling, Polychronopoulos and Kuck 1987), so that the cost for the head grows with the logarithm
 * of the chunks and the hosts end together.
 */

import type { Range } from "../chunks.ts";
import { counted, mebibytes } from "../counted.ts";
import { RangeSet } from "../rangeSet.ts";
import { carefulAfterLosses, carefulPerHost, leastLeaseMs, shareOfPending } from "./limits.ts";
import { usualChunkMs } from "./pace.ts";
import {
  type AgentState,
  type Assignment,
  type JobState,
  priorityOf,
  slotLimitOf,
  slotsForMaps,
} from "./state.ts";
import { recallFor } from "./steal.ts";
import { note, type Turn } from "./turn.ts";

/** Opens the job on every host that may take part and has not. */
export function openEverywhere(turn: Turn, job: JobState): void {
  const opened: string[] = [];
  for (const host of turn.state.agents.values()) {
    if (job.slotsGranted >= slotLimitOf(job)) break;
    if (openWithout(turn, job, host)) opened.push(host.agent);
  }
  // Only now is it known how many share: the first would take half of everything.
  for (const agent of opened) lease(turn, job, agent);
}

/** Opens the job on a host, if it may take part there, and gives it a first lease. */
export function openOn(turn: Turn, job: JobState, host: AgentState): void {
  if (openWithout(turn, job, host)) lease(turn, job, host.agent);
}

/** Opens the job on a host without a lease; false where it may not take part there. */
function openWithout(turn: Turn, job: JobState, host: AgentState): boolean {
  const { agent } = host;
  if (job.phase !== "open" || job.request.actor !== undefined) return false;
  if (host.isDraining || host.phase !== "ready" || job.assignments.has(agent)) return false;
  if (job.refusals.has(agent) || job.deferrals.has(agent)) return false;
  const needed = job.request.memoryBytes ?? 0;
  if (needed > host.memoryBytes) {
    job.refusals.set(agent, whyTooLarge(needed, host.memoryBytes));
    return false;
  }
  const slots = Math.min(slotsForMaps(host), slotLimitOf(job) - job.slotsGranted);
  if (slots < 1) return false;
  const { epoch } = addAssignment(turn, job, agent, slots);
  const priority = priorityOf(job);
  turn.effects.push({ type: "OpenJob", agent, job: job.request.job, epoch, slots, priority });
  return true;
}

export function addAssignment(
  turn: Turn,
  job: JobState,
  agent: string,
  slots: number,
  leased = new RangeSet(),
): Assignment {
  const assignment: Assignment = {
    epoch: turn.state.nextEpoch++,
    slots,
    leased,
    recalled: undefined,
    isRecallFutile: false,
    progressMs: turn.nowMs,
  };
  job.assignments.set(agent, assignment);
  job.mayHaveSpare = true;
  job.slotsGranted += slots;
  note(turn, job, `opened on ${agent} with ${counted(slots, "slot")}`);
  return assignment;
}

/** Takes the job from a host. What the host held is pending again, unless another has it too. */
export function dropAssignment(turn: Turn, job: JobState, agent: string): Assignment | undefined {
  const assignment = job.assignments.get(agent);
  if (assignment === undefined) return undefined;
  job.assignments.delete(agent);
  job.hungry.delete(agent);
  job.slotsGranted -= assignment.slots;
  if (assignment.recalled !== undefined) job.recallsOpen--;
  if (assignment.leased.size > 0) {
    job.counts.lost++;
    note(turn, job, `${counted(assignment.leased.size, "chunk")} came back from ${agent}`);
  }
  for (const range of assignment.leased.ranges()) makePending(job, range);
  return assignment;
}

/** Lets go of a holder's claim on chunks: what a second host has as well stays with that. */
export function makePending(job: JobState, range: Range): void {
  job.pending.add(range);
  for (const elsewhere of job.backedUp.remove(range)) job.pending.remove(elsewhere);
}

/** Gives a host its next lease, or puts it among those who wait for one. */
export function lease(turn: Turn, job: JobState, agent: string): void {
  const assignment = job.assignments.get(agent);
  const host = turn.state.agents.get(agent);
  if (assignment === undefined || host === undefined || host.isDraining) return;
  job.hungry.delete(agent);
  const isHeldBack = host.phase === "away" || isOutranked(turn, job, agent);
  const taken = isHeldBack ? undefined : takeLease(job, assignment);
  if (taken === undefined) {
    job.hungry.add(agent);
    if (!isHeldBack) recallFor(turn, job);
    return;
  }
  grant(turn, job, agent, assignment, taken.chunks, taken.isCareful);
  if (job.pending.size === 0) feedOutranked(turn, job);
}

export function grant(
  turn: Turn,
  job: JobState,
  agent: string,
  assignment: Assignment,
  chunks: Range,
  isCareful: boolean,
): void {
  assignment.leased.add(chunks);
  assignment.progressMs = turn.nowMs;
  job.mayHaveSpare = true;
  job.firstLeaseMs ??= turn.nowMs;
  const { epoch } = assignment;
  turn.effects.push({ type: "Lease", agent, job: job.request.job, epoch, chunks, isCareful });
}

function takeLease(
  job: JobState,
  assignment: Assignment,
): { chunks: Range; isCareful: boolean } | undefined {
  const suspects = suspectsOf(job);
  const first =
    carefulRoom(job, assignment) > 0
      ? job.pending.firstFrom(0)
      : firstBeside(job.pending, suspects!);
  if (first === undefined) return undefined;
  const fairShare = (job.pending.size * assignment.slots) / job.slotsGranted;
  const notWorthLess = (leastLeaseMs / usualChunkMs(job)) * assignment.slots;
  let count = Math.max(
    1,
    Math.ceil(fairShare * shareOfPending),
    Math.ceil(Math.min(fairShare, notWorthLess)),
  );
  const suspect = suspects?.firstFrom(first);
  if (suspect !== undefined) count = suspect === first ? 1 : Math.min(count, suspect - first);
  return { chunks: takeFrom(job.pending, first, count), isCareful: suspect === first };
}

/** Chunks that were lost with so many hosts that they are run carefully; undefined where there are none. */
export const suspectsOf = (job: JobState): RangeSet | undefined =>
  job.losses[carefulAfterLosses - 1];

/** How many more suspects a host may have: they are slow, and others could be at them. */
export function carefulRoom(job: JobState, { leased }: Assignment): number {
  const suspects = suspectsOf(job)?.ranges() ?? [];
  return suspects.reduce((room, range) => room - leased.overlap(range), carefulPerHost);
}

/** Whether there is something pending that hosts may have: of suspects, those that wait have as many as they may. */
export function hasForHungry(job: JobState): boolean {
  const suspects = suspectsOf(job);
  if (suspects === undefined) return job.pending.size > 0;
  return firstBeside(job.pending, suspects) !== undefined;
}

/** The first of `set` that is not in `others`. */
function firstBeside(set: RangeSet, others: RangeSet): number | undefined {
  let at = set.firstFrom(0);
  for (const { start, end } of others.ranges()) {
    if (at === undefined || at < start) break;
    if (at < end) at = set.firstFrom(end);
  }
  return at;
}

/** Takes at most `count` consecutive chunks from `first` on, which is one of them. */
function takeFrom(pending: RangeSet, first: number, count: number): Range {
  if (pending.firstFrom(0) === first) return pending.takeFirst(count)!;
  const [taken, ...behind] = pending.remove({ start: first, end: first + count });
  for (const range of behind) pending.add(range);
  return taken;
}

/** Gives pending chunks to those who wait, those with least in hand first. */
export function feed(turn: Turn, job: JobState): void {
  if (job.pending.size === 0 || job.hungry.size === 0) return;
  const waiting = [...job.hungry].map((agent) => {
    const { leased, slots } = job.assignments.get(agent)!;
    return { agent, inHand: leased.size / slots };
  });
  // Where little is pending few get something, and to find those is less than to sort all.
  if (job.pending.size > waiting.length / 8) waiting.sort((a, b) => a.inHand - b.inHand);
  for (let at = 0; at < waiting.length && job.pending.size > 0; at++) {
    if (job.pending.size <= waiting.length / 8) leastForward(waiting, at);
    lease(turn, job, waiting[at].agent);
  }
}

/** Swaps the one with least in hand of those from `at` on to the front of them. */
function leastForward(waiting: { readonly inHand: number }[], at: number): void {
  let least = at;
  for (let i = at + 1; i < waiting.length; i++) {
    if (waiting[i].inHand < waiting[least].inHand) least = i;
  }
  [waiting[at], waiting[least]] = [waiting[least], waiting[at]];
}

/** Whether a job of higher priority has something for this host. */
export function isOutranked(turn: Turn, job: JobState, agent: string): boolean {
  if (turn.state.jobs.size === 1) return false;
  const priority = priorityOf(job);
  for (const other of turn.state.jobs.values()) {
    if (priorityOf(other) <= priority || other.pending.size === 0) continue;
    if (other.assignments.has(agent)) return true;
  }
  return false;
}

/** A job that wants nothing now, or that a host lets go of, no longer holds back those below it. */
export function feedOutranked(turn: Turn, job: JobState): void {
  const priority = priorityOf(job);
  for (const other of turn.state.jobs.values()) {
    if (priorityOf(other) < priority) feed(turn, other);
  }
}

/** The sentence for a job that a host has too little memory for. */
export function whyTooLarge(neededBytes: number, limitBytes: number): string {
  return `a chunk needs ${mebibytes(neededBytes)} of object memory, and the last worker asked may use ${mebibytes(limitBytes)}: use more chunks, or raise --object-memory where workers start`;
}
