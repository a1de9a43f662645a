/**
 * The head's scheduler: which host fits which chunks. A pure machine: it has no clock, no sockets and no
 * promises; `stepHead` changes the state and pushes what must be done. A map over n chunks is one entry; a task
 * is a map with one chunk, and so is a call of an actor.
 */
import { actorCrashed, actorReleased, actorRequested, actorStarted } from "./actors.ts";
import { agentAway, agentBack, agentDraining, agentJoined, agentLeft } from "./agents.ts";
import type { HeadEffect, HeadEvent } from "./events.ts";
import {
  driverBack,
  failJob,
  jobDeferred,
  jobRefused,
  jobSubmitted,
  rangeFailed,
  rangeSettled,
  rangesReturned,
  tickJob,
} from "./jobs.ts";
import { lease } from "./leases.ts";
import { objectPut, objectReleased } from "./objects.ts";
import type { HeadState } from "./state.ts";
import { note, type Turn } from "./turn.ts";

/** Applies one event; effects are pushed in the order in which they must be carried out. */
export function stepHead(state: HeadState, event: HeadEvent, effects: HeadEffect[]): void {
  const turn: Turn = { state, nowMs: event.nowMs, effects };
  switch (event.type) {
    case "AgentJoined":
      agentJoined(turn, event);
      return;
    case "AgentAway":
      agentAway(turn, event.agent);
      return;
    case "AgentBack":
      agentBack(turn, event.agent);
      return;
    case "AgentLeft":
      agentLeft(turn, event.agent, event.isDeath);
      return;
    case "AgentDraining":
      agentDraining(turn, event.agent);
      return;
    case "JobSubmitted":
      jobSubmitted(turn, event.request);
      return;
    case "ObjectPut":
      objectPut(turn, event.object, event.holder);
      return;
    case "ObjectReleased":
      objectReleased(turn, event.object);
      return;
    case "ActorRequested":
      actorRequested(turn, event.actor, event.restarts);
      return;
    case "ActorStarted":
      actorStarted(turn, event.actor, event.incarnation);
      return;
    case "ActorCrashed":
      actorCrashed(turn, event.actor, event.incarnation, event.reason);
      return;
    case "ActorReleased":
      actorReleased(turn, event.actor, event.reason);
      return;
    case "Tick":
      for (const job of [...state.jobs.values()]) tickJob(turn, job);
      return;
    default:
      stepJob(turn, event);
  }
}

type JobEvent = Extract<HeadEvent, { readonly job: string }>;

function stepJob(turn: Turn, event: JobEvent): void {
  const job = turn.state.jobs.get(event.job);
  // A job that ended meanwhile: messages about it may still be under way and mean nothing now.
  if (job === undefined) return;
  switch (event.type) {
    case "JobCancelled":
      failJob(turn, job, event.reason);
      return;
    case "DriverAway":
      job.driverAwayMs ??= turn.nowMs;
      note(turn, job, "its driver cannot be reached");
      return;
    case "DriverBack":
      driverBack(turn, job, event.settled);
      return;
    case "RangeSettled":
      rangeSettled(turn, job, event.agent, event.chunks);
      return;
  }
  // Words about an earlier opening of the job on that host mean nothing either.
  if (job.assignments.get(event.agent)?.epoch !== event.epoch) return;
  switch (event.type) {
    case "WorkWanted":
      lease(turn, job, event.agent);
      return;
    case "RangesReturned":
      rangesReturned(turn, job, event.agent, event.ranges, event.isRecall);
      return;
    case "RangeFailed":
      rangeFailed(turn, job, event);
      return;
    case "JobDeferred":
      jobDeferred(turn, job, event.agent);
      return;
    case "JobRefused":
      jobRefused(turn, job, event.agent, event.reason);
      return;
  }
}
