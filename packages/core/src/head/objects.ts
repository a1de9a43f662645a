/** Which objects exist and where, for the tasks that need them. What was lost with its host is made again. */
import type { MapRequest } from "./events.ts";
import { begin, block, failJob, jobSubmitted } from "./jobs.ts";
import type { JobState } from "./state.ts";
import type { Turn } from "./turn.ts";

export function objectPut(turn: Turn, object: string, holder: string | undefined): void {
  const holders = new Set(holder === undefined ? [] : [holder]);
  const isKept = holder === undefined;
  turn.state.objects.set(object, { holders, isKept, isReady: true, maker: undefined });
  wake(turn, object);
}

/** A job was submitted that will make an object. */
export function promiseObject(turn: Turn, maker: MapRequest): void {
  if (maker.makes === undefined || turn.state.objects.has(maker.makes)) return;
  const object = { holders: new Set<string>(), isKept: false, isReady: false, maker };
  turn.state.objects.set(maker.makes, object);
}

export function objectMade(turn: Turn, { makes }: MapRequest, agent: string | undefined): void {
  if (makes === undefined) return;
  const object = turn.state.objects.get(makes);
  if (object === undefined) {
    // It was released before it was made.
    if (agent !== undefined) turn.effects.push({ type: "DropObject", agent, object: makes });
    return;
  }
  if (agent === undefined || !turn.state.agents.has(agent)) {
    // Its host died between making it and saying so.
    lostObject(turn, makes);
    return;
  }
  object.holders.add(agent);
  object.isReady = true;
  wake(turn, makes);
}

/** The job that makes an object failed: so do those that need it. */
export function objectNotMade(turn: Turn, { request }: JobState, reason: string): void {
  const { makes } = request;
  if (makes === undefined || turn.state.objects.get(makes)?.isReady !== false) return;
  turn.state.objects.delete(makes);
  failDependents(turn, makes, `object ${makes} could not be made: ${reason}`);
}

export function objectReleased(turn: Turn, id: string): void {
  const object = turn.state.objects.get(id);
  if (object === undefined) return;
  turn.state.objects.delete(id);
  for (const agent of object.holders) turn.effects.push({ type: "DropObject", agent, object: id });
  failDependents(turn, id, `object ${id} was released`);
}

/** A host is gone, and what only it held with it. */
export function objectsLeft(turn: Turn, agent: string): void {
  for (const [id, object] of [...turn.state.objects]) {
    if (!object.holders.delete(agent) || object.holders.size > 0 || object.isKept) continue;
    lostObject(turn, id);
  }
}

function lostObject(turn: Turn, id: string): void {
  const { state } = turn;
  const object = state.objects.get(id)!;
  object.isReady = false;
  if (object.maker === undefined) {
    state.objects.delete(id);
    failDependents(turn, id, `object ${id} was lost with its host`);
    return;
  }
  for (const job of state.jobs.values()) {
    if (job.request.needs?.includes(id)) block(turn, job, id);
  }
  if (!state.jobs.has(object.maker.job)) jobSubmitted(turn, object.maker);
}

/** Notes which objects a job waits for; gives the first that will never come. */
export function awaitObjects(turn: Turn, job: JobState): string | undefined {
  for (const id of job.request.needs ?? []) {
    const object = turn.state.objects.get(id);
    if (object === undefined) return id;
    if (!object.isReady) job.missing.add(id);
  }
  return undefined;
}

/** Begins the jobs that waited for an object alone. */
function wake(turn: Turn, object: string): void {
  for (const job of [...turn.state.jobs.values()]) {
    if (job.missing.delete(object) && job.missing.size === 0) begin(turn, job);
  }
}

function failDependents(turn: Turn, object: string, reason: string): void {
  for (const job of [...turn.state.jobs.values()]) {
    const isInState = turn.state.jobs.has(job.request.job);
    if (isInState && job.request.needs?.includes(object)) failJob(turn, job, reason);
  }
}
