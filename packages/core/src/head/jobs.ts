/** What happens to one job: submitted, settled range by range, refused, failed, complete. */

import type { Range } from "../chunks.ts";
import { counted } from "../counted.ts";
import { transition } from "../transitions.ts";
import { callReturned, dispatchCall, joinMailbox, leaveMailbox } from "./actors.ts";
import type { HeadEffect, HeadEvent, MapRequest } from "./events.ts";
import {
  dropAssignment,
  feed,
  feedOutranked,
  lease,
  makePending,
  openEverywhere,
  openOn,
} from "./leases.ts";
import {
  driverGraceMs,
  endedJobsKept,
  kernelFailuresLimit,
  memoryBackoffMs,
  memoryRetriesLimit,
  nobodyCanAnyMoreMs,
  nobodyCanMs,
} from "./limits.ts";
import { awaitObjects, objectMade, objectNotMade, promiseObject } from "./objects.ts";
import { type Assignment, type JobState, jobsByPriority, jobTransitions, newJob } from "./state.ts";
import { backUp, recallAnswered, recallFor } from "./steal.ts";
import { note, type Turn } from "./turn.ts";

export function jobSubmitted(turn: Turn, request: MapRequest): void {
  if (turn.state.jobs.has(request.job)) {
    throw new RangeError(`Job ${request.job} was submitted twice.`);
  }
  if ((request.makes ?? request.actor) !== undefined && request.chunkCount !== 1) {
    throw new RangeError(`Job ${request.job} is a task or a call, and those have one chunk.`);
  }
  const job = newJob(request, turn.nowMs);
  turn.state.jobs.set(request.job, job);
  note(turn, job, `submitted with ${counted(request.chunkCount, "chunk")}`);
  promiseObject(turn, request);
  if (!joinMailbox(turn, job)) return;
  const lost = awaitObjects(turn, job);
  if (lost !== undefined) failJob(turn, job, `object ${lost} is not there, and nothing makes it`);
  else if (job.missing.size === 0) begin(turn, job);
}

/** Opens a job that waits for nothing more. */
export function begin(turn: Turn, job: JobState): void {
  job.phase = transition(jobTransitions, job.phase, "unblock", nameOf(job), job.story);
  if (finishIfSettled(turn, job)) return;
  if (job.request.actor !== undefined) {
    dispatchCall(turn, job.request.actor);
    return;
  }
  openEverywhere(turn, job);
  failIfNobodyCan(turn, job);
}

/** Lets a job wait again: an object that it needs was lost. */
export function block(turn: Turn, job: JobState, object: string): void {
  job.missing.add(object);
  if (job.phase === "blocked") return;
  job.phase = transition(jobTransitions, job.phase, "block", nameOf(job), job.story);
  note(turn, job, `waits for object ${object}, which was lost`);
  closeEverywhere(turn, job);
  feedOutranked(turn, job);
}

/** Takes a job that goes on later from the hosts that have it: what that leaves is room for others. */
export function closeEverywhere(turn: Turn, job: JobState): void {
  const agents: string[] = [];
  for (const agent of [...job.assignments.keys()]) {
    dropAssignment(turn, job, agent);
    if (!turn.state.agents.has(agent)) continue;
    turn.effects.push({ type: "CloseJob", agent, job: job.request.job });
    agents.push(agent);
  }
  freeRoom(turn, agents);
}

export function rangeSettled(turn: Turn, job: JobState, agent: string, chunks: Range): void {
  const { start, end } = chunks;
  if (!(start >= 0 && start < end && end <= job.request.chunkCount)) {
    throw new RangeError(
      `Chunks [${start}, ${end}) are not in job ${job.request.job}, which has ${job.request.chunkCount}.`,
    );
  }
  settle(turn, job, chunks, agent);
  if (finishIfSettled(turn, job, agent)) return;
  const assignment = job.assignments.get(agent);
  if (assignment === undefined) return;
  assignment.progressMs = turn.nowMs;
  assignment.isRecallFutile = false;
  job.memoryFailures.delete(agent);
  const isHungry = job.hungry.has(agent);
  if (mayLease(job, agent, assignment)) lease(turn, job, agent);
  // It asked ahead of need, and there was nothing; now it is in need.
  if (assignment.leased.size < assignment.slots && isHungry) recallFor(turn, job);
}

/** Whether a host that has less than before may get something: one that waits had as many suspects as it may. */
function mayLease(job: JobState, agent: string, { leased }: Assignment): boolean {
  return job.hungry.has(agent) ? job.pending.size > 0 : leased.size === 0;
}

/** Takes chunks out of everybody's hands; tells those who held them. */
function settle(turn: Turn, job: JobState, chunks: Range, by: string | undefined): void {
  const { pending, settled, assignments, backedUp } = job;
  const size = chunks.end - chunks.start;
  const fresh = settled.add(chunks);
  const confirm = (agent: string) =>
    turn.effects.push({ type: "ConfirmSettled", agent, job: job.request.job, chunks });
  if (by !== undefined && turn.state.agents.has(by)) confirm(by);
  if (fresh === 0) return;
  job.lastSettledMs = turn.nowMs;
  turn.effects.push({ type: "RecordSettled", job: job.request.job, chunks });
  const own = by === undefined ? undefined : assignments.get(by)?.leased.remove(chunks);
  if (sizeOf(own ?? []) === size && !backedUp.intersects(chunks)) return;
  // Whoever else holds them (a copy, or what a lost host had and is pending or leased again) no longer has to.
  pending.remove(chunks);
  backedUp.remove(chunks);
  for (const [agent, assignment] of assignments) {
    if (agent === by || assignment.leased.remove(chunks).length === 0) continue;
    confirm(agent);
    if (mayLease(job, agent, assignment)) lease(turn, job, agent);
  }
  if (pending.size === 0) feedOutranked(turn, job);
}

export function rangesReturned(
  turn: Turn,
  job: JobState,
  agent: string,
  ranges: readonly Range[],
  isRecall: boolean,
): void {
  const { leased } = job.assignments.get(agent)!;
  let count = 0;
  for (const range of ranges) {
    for (const held of leased.remove(range)) {
      count += held.end - held.start;
      makePending(job, held);
    }
  }
  if (job.request.actor !== undefined) {
    callReturned(turn, job, job.request.actor);
    return;
  }
  if (isRecall) {
    recallAnswered(turn, job, agent, count);
  } else if (count > 0) {
    job.counts.lost++;
    note(turn, job, `${agent} handed back ${counted(count, "chunk")}`);
  }
  feed(turn, job);
  if (leased.size === 0 && !job.hungry.has(agent)) lease(turn, job, agent);
}

export function rangeFailed(
  turn: Turn,
  job: JobState,
  event: Extract<HeadEvent, { type: "RangeFailed" }>,
): void {
  switch (event.failure) {
    case "application":
      kernelFailed(turn, job, event.agent, event.reason);
      return;
    case "executor":
      jobRefused(turn, job, event.agent, event.reason);
      return;
    case "outOfMemory":
      memoryRanOut(turn, job, event.agent, event.reason);
  }
}

/** What a task or a call does is its own; of a map's kernel another host is asked before it is believed to be at fault. */
function kernelFailed(turn: Turn, job: JobState, agent: string, reason: string): void {
  job.kernelFailures.add(agent);
  const { makes, actor } = job.request;
  const isMap = (makes ?? actor) === undefined;
  const isBelieved = job.kernelFailures.size >= kernelFailuresLimit;
  if (isMap && !isBelieved && othersMayRun(turn, job, agent)) jobRefused(turn, job, agent, reason);
  else failJob(turn, job, reason, true);
}

function othersMayRun(turn: Turn, job: JobState, agent: string): boolean {
  for (const { agent: other, isDraining } of turn.state.agents.values()) {
    if (other !== agent && !isDraining && !job.refusals.has(other)) return true;
  }
  return false;
}

/** Lets a host rest that ran out of memory, twice as long each time; too often is too often. */
function memoryRanOut(turn: Turn, job: JobState, agent: string, reason: string): void {
  const failures = (job.memoryFailures.get(agent) ?? 0) + 1;
  if (job.request.actor !== undefined) {
    failJob(turn, job, reason);
    return;
  }
  if (failures > memoryRetriesLimit) {
    jobRefused(turn, job, agent, `memory ran out ${failures} times: ${reason}`);
    return;
  }
  job.memoryFailures.set(agent, failures);
  const restMs = memoryBackoffMs * 2 ** (failures - 1);
  dropAssignment(turn, job, agent);
  note(turn, job, `${agent} ran out of memory and rests for ${restMs / 1000} s: ${reason}`);
  turn.effects.push({ type: "CloseJob", agent, job: job.request.job });
  freeRoom(turn, [agent]);
  job.deferrals.set(agent, turn.nowMs + restMs);
  openEverywhere(turn, job);
  feed(turn, job);
  feedOutranked(turn, job);
}

export function jobDeferred(turn: Turn, job: JobState, agent: string): void {
  const { lost } = job.counts;
  dropAssignment(turn, job, agent);
  note(turn, job, `${agent} has no room for it beside its other jobs`);
  // The job it has no room beside may have ended while the word was under way: then there is room already.
  if (hasAssignment(turn, agent)) job.deferrals.set(agent, undefined);
  else freeRoom(turn, [agent]);
  if (job.request.actor !== undefined) {
    job.counts.lost = lost;
    callReturned(turn, job, job.request.actor);
    return;
  }
  openEverywhere(turn, job);
  feed(turn, job);
  feedOutranked(turn, job);
}

export function jobRefused(turn: Turn, job: JobState, agent: string, reason: string): void {
  if (job.request.actor !== undefined) {
    failJob(turn, job, reason);
    return;
  }
  dropAssignment(turn, job, agent);
  job.refusals.set(agent, reason);
  note(turn, job, `${agent} cannot run it: ${reason}`);
  turn.effects.push({ type: "CloseJob", agent, job: job.request.job });
  freeRoom(turn, [agent]);
  if (failIfNobodyCan(turn, job)) return;
  openEverywhere(turn, job);
  feed(turn, job);
  feedOutranked(turn, job);
}

/** Fails a job that every host refuses; true where it did. */
export function failIfNobodyCan(turn: Turn, job: JobState): boolean {
  if (turn.nowMs - job.submittedMs < (job.request.patienceMs ?? 0)) return false;
  const reason = whyNobodyCan(turn, job);
  if (reason === undefined) return false;
  failJob(turn, job, `no worker can run this fit: ${reason}`);
  return true;
}

/** Those that could have left, and none of them has come back; true where the job failed for it. */
function failIfNobodyCouldForLong(turn: Turn, job: JobState): boolean {
  if (whyNobodyCan(turn, job) === undefined) {
    job.nobodyCanSinceMs = undefined;
    return false;
  }
  job.nobodyCanSinceMs ??= turn.nowMs;
  const hasBegun = job.settled.size > job.settledBefore;
  const patienceMs = hasBegun ? nobodyCanAnyMoreMs : nobodyCanMs;
  return turn.nowMs - job.nobodyCanSinceMs >= patienceMs && failIfNobodyCan(turn, job);
}

function whyNobodyCan(turn: Turn, job: JobState): string | undefined {
  const { agents } = turn.state;
  if (agents.size === 0 || job.refusals.size < agents.size) return undefined;
  let last: string | undefined;
  for (const agent of agents.keys()) {
    last = job.refusals.get(agent);
    if (last === undefined) return undefined;
  }
  return last;
}

export function hasAssignment(turn: Turn, agent: string): boolean {
  for (const job of turn.state.jobs.values()) if (job.assignments.has(agent)) return true;
  return false;
}

/** What these hosts have let go of is room for the jobs that waited for it; a host that rests is not woken. */
export function freeRoom(turn: Turn, agents: Iterable<string>): void {
  const freed = [...agents];
  for (const job of jobsByPriority(turn.state)) {
    for (const agent of freed) {
      const host = turn.state.agents.get(agent);
      const isWaiting = job.deferrals.has(agent) && job.deferrals.get(agent) === undefined;
      if (!isWaiting) continue;
      job.deferrals.delete(agent);
      if (host === undefined) continue;
      if (job.request.actor === undefined) openOn(turn, job, host);
      else dispatchCall(turn, job.request.actor);
    }
  }
}

/** The driver has these; whatever else was on its way to it was lost, so hosts send again what they hold. */
export function driverBack(turn: Turn, job: JobState, settled: readonly Range[]): void {
  job.driverAwayMs = undefined;
  note(turn, job, "its driver is back");
  // All of it at first: what the driver has must not be leased on the way.
  for (const range of settled) job.pending.remove(range);
  for (const range of settled) settle(turn, job, range, undefined);
  if (finishIfSettled(turn, job)) return;
  for (const [agent, assignment] of [...job.assignments]) {
    if (assignment.recalled !== undefined) job.recallsOpen--;
    assignment.recalled = undefined;
    assignment.epoch = turn.state.nextEpoch++;
    assignment.progressMs = turn.nowMs;
    const { epoch, slots, leased } = assignment;
    const keeps = [...leased.ranges()];
    turn.effects.push({ type: "AdoptJob", agent, job: job.request.job, epoch, slots, keeps });
    if (leased.size === 0 && !job.hungry.has(agent)) lease(turn, job, agent);
  }
}

export function tickJob(turn: Turn, job: JobState): void {
  if (job.driverAwayMs !== undefined && turn.nowMs - job.driverAwayMs > driverGraceMs) {
    failJob(turn, job, `its driver was away for ${driverGraceMs / 1000} s`);
    return;
  }
  const wasPatient = job.request.patienceMs !== undefined && job.assignments.size === 0;
  if (wasPatient && failIfNobodyCan(turn, job)) return;
  if (failIfNobodyCouldForLong(turn, job)) return;
  for (const [agent, dueMs] of [...job.deferrals]) {
    if (dueMs === undefined || dueMs > turn.nowMs) continue;
    job.deferrals.delete(agent);
    openOn(turn, job, turn.state.agents.get(agent)!);
  }
  // While nobody takes results, every host looks slow.
  if (job.request.actor !== undefined || job.driverAwayMs !== undefined) return;
  // Who had nothing to hand back before may have now.
  recallFor(turn, job);
  backUp(turn, job);
}

/** Ends a job all of whose chunks are settled; true where it did. */
function finishIfSettled(turn: Turn, job: JobState, agent?: string): boolean {
  if (job.settled.size < job.request.chunkCount) return false;
  const { counts } = job;
  closeJob(turn, job, "complete", { type: "CompleteJob", job: job.request.job, counts });
  objectMade(turn, job.request, agent);
  return true;
}

export function failJob(turn: Turn, job: JobState, reason: string, isOfKernel?: boolean): void {
  const failed = { type: "FailJob", job: job.request.job, reason } as const;
  closeJob(turn, job, reason, isOfKernel ? { ...failed, isOfKernel } : failed);
  objectNotMade(turn, job, reason);
}

/** Takes a job from every host and out of the state. */
function closeJob(turn: Turn, job: JobState, outcome: string, ending: HeadEffect): void {
  const { state, effects } = turn;
  const id = job.request.job;
  state.jobs.delete(id);
  const agents = [...job.assignments.keys()];
  for (const agent of agents) effects.push({ type: "CloseJob", agent, job: id });
  effects.push(ending);
  job.assignments.clear();
  job.hungry.clear();
  note(turn, job, outcome);
  state.ended.push({ job: id, outcome, story: job.story });
  if (state.ended.length > endedJobsKept) state.ended.shift();
  if (job.request.actor !== undefined) leaveMailbox(turn, job.request.actor, id);
  freeRoom(turn, agents);
  feedOutranked(turn, job);
}

const nameOf = (job: JobState) => `job ${job.request.job}`;

const sizeOf = (ranges: readonly Range[]) =>
  ranges.reduce((sum, { start, end }) => sum + end - start, 0);
