import type { Range } from "../chunks.ts";
import type { FailureClass, HeldJob } from "../head/events.ts";
import { RangeSet } from "../rangeSet.ts";

/** Chunks that cannot be fitted here. */
export interface ReportedFailure {
  readonly chunks: Range;
  readonly failure: FailureClass;
  readonly reason: string;
}

/** One opening of a job on this host. Every leased chunk is in exactly one of `waiting`, `ready`, `fitted` and `sent`. */
export interface AgentJobState {
  readonly job: string;
  epoch: number;
  readonly slots: number;
  readonly chunksPerRun: number;
  readonly windowBytes: number;
  /** Whether a head knows of this opening; while none does, nothing is said. */
  isAttached: boolean;
  /** Held and not settled. */
  readonly leased: RangeSet;
  /** Their signals are not all here. */
  readonly waiting: RangeSet;
  /** With the threads, and not finished. */
  readonly ready: RangeSet;
  /** Finished, and not on their way. */
  readonly fitted: RangeSet;
  /** On their way, and not settled. */
  readonly sent: RangeSet;
  /** Of those that wait: to be run alone. */
  readonly careful: RangeSet;
  /** What the head was told and may not have heard: it is told again by whoever takes this host in. */
  readonly failures: ReportedFailure[];
  unsettledBytes: number;
  isSending: boolean;
  isGathering: boolean;
  /** What is fitted has waited long enough: it goes, all of it. */
  isDue: boolean;
  hasAsked: boolean;
  busySlots: number;
  /** It asks for more when it has fewer chunks than this that no thread has begun. */
  chunksAhead: number;
}

export interface AgentState {
  readonly jobs: Map<string, AgentJobState>;
  isDraining: boolean;
}

export function emptyAgentState(): AgentState {
  return { jobs: new Map(), isDraining: false };
}

/** What this host holds, for the hello to a head that does not know it. */
export function heldJobs(state: AgentState): HeldJob[] {
  return [...state.jobs.values()].map(({ job, leased }) => ({ job, ranges: [...leased.ranges()] }));
}

/** Throws where a held chunk is nowhere, or in two places. */
export function checkAgentInvariants(state: AgentState): void {
  for (const { job, leased, waiting, ready, fitted, sent, careful } of state.jobs.values()) {
    const places = [waiting, ready, fitted, sent];
    const total = places.reduce((sum, { size }) => sum + size, 0);
    assertThat(total === leased.size, `job ${job} accounts for ${total} of ${leased.size} chunks`);
    for (const [i, place] of places.entries()) {
      for (const range of place.ranges()) {
        assertThat(leased.covers(range), `job ${job} has chunks that are not leased`);
        const twice = places.slice(i + 1).some((other) => other.intersects(range));
        assertThat(!twice, `job ${job} has chunks in two places`);
      }
    }
    for (const range of careful.ranges()) {
      assertThat(waiting.covers(range), `job ${job} is careful with chunks that do not wait`);
    }
  }
}

function assertThat(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Agent invariant broken: ${message}.`);
}

export function newAgentJob(
  job: string,
  epoch: number,
  slots: number,
  chunksPerRun: number,
  windowBytes: number,
): AgentJobState {
  return {
    job,
    epoch,
    slots,
    chunksPerRun,
    windowBytes,
    isAttached: true,
    leased: new RangeSet(),
    waiting: new RangeSet(),
    ready: new RangeSet(),
    fitted: new RangeSet(),
    sent: new RangeSet(),
    careful: new RangeSet(),
    failures: [],
    unsettledBytes: 0,
    isSending: false,
    isGathering: false,
    isDue: false,
    hasAsked: false,
    busySlots: 0,
    chunksAhead: slots,
  };
}
