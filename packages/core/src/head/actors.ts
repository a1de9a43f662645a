/** Actors: a slot of their own on one host, and calls that run there one after the other, in order. */

import { Story } from "../story.ts";
import { transition } from "../transitions.ts";
import { closeEverywhere, failJob } from "./jobs.ts";
import { addAssignment, grant, openOn } from "./leases.ts";
import {
  type ActorState,
  type AgentState,
  actorTransitions,
  type JobState,
  jobsByPriority,
  priorityOf,
  slotsForMaps,
} from "./state.ts";
import type { Turn } from "./turn.ts";

export function actorRequested(turn: Turn, id: string, restarts: number): void {
  if (turn.state.actors.has(id)) throw new RangeError(`Actor ${id} was asked for twice.`);
  const actor: ActorState = {
    actor: id,
    phase: "waiting",
    agent: undefined,
    incarnation: 0,
    restartsLeft: restarts,
    mailbox: [],
    isBusy: false,
    story: new Story(),
  };
  turn.state.actors.set(id, actor);
  place(turn, actor);
}

/** Gives slots to the actors that wait for one. */
export function placeActors(turn: Turn): void {
  for (const actor of turn.state.actors.values()) place(turn, actor);
}

/** Puts a waiting actor on the host with most room. */
function place(turn: Turn, actor: ActorState): void {
  if (actor.phase !== "waiting") return;
  let best: AgentState | undefined;
  for (const host of turn.state.agents.values()) {
    if (host.isDraining || host.phase !== "ready" || slotsForMaps(host) < 1) continue;
    if (best === undefined || slotsForMaps(host) > slotsForMaps(best)) best = host;
  }
  if (best === undefined) return;
  best.actors.add(actor.actor);
  actor.agent = best.agent;
  actor.incarnation++;
  change(actor, "place");
  actor.story.add(turn.nowMs, `started on ${best.agent}`);
  const { agent } = best;
  const { actor: id, incarnation } = actor;
  turn.effects.push({ type: "StartActor", agent, actor: id, incarnation });
}

export function actorStarted(turn: Turn, id: string, incarnation: number): void {
  const actor = turn.state.actors.get(id);
  if (actor?.incarnation !== incarnation || actor.phase !== "starting") return;
  change(actor, "start");
  actor.story.add(turn.nowMs, "is alive");
  dispatchCall(turn, id);
}

export function actorCrashed(turn: Turn, id: string, incarnation: number, reason: string): void {
  const actor = turn.state.actors.get(id);
  if (actor?.incarnation === incarnation) loseActor(turn, actor, reason, true);
}

export function actorReleased(turn: Turn, id: string, reason: string): void {
  const actor = turn.state.actors.get(id);
  if (actor === undefined) return;
  const { agent } = actor;
  stop(turn, actor);
  endActor(turn, actor, reason);
  slotFreed(turn, agent);
}

/** Gives the slot of an actor to those that wait for one, and, if they leave it, its host to maps. */
function slotFreed(turn: Turn, agent: string | undefined): void {
  placeActors(turn);
  const host = turn.state.agents.get(agent ?? "");
  if (host === undefined) return;
  for (const job of jobsByPriority(turn.state)) openOn(turn, job, host);
}

/** A host is gone, or crashed an actor: it is started elsewhere while it has restarts left. */
export function loseActor(turn: Turn, actor: ActorState, reason: string, costs: boolean): void {
  const { agent } = actor;
  vacate(turn, actor);
  if (actor.phase !== "waiting") change(actor, "lose");
  actor.story.add(turn.nowMs, reason);
  const call = actor.isBusy ? turn.state.jobs.get(actor.mailbox[0]) : undefined;
  actor.isBusy = false;
  if (costs && --actor.restartsLeft < 0) {
    turn.effects.push({ type: "ActorDied", actor: actor.actor, reason });
    endActor(turn, actor, reason);
  } else {
    if (call !== undefined) loseCall(turn, actor, call, reason);
    place(turn, actor);
  }
  slotFreed(turn, agent);
}

/** A call was under way when its actor died: nobody knows how far it came, so it is made again only if that was asked for. */
function loseCall(turn: Turn, actor: ActorState, call: JobState, reason: string): void {
  // Where the actor alone died, its host still has the call.
  closeEverywhere(turn, call);
  if (call.counts.lost > (call.request.retries ?? 0)) {
    failJob(turn, call, `actor ${actor.actor} died under this call: ${reason}`);
  }
}

/** Takes a place in the mailbox of the call's actor; false where there is none and the call failed. True for other jobs. */
export function joinMailbox(turn: Turn, job: JobState): boolean {
  const id = job.request.actor;
  if (id === undefined) return true;
  const actor = turn.state.actors.get(id);
  if (actor === undefined) {
    failJob(turn, job, `actor ${id} is not there`);
    return false;
  }
  actor.mailbox.push(job.request.job);
  return true;
}

/** Sends the first call of a mailbox, if the actor can take it. */
export function dispatchCall(turn: Turn, id: string): void {
  const actor = turn.state.actors.get(id);
  if (actor === undefined || actor.phase !== "alive" || actor.isBusy) return;
  const call = turn.state.jobs.get(actor.mailbox[0]);
  const host = turn.state.agents.get(actor.agent!);
  if (call?.phase !== "open" || host?.phase !== "ready" || call.deferrals.has(host.agent)) return;
  if (host.isDraining) {
    moveActor(turn, actor);
    return;
  }
  actor.isBusy = true;
  const { agent } = host;
  const assignment = addAssignment(turn, call, agent, 1);
  const { epoch } = assignment;
  const { job } = call.request;
  turn.effects.push({ type: "OpenJob", agent, job, epoch, slots: 1, priority: priorityOf(call) });
  grant(turn, call, agent, assignment, call.pending.takeFirst(1)!, false);
}

/** The host handed a call back before it began: that costs no try. */
export function callReturned(turn: Turn, call: JobState, id: string): void {
  const { lost } = call.counts;
  closeEverywhere(turn, call);
  call.counts.lost = lost;
  const actor = turn.state.actors.get(id)!;
  actor.isBusy = false;
  dispatchCall(turn, id);
}

/** A call ended: the next one goes. */
export function leaveMailbox(turn: Turn, id: string, job: string): void {
  const actor = turn.state.actors.get(id);
  const at = actor?.mailbox.indexOf(job) ?? -1;
  if (actor === undefined || at < 0) return;
  actor.mailbox.splice(at, 1);
  if (at === 0) actor.isBusy = false;
  dispatchCall(turn, id);
}

/** Leaves a host that wants no new work. */
export function moveActor(turn: Turn, actor: ActorState): void {
  if (actor.isBusy) return;
  stop(turn, actor);
  loseActor(turn, actor, "its host is to be left", false);
}

function stop(turn: Turn, actor: ActorState): void {
  const { agent, actor: id, incarnation } = actor;
  if (agent === undefined || !turn.state.agents.has(agent)) return;
  turn.effects.push({ type: "StopActor", agent, actor: id, incarnation });
}

function endActor(turn: Turn, actor: ActorState, reason: string): void {
  vacate(turn, actor);
  turn.state.actors.delete(actor.actor);
  for (const id of actor.mailbox.splice(0)) {
    const call = turn.state.jobs.get(id);
    if (call !== undefined) failJob(turn, call, `actor ${actor.actor} is gone: ${reason}`);
  }
}

/** Gives its slot back. */
function vacate(turn: Turn, actor: ActorState): void {
  if (actor.agent === undefined) return;
  turn.state.agents.get(actor.agent)?.actors.delete(actor.actor);
  actor.agent = undefined;
}

function change(actor: ActorState, what: "place" | "start" | "lose"): void {
  const { phase, story } = actor;
  actor.phase = transition(actorTransitions, phase, what, `actor ${actor.actor}`, story);
}
