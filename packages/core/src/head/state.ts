import { RangeSet } from "../rangeSet.ts";
import type { MapRequest } from "./events.ts";

/** What an agent holds of one job. */
export interface Assignment {
  /** Slots that it may use for the job. */
  readonly slots: number;
  /** Chunks leased to it and not settled. */
  readonly leased: RangeSet;
  /** It asked for work when there was none: what becomes pending goes to it. */
  isWaiting: boolean;
}

export interface AgentState {
  readonly agent: string;
  readonly slots: number;
  draining: boolean;
}

export interface JobState {
  readonly request: MapRequest;
  /** Chunks that nobody holds. */
  readonly pending: RangeSet;
  /** Chunks whose bytes are at their destination and checked. */
  readonly settled: RangeSet;
  readonly assignments: Map<string, Assignment>;
  /** Agents that cannot run it, with their reasons. */
  readonly refusals: Map<string, string>;
  /** Agents that have no room for it until another job of theirs ends. */
  readonly deferrals: Set<string>;
  /** How often a lease was lost with its agent or handed back. */
  lost: number;
}

/** Everything the head's scheduler knows. Iterated in insertion order only, so equal events give equal effects. */
export interface HeadState {
  readonly agents: Map<string, AgentState>;
  readonly jobs: Map<string, JobState>;
}

export function emptyHeadState(): HeadState {
  return { agents: new Map(), jobs: new Map() };
}

export function newJob(request: MapRequest): JobState {
  return {
    request,
    pending: new RangeSet({ start: 0, end: request.chunkCount }),
    settled: new RangeSet(),
    assignments: new Map(),
    refusals: new Map(),
    deferrals: new Set(),
    lost: 0,
  };
}

/** Throws where the state contradicts itself: every chunk is pending, leased or settled, and leased at most once. */
export function checkHeadInvariants(state: HeadState): void {
  for (const [id, job] of state.jobs) {
    let leased = 0;
    for (const [agent, assignment] of job.assignments) {
      assertThat(state.agents.has(agent), `job ${id} is assigned to the absent agent ${agent}`);
      assertThat(!job.refusals.has(agent), `job ${id} is assigned to ${agent}, which refused it`);
      assertThat(!job.deferrals.has(agent), `job ${id} is assigned to ${agent}, which deferred it`);
      const isHungry = assignment.leased.size === 0 || assignment.isWaiting;
      const isStarved = isHungry && state.agents.get(agent)?.draining === false;
      assertThat(!isStarved || job.pending.size === 0, `job ${id} starves ${agent}`);
      leased += assignment.leased.size;
      for (const range of assignment.leased.ranges()) {
        assertThat(!job.pending.intersects(range), `job ${id} has leased chunks that are pending`);
        assertThat(!job.settled.intersects(range), `job ${id} has leased chunks that are settled`);
      }
    }
    for (const agent of job.deferrals) {
      const others = [...state.jobs.values()].filter((other) => other.assignments.has(agent));
      assertThat(others.length > 0, `job ${id} waits for room on ${agent}, which has no other job`);
    }
    for (const range of job.pending.ranges()) {
      assertThat(!job.settled.intersects(range), `job ${id} has pending chunks that are settled`);
    }
    const total = leased + job.pending.size + job.settled.size;
    assertThat(
      total === job.request.chunkCount,
      `job ${id} accounts for ${total} of ${job.request.chunkCount} chunks`,
    );
  }
}

function assertThat(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Scheduler invariant broken: ${message}.`);
}
