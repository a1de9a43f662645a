/** Says in a sentence what a job, a host or an actor waits for, and tells its story. Reads the state, changes nothing. */
import { counted, mebibytes } from "../counted.ts";
import type { StoryEntry } from "../story.ts";
import { driverGraceMs, listedLimit } from "./limits.ts";
import { type AgentState, type HeadState, type JobState, priorityOf } from "./state.ts";

/** An entity and what it waits for. `story` is in the order in which things happened. */
export interface Explanation {
  readonly kind: "job" | "worker" | "actor";
  readonly id: string;
  readonly sentence: string;
  readonly story: readonly StoryEntry[];
}

/** Explains everything that an id (or the beginning of one) may mean; without one, all that is there. Empty where nothing is meant. */
export function explain(state: HeadState, nowMs: number, id?: string): Explanation[] {
  const isMeant = (name: string) => id === undefined || name.startsWith(id);
  const found: Explanation[] = [];
  for (const [name, job] of state.jobs) {
    if (isMeant(name)) found.push(of("job", name, whyJob(state, job, nowMs), job));
  }
  for (const [name, host] of state.agents) {
    if (isMeant(name)) found.push(of("worker", name, whyWorker(state, host), host));
  }
  for (const [name, actor] of state.actors) {
    if (isMeant(name)) found.push(of("actor", name, whyActor(state, name), actor));
  }
  if (id === undefined) return found;
  for (const ended of state.ended) {
    if (isMeant(ended.job)) {
      found.push(of("job", ended.job, `It has ended: ${ended.outcome}.`, ended));
    }
  }
  return found;
}

/** The story of one entity; undefined where there is none of that id. */
export function story(state: HeadState, id: string): readonly StoryEntry[] | undefined {
  const entity =
    state.jobs.get(id) ??
    state.agents.get(id) ??
    state.actors.get(id) ??
    state.ended.findLast(({ job }) => job === id);
  return entity?.story.entries();
}

function of(
  kind: Explanation["kind"],
  id: string,
  sentence: string,
  entity: { readonly story: { entries(): StoryEntry[] } },
): Explanation {
  return { kind, id, sentence, story: entity.story.entries() };
}

function whyJob(state: HeadState, job: JobState, nowMs: number): string {
  const progress = `${job.settled.size} of ${chunks(job.request.chunkCount)} are settled`;
  if (job.driverAwayMs !== undefined) {
    const leftMs = driverGraceMs - (nowMs - job.driverAwayMs);
    return `It waits for its driver, which cannot be reached, for ${seconds(leftMs)} more; ${progress}.`;
  }
  if (job.missing.size > 0) return `It waits for ${list("object", [...job.missing])} to be made.`;
  if (job.request.actor !== undefined) return whyCall(state, job, job.request.actor);
  if (job.assignments.size === 0) return whyUnassigned(state, job, nowMs);
  const leased = job.request.chunkCount - job.settled.size - job.pending.size;
  const rival = rivalOf(state, job);
  if (leased === 0 && rival !== undefined) {
    return `It waits for job ${rival}, which has a higher priority; ${progress}.`;
  }
  const holders = [...job.assignments].filter(([, { leased }]) => leased.size > 0);
  const who = some(holders.map(([agent, { leased }]) => `${agent} has ${leased.size}`)).join(", ");
  if (job.pending.size > 0 && holders.length === 0) {
    const hosts = [...job.assignments.keys()].map((agent) => state.agents.get(agent)!);
    const why = some(hosts.map((host) => `${host.agent} ${availability(host)}`)).join("; ");
    return `It waits for its workers: ${why}; ${progress}.`;
  }
  if (job.pending.size > 0) {
    return `It is being fitted: ${progress}, ${job.pending.size} are not given out yet, and of the others ${who}.`;
  }
  const oldestMs = Math.min(...holders.map(([, { progressMs }]) => progressMs));
  const copies = job.backedUp.size > 0 ? ` (${job.backedUp.size} of them twice)` : "";
  return `It waits for the last ${chunks(leased)}${copies}: ${who}, the slowest with no news for ${seconds(nowMs - oldestMs)}; ${progress}.`;
}

function whyUnassigned(state: HeadState, job: JobState, nowMs: number): string {
  if (state.agents.size === 0) {
    return "It waits for a worker: none has joined. Start one with `runtime join`.";
  }
  const reasons = [...state.agents.values()].map((host) => {
    const { agent } = host;
    const refusal = job.refusals.get(agent);
    if (refusal !== undefined) return `${agent} cannot run it (${refusal})`;
    const dueMs = job.deferrals.get(agent);
    if (dueMs !== undefined) {
      return `${agent} ran out of memory (${room(host, job)}) and is tried again in ${seconds(dueMs - nowMs)}`;
    }
    if (job.deferrals.has(agent)) {
      const others = [...state.jobs.values()].filter((other) => other.assignments.has(agent));
      const names = others.map((other) => other.request.job);
      return `${agent} has no room for it beside ${list("job", names)} (${room(host, job)})`;
    }
    return `${agent} ${availability(host)}`;
  });
  return `It waits for a worker that can take it: ${some(reasons).join("; ")}.`;
}

function whyCall(state: HeadState, job: JobState, id: string): string {
  const actor = state.actors.get(id);
  const before = actor?.mailbox.indexOf(job.request.job) ?? 0;
  if (before > 0) return `It waits for the ${counted(before, "call")} of actor ${id} before it.`;
  if (actor?.isBusy) return `It is being run by actor ${id}.`;
  const [crowded] = job.deferrals.keys();
  if (crowded !== undefined) return `It waits for room on ${crowded}, where actor ${id} lives.`;
  return `It waits for actor ${id}. ${whyActor(state, id)}`;
}

function whyActor(state: HeadState, id: string): string {
  const actor = state.actors.get(id);
  if (actor?.phase === "waiting") return "It waits for a worker with a free slot.";
  if (actor?.phase === "starting") return `It is being started on ${actor.agent}.`;
  if (actor?.isBusy) return `It runs the first of ${counted(actor.mailbox.length, "call")}.`;
  return "It waits for calls.";
}

function whyWorker(state: HeadState, host: AgentState): string {
  const { agent } = host;
  if (host.phase === "away" || host.isDraining) return `It ${availability(host)}.`;
  const lines = [...state.jobs.values()].flatMap((job) => {
    const { job: id } = job.request;
    const assignment = job.assignments.get(agent);
    if (assignment !== undefined && assignment.leased.size > 0) {
      return [`it has ${chunks(assignment.leased.size)} of job ${id}`];
    }
    if (assignment !== undefined) {
      const rival = rivalOf(state, job);
      return [
        job.pending.size > 0 && rival !== undefined
          ? `job ${id} waits there for job ${rival}`
          : `it waits for work of job ${id}, all of which others have`,
      ];
    }
    const refusal = job.refusals.get(agent);
    if (refusal !== undefined) return [`it cannot run job ${id} (${refusal})`];
    return job.deferrals.has(agent)
      ? [`it has no room yet for job ${id} (${room(host, job)})`]
      : [];
  });
  const text = lines.length === 0 ? "it waits for a fit: none is running" : some(lines).join("; ");
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** What a job needs of a host's memory, as far as both are known, and what helps. */
function room({ memoryBytes }: AgentState, { request }: JobState): string {
  const help = "raise --object-memory there, or use more chunks";
  if (request.memoryBytes === undefined || !Number.isFinite(memoryBytes)) return help;
  return `a chunk needs ${mebibytes(request.memoryBytes)} of its ${mebibytes(memoryBytes)} of object memory: ${help}`;
}

function availability(host: AgentState): string {
  if (host.phase === "away") return "cannot be reached";
  if (host.isDraining) return "takes no new work, it is to be left";
  return "has its slots in other use";
}

/** A job that goes before this one where both want the same host. */
function rivalOf(state: HeadState, job: JobState): string | undefined {
  for (const [id, other] of state.jobs) {
    if (priorityOf(other) <= priorityOf(job) || other.pending.size === 0) continue;
    if ([...job.assignments.keys()].some((agent) => other.assignments.has(agent))) return id;
  }
  return undefined;
}

const chunks = (count: number) => counted(count, "chunk");
const seconds = (ms: number) => `${(Math.max(0, ms) / 1000).toFixed(1)} s`;

/** The first few: a thousand hosts are no sentence. */
function some(parts: readonly string[]): readonly string[] {
  const left = parts.length - listedLimit;
  return left > 0 ? [...parts.slice(0, listedLimit), `${left} more`] : parts;
}

function list(noun: string, names: readonly string[]): string {
  return names.length === 1 ? `${noun} ${names[0]}` : `${noun}s ${some(names).join(", ")}`;
}
