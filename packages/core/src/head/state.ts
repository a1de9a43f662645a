import type { Range } from "../chunks.ts";
import { RangeSet } from "../rangeSet.ts";
import { Story } from "../story.ts";
import type { TransitionTable } from "../transitions.ts";
import type { JobCounts, MapRequest } from "./events.ts";

/** What an agent holds of one job: one opening of it there. */
export interface Assignment {
  /** Names this opening; words that carry another are stale. */
  epoch: number;
  /** Slots that it may use for the job. */
  readonly slots: number;
  /** Chunks leased to it and not settled. */
  readonly leased: RangeSet;
  /** Chunks that it was asked to hand back, until it answers. */
  recalled: Range | undefined;
  /** Its last recall brought nothing: all that it holds has begun. */
  isRecallFutile: boolean;
  /** When it last got or settled something. */
  progressMs: number;
}

export type AgentPhase = "ready" | "away";

/** An agent that left is not in the state any more. */
export const agentTransitions: TransitionTable<AgentPhase, "lose" | "return"> = {
  ready: { lose: "away" },
  away: { return: "ready" },
};

export interface AgentState {
  readonly agent: string;
  readonly slots: number;
  readonly memoryBytes: number;
  phase: AgentPhase;
  isDraining: boolean;
  /** Actors that live here, each on a slot of its own. */
  readonly actors: Set<string>;
  readonly story: Story;
}

export type JobPhase = "blocked" | "open";

/** A job that ended is not in the state any more. */
export const jobTransitions: TransitionTable<JobPhase, "unblock" | "block"> = {
  blocked: { unblock: "open" },
  open: { block: "blocked" },
};

export interface JobState {
  readonly request: MapRequest;
  phase: JobPhase;
  /** Chunks that nobody holds. */
  readonly pending: RangeSet;
  /** Chunks whose bytes are at their destination and checked. */
  readonly settled: RangeSet;
  /** Chunks that were settled when it was submitted. */
  readonly settledBefore: number;
  readonly assignments: Map<string, Assignment>;
  /** Slots of all assignments. */
  slotsGranted: number;
  /** Agents that asked for work when there was none: what becomes pending goes to them, in this order. */
  readonly hungry: Set<string>;
  /** Agents that cannot run it, with their reasons. */
  readonly refusals: Map<string, string>;
  /** Agents that have no room for it: until another job of theirs ends, or, with a time, until then. */
  readonly deferrals: Map<string, number | undefined>;
  /** How often memory ran out there, since the agent settled something. */
  readonly memoryFailures: Map<string, number>;
  /** Agents whose kernel failed. */
  readonly kernelFailures: Set<string>;
  /** Chunks that two hosts hold. */
  readonly backedUp: RangeSet;
  /** At index k: chunks lost with more than k hosts. */
  readonly losses: RangeSet[];
  /** Objects that it waits for. */
  readonly missing: Set<string>;
  /** False where no host has more than its slots are at: there is nothing to recall until somebody is leased more. */
  mayHaveSpare: boolean;
  /** Recalls that are not answered. */
  recallsOpen: number;
  readonly counts: JobCounts;
  readonly submittedMs: number;
  firstLeaseMs: number | undefined;
  lastSettledMs: number;
  /** Since when none of the hosts that are there can run it. */
  nobodyCanSinceMs: number | undefined;
  /** Since when its driver cannot be reached. */
  driverAwayMs: number | undefined;
  readonly story: Story;
}

export interface ObjectState {
  /** Agents that have it. */
  readonly holders: Set<string>;
  /** Its driver has it. */
  readonly isKept: boolean;
  isReady: boolean;
  /** The job that makes it, and makes it again where it is lost. */
  readonly maker: MapRequest | undefined;
}

export type ActorPhase = "waiting" | "starting" | "alive";

export const actorTransitions: TransitionTable<ActorPhase, "place" | "start" | "lose"> = {
  waiting: { place: "starting" },
  starting: { start: "alive", lose: "waiting" },
  alive: { lose: "waiting" },
};

export interface ActorState {
  readonly actor: string;
  phase: ActorPhase;
  /** Where it lives; undefined while it waits for a slot. */
  agent: string | undefined;
  incarnation: number;
  restartsLeft: number;
  /** Calls in the order in which they were made; only the first may run. */
  readonly mailbox: string[];
  /** Whether the first call is under way. */
  isBusy: boolean;
  readonly story: Story;
}

/** A job that ended, for those who ask about it afterwards. */
export interface EndedJob {
  readonly job: string;
  readonly outcome: string;
  readonly story: Story;
}

/** Everything the head's scheduler knows. Iterated in insertion order only, so equal events give equal effects. */
export interface HeadState {
  readonly agents: Map<string, AgentState>;
  readonly jobs: Map<string, JobState>;
  readonly objects: Map<string, ObjectState>;
  readonly actors: Map<string, ActorState>;
  readonly ended: EndedJob[];
  /** Of all jobs: a job may come back under its name, and must not take old words for its own. */
  nextEpoch: number;
}

export function emptyHeadState(): HeadState {
  return {
    agents: new Map(),
    jobs: new Map(),
    objects: new Map(),
    actors: new Map(),
    ended: [],
    nextEpoch: 1,
  };
}

export function newJob(request: MapRequest, nowMs: number): JobState {
  const pending = new RangeSet({ start: 0, end: request.chunkCount });
  for (const range of request.settled ?? []) pending.remove(range);
  const settled = new RangeSet(...(request.settled ?? []));
  return {
    request,
    phase: "blocked",
    pending,
    settled,
    settledBefore: settled.size,
    assignments: new Map(),
    slotsGranted: 0,
    hungry: new Set(),
    refusals: new Map(),
    deferrals: new Map(),
    memoryFailures: new Map(),
    kernelFailures: new Set(),
    backedUp: new RangeSet(),
    losses: [],
    missing: new Set(),
    mayHaveSpare: true,
    recallsOpen: 0,
    counts: { lost: 0, stolen: 0, backups: 0 },
    submittedMs: nowMs,
    firstLeaseMs: undefined,
    lastSettledMs: nowMs,
    nobodyCanSinceMs: undefined,
    driverAwayMs: undefined,
    story: new Story(),
  };
}

export const priorityOf = (job: JobState): number => job.request.priority ?? 0;

/** Jobs in the order in which hosts are to hear of them; equals in the order in which they came. */
export function jobsByPriority({ jobs }: HeadState): JobState[] {
  return [...jobs.values()].sort((a, b) => priorityOf(b) - priorityOf(a));
}

/** More slots than chunks would have nothing to do. */
export function slotLimitOf({ request }: JobState): number {
  return Math.min(request.slotLimit ?? request.chunkCount, request.chunkCount);
}

/** Slots of a host that maps may use: actors have theirs to themselves. */
export const slotsForMaps = (agent: AgentState): number => agent.slots - agent.actors.size;
