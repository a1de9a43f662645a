/**
 * The head's scheduler: which host fits which chunks. A pure machine: it has no clock, no sockets and no
 * promises; `step` changes the state and pushes what must be done.
 *
 * A map over n chunks is one entry. Hosts hold leases of ranges of it: large ones first and small ones
 * last (guided self-scheduling, Polychronopoulos and Kuck 1987), so that the cost for the head grows
 * with the logarithm of n and the hosts end together.
 */
import type { Range } from "../chunks.ts";
import { RangeSet } from "../rangeSet.ts";
import type { HeadEffect, HeadEvent } from "./events.ts";
import { type Assignment, type HeadState, type JobState, newJob } from "./state.ts";

/** A lease is at most this fraction of a host's fair share of what is pending. */
const shareOfPending = 0.5;

/** Applies one event; effects are pushed in the order in which they must be carried out. */
export function stepHead(state: HeadState, event: HeadEvent, effects: HeadEffect[]): void {
  switch (event.type) {
    case "AgentJoined":
      state.agents.set(event.agent, { agent: event.agent, slots: event.slots, draining: false });
      for (const job of state.jobs.values()) assign(state, job, effects);
      return;
    case "AgentLeft":
      agentLeft(state, event.agent, effects);
      return;
    case "AgentDraining": {
      const agent = state.agents.get(event.agent);
      if (agent !== undefined) agent.draining = true;
      return;
    }
    case "JobSubmitted": {
      const job = newJob(event.request);
      state.jobs.set(event.request.job, job);
      assign(state, job, effects);
      return;
    }
    case "JobCancelled":
      closeJob(state, event.job, effects, {
        type: "FailJob",
        job: event.job,
        reason: event.reason,
      });
      return;
    default:
      stepJob(state, event, effects);
  }
}

type JobEvent = Extract<
  HeadEvent,
  {
    type:
      | "WorkWanted"
      | "RangeSettled"
      | "RangeReturned"
      | "RangeFailed"
      | "JobDeferred"
      | "JobRefused";
  }
>;

function stepJob(state: HeadState, event: JobEvent, effects: HeadEffect[]): void {
  const job = state.jobs.get(event.job);
  // A job that ended meanwhile: messages about it may still be under way and mean nothing now.
  if (job === undefined) return;
  switch (event.type) {
    case "WorkWanted":
      lease(state, job, event.agent, effects);
      return;
    case "RangeSettled":
      rangeSettled(state, job, event.agent, event.chunks, effects);
      return;
    case "RangeReturned": {
      const held = job.assignments.get(event.agent)?.leased.remove(event.chunks) ?? [];
      for (const range of held) job.pending.add(range);
      if (held.length > 0) job.lost++;
      assign(state, job, effects);
      return;
    }
    case "RangeFailed":
      closeJob(state, event.job, effects, {
        type: "FailJob",
        job: event.job,
        reason: event.reason,
      });
      return;
    case "JobDeferred":
      jobDeferred(state, job, event.agent, effects);
      return;
    case "JobRefused":
      jobRefused(state, job, event.agent, event.reason, effects);
      return;
  }
}

function agentLeft(state: HeadState, agent: string, effects: HeadEffect[]): void {
  state.agents.delete(agent);
  for (const job of state.jobs.values()) {
    const assignment = job.assignments.get(agent);
    job.refusals.delete(agent);
    job.deferrals.delete(agent);
    if (assignment === undefined) continue;
    job.assignments.delete(agent);
    reclaim(job, assignment);
    assign(state, job, effects);
  }
}

/** Makes the chunks of a lost assignment pending again. */
function reclaim(job: JobState, assignment: Assignment): void {
  if (assignment.leased.size > 0) job.lost++;
  for (const range of assignment.leased.ranges()) job.pending.add(range);
}

/** Opens the job on every host that may take part and has not, and gives each idle one a lease. */
function assign(state: HeadState, job: JobState, effects: HeadEffect[]): void {
  for (const { agent, slots, draining } of state.agents.values()) {
    if (draining || job.refusals.has(agent) || job.deferrals.has(agent)) continue;
    if (!job.assignments.has(agent)) {
      const granted = Math.min(slots, slotLimitOf(job) - slotsOf(job));
      if (granted < 1) continue;
      job.assignments.set(agent, { slots: granted, leased: new RangeSet(), isWaiting: false });
      effects.push({ type: "OpenJob", agent, job: job.request.job, slots: granted });
    }
  }
  for (const [agent, assignment] of job.assignments) {
    if (assignment.leased.size === 0 || assignment.isWaiting) lease(state, job, agent, effects);
  }
}

/** More slots than chunks would have nothing to do. */
function slotLimitOf({ request }: JobState): number {
  return Math.min(request.slotLimit ?? request.chunkCount, request.chunkCount);
}

/** Slots that the job holds over all hosts. */
function slotsOf(job: JobState): number {
  let slots = 0;
  for (const assignment of job.assignments.values()) slots += assignment.slots;
  return slots;
}

function lease(state: HeadState, job: JobState, agent: string, effects: HeadEffect[]): void {
  const assignment = job.assignments.get(agent);
  if (assignment === undefined || state.agents.get(agent)?.draining !== false) return;
  const share = (job.pending.size * assignment.slots * shareOfPending) / slotsOf(job);
  const chunks = job.pending.takeFirst(Math.max(1, Math.ceil(share)));
  assignment.isWaiting = chunks === undefined;
  if (chunks === undefined) return;
  assignment.leased.add(chunks);
  effects.push({ type: "Lease", agent, job: job.request.job, chunks });
}

function rangeSettled(
  state: HeadState,
  job: JobState,
  agent: string,
  chunks: Range,
  effects: HeadEffect[],
): void {
  assertInside(job, chunks);
  // Whoever else holds them (a lost agent's chunks may be pending or leased again) no longer has to.
  job.pending.remove(chunks);
  for (const assignment of job.assignments.values()) assignment.leased.remove(chunks);
  job.settled.add(chunks);
  if (state.agents.has(agent)) {
    effects.push({ type: "ConfirmSettled", agent, job: job.request.job, chunks });
  }
  if (job.settled.size === job.request.chunkCount) {
    closeJob(state, job.request.job, effects, {
      type: "CompleteJob",
      job: job.request.job,
      lost: job.lost,
    });
  } else if (job.pending.size > 0) {
    // What this settled may have been all that somebody held.
    assign(state, job, effects);
  }
}

function jobDeferred(state: HeadState, job: JobState, agent: string, effects: HeadEffect[]): void {
  const assignment = job.assignments.get(agent);
  if (assignment === undefined) return;
  job.assignments.delete(agent);
  // The job it has no room beside may have ended while the word was under way: then there is room already.
  if (hasAssignment(state, agent)) job.deferrals.add(agent);
  reclaim(job, assignment);
  assign(state, job, effects);
}

function hasAssignment(state: HeadState, agent: string): boolean {
  return [...state.jobs.values()].some((job) => job.assignments.has(agent));
}

/** What these agents have let go of is room for the jobs that waited for it. */
function freeRoom(state: HeadState, agents: Iterable<string>, effects: HeadEffect[]): void {
  const freed = [...agents];
  for (const job of state.jobs.values()) {
    const waited = freed.filter((agent) => job.deferrals.delete(agent));
    if (waited.length > 0) assign(state, job, effects);
  }
}

function jobRefused(
  state: HeadState,
  job: JobState,
  agent: string,
  reason: string,
  effects: HeadEffect[],
): void {
  const assignment = job.assignments.get(agent);
  if (assignment === undefined) return;
  job.assignments.delete(agent);
  job.refusals.set(agent, reason);
  reclaim(job, assignment);
  freeRoom(state, [agent], effects);
  const willing = [...state.agents.keys()].some((other) => !job.refusals.has(other));
  if (willing) {
    assign(state, job, effects);
    return;
  }
  closeJob(state, job.request.job, effects, {
    type: "FailJob",
    job: job.request.job,
    reason: `no worker can run this fit: ${reason}`,
  });
}

function closeJob(state: HeadState, id: string, effects: HeadEffect[], ending: HeadEffect): void {
  const job = state.jobs.get(id);
  if (job === undefined) return;
  state.jobs.delete(id);
  for (const agent of job.assignments.keys()) effects.push({ type: "CloseJob", agent, job: id });
  effects.push(ending);
  freeRoom(state, job.assignments.keys(), effects);
}

function assertInside(job: JobState, { start, end }: Range): void {
  if (!(start >= 0 && start < end && end <= job.request.chunkCount)) {
    throw new RangeError(
      `Chunks [${start}, ${end}) are not in job ${job.request.job}, which has ${job.request.chunkCount}.`,
    );
  }
}
