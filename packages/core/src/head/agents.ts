/** Hosts that come, go, and come back. */
import { counted } from "../counted.ts";
import { RangeSet } from "../rangeSet.ts";
import { Story } from "../story.ts";
import { transition } from "../transitions.ts";
import { dispatchCall, loseActor, moveActor, placeActors } from "./actors.ts";
import type { HeadEvent } from "./events.ts";
import { failIfNobodyCan, failJob, freeRoom } from "./jobs.ts";
import {
  addAssignment,
  dropAssignment,
  feed,
  feedOutranked,
  lease,
  openEverywhere,
  openOn,
  whyTooLarge,
} from "./leases.ts";
import { lossesLimit } from "./limits.ts";
import { objectsLeft } from "./objects.ts";
import {
  type AgentState,
  agentTransitions,
  type JobState,
  jobsByPriority,
  slotLimitOf,
  slotsForMaps,
} from "./state.ts";
import { note, type Turn } from "./turn.ts";

type Joined = Extract<HeadEvent, { type: "AgentJoined" }>;

export function agentJoined(turn: Turn, event: Joined): void {
  const { agent, slots, memoryBytes = Number.POSITIVE_INFINITY, replaces } = event;
  const { agents, jobs } = turn.state;
  if (agents.has(agent)) throw new RangeError(`Agent ${agent} joined twice.`);
  // What its earlier self held must not go to others before it can say that it has it still.
  const complaints = replaces === undefined ? [] : complaintsOf(turn, replaces);
  const feedAll = replaces === undefined ? () => {} : remove(turn, replaces, false);
  for (const { job, refusal, hasFailed } of complaints) {
    if (refusal !== undefined) job.refusals.set(agent, refusal);
    if (hasFailed) job.kernelFailures.add(agent).delete(replaces!);
  }
  const host: AgentState = {
    agent,
    slots,
    memoryBytes,
    phase: "ready",
    isDraining: false,
    actors: new Set(),
    story: new Story(),
  };
  host.story.add(turn.nowMs, `joined with ${counted(slots, "slot")}`);
  agents.set(agent, host);
  for (const { job: id, ranges } of event.holds ?? []) {
    const job = jobs.get(id);
    if (job === undefined || !adopt(turn, job, host, ranges)) {
      turn.effects.push({ type: "CloseJob", agent, job: id });
    }
  }
  placeActors(turn);
  feedAll();
  for (const job of jobsByPriority(turn.state)) {
    openOn(turn, job, host);
    if (job.assignments.get(agent)?.leased.size === 0 && !job.hungry.has(agent)) {
      lease(turn, job, agent);
    }
    if (job.firstLeaseMs === undefined) failIfNobodyCan(turn, job);
  }
}

/** What a host said that it cannot run: it cannot under another name either. */
function complaintsOf(turn: Turn, agent: string) {
  return [...turn.state.jobs.values()].map((job) => ({
    job,
    refusal: job.refusals.get(agent),
    hasFailed: job.kernelFailures.has(agent),
  }));
}

/** Lets a host keep what it has of a job and nobody else does; false where it may have no part of it. */
function adopt(
  turn: Turn,
  job: JobState,
  host: AgentState,
  ranges: readonly { readonly start: number; readonly end: number }[],
): boolean {
  const { agent } = host;
  if (job.phase !== "open" || job.request.actor !== undefined || job.assignments.has(agent)) {
    return false;
  }
  if (job.refusals.has(agent)) return false;
  const needed = job.request.memoryBytes ?? 0;
  if (needed > host.memoryBytes) {
    job.refusals.set(agent, whyTooLarge(needed, host.memoryBytes));
    return false;
  }
  const slots = Math.min(slotsForMaps(host), slotLimitOf(job) - job.slotsGranted);
  if (slots < 1) return false;
  const kept = new RangeSet();
  for (const { start, end } of ranges) {
    const range = { start: Math.max(0, start), end: Math.min(end, job.request.chunkCount) };
    for (const free of job.pending.remove(range)) kept.add(free);
  }
  const { epoch } = addAssignment(turn, job, agent, slots, kept);
  job.firstLeaseMs ??= turn.nowMs;
  note(turn, job, `${agent} is back with ${counted(kept.size, "chunk")}`);
  const keeps = [...kept.ranges()];
  turn.effects.push({ type: "AdoptJob", agent, job: job.request.job, epoch, slots, keeps });
  if (job.pending.size === 0) feedOutranked(turn, job);
  return true;
}

export function agentAway(turn: Turn, agent: string): void {
  const host = turn.state.agents.get(agent);
  if (host?.phase !== "ready") return;
  host.phase = transition(agentTransitions, host.phase, "lose", `agent ${agent}`, host.story);
  host.story.add(turn.nowMs, "cannot be reached");
}

export function agentBack(turn: Turn, agent: string): void {
  const host = turn.state.agents.get(agent);
  if (host?.phase !== "away") return;
  host.phase = transition(agentTransitions, host.phase, "return", `agent ${agent}`, host.story);
  host.story.add(turn.nowMs, "is back");
  for (const job of jobsByPriority(turn.state)) {
    openOn(turn, job, host);
    if (job.hungry.has(agent)) lease(turn, job, agent);
    if (job.firstLeaseMs === undefined) failIfNobodyCan(turn, job);
  }
  for (const actor of [...host.actors]) dispatchCall(turn, actor);
  placeActors(turn);
}

export function agentDraining(turn: Turn, agent: string): void {
  const host = turn.state.agents.get(agent);
  if (host === undefined || host.isDraining) return;
  host.isDraining = true;
  host.story.add(turn.nowMs, "takes no new work");
  for (const job of turn.state.jobs.values()) job.hungry.delete(agent);
  for (const id of [...host.actors]) moveActor(turn, turn.state.actors.get(id)!);
}

export function agentLeft(turn: Turn, agent: string, isDeath: boolean): void {
  if (turn.state.agents.has(agent)) remove(turn, agent, isDeath)();
}

/** Takes a host out; the function that it gives back hands what the host had to others. */
function remove(turn: Turn, agent: string, isDeath: boolean): () => void {
  const { agents, jobs, actors } = turn.state;
  const host = agents.get(agent);
  if (host === undefined) return () => {};
  agents.delete(agent);
  for (const job of [...jobs.values()]) {
    job.refusals.delete(agent);
    job.deferrals.delete(agent);
    const assignment = dropAssignment(turn, job, agent);
    if (isDeath && assignment !== undefined) countLosses(job, assignment.leased);
  }
  for (const id of host.actors) loseActor(turn, actors.get(id)!, "its host left", true);
  objectsLeft(turn, agent);
  return () => {
    for (const job of jobsByPriority(turn.state)) {
      const hopeless = job.losses[lossesLimit - 1]?.firstFrom(0);
      if (hopeless !== undefined) {
        failJob(
          turn,
          job,
          `chunk ${hopeless} was lost with ${lossesLimit} workers, one after the other`,
        );
        continue;
      }
      openEverywhere(turn, job);
      feed(turn, job);
      feedOutranked(turn, job);
    }
    freeRoom(turn, [agent]);
  };
}

/** A death blames no chunk; but those that were there each time are run carefully in the end. */
function countLosses(job: JobState, lost: RangeSet): void {
  for (let level = lossesLimit - 1; level >= 0; level--) {
    const before = level === 0 ? undefined : job.losses[level - 1];
    if (level > 0 && before === undefined) continue;
    job.losses[level] ??= new RangeSet();
    for (const range of lost.ranges()) {
      const parts = before === undefined ? [range] : overlaps(before, range);
      for (const part of parts) job.losses[level].add(part);
    }
  }
}

function overlaps(set: RangeSet, { start, end }: { start: number; end: number }) {
  return set
    .ranges()
    .filter((range) => range.start < end && range.end > start)
    .map((range) => ({ start: Math.max(start, range.start), end: Math.min(end, range.end) }));
}
