/** What the head keeps of a fit beside the scheduler's entry: who asked, what to tell workers, how far it is. */
import { type JobState, type MapRequest, type Range, voxelsOfChunks } from "@fascicle/core";
import type { ClusterStatus, JobSpec, Session } from "@fascicle/transport";
import { memoryNeeded } from "@fascicle/worker";
import { BlockLedger } from "./blockLedger.ts";
import { waitsForDisk } from "./memoryWaits.ts";
import { ResultWindows } from "./resultWindows.ts";

/** The scheduler's entry for a fit. */
export function requestOf(spec: JobSpec, settled: readonly Range[]): MapRequest {
  const { job, chunkCount, slotLimit, priority } = spec;
  return { job, chunkCount, slotLimit, priority, settled, memoryBytes: memoryNeeded(spec) };
}

export class HeadJob {
  readonly spec: JobSpec;
  /** The kernel's parameters, encoded, as every host gets them once. */
  readonly parameters: Uint8Array;
  /** What its driver proves itself by when it comes back. */
  readonly key: string;
  /** Who asked for it; undefined while that one cannot be reached. */
  client: Session | undefined;
  /** Number of the latest session in which its driver asked for it; 0 before the first. */
  clientNumber = 0;
  readonly submittedMs = Date.now();
  readonly blocks: BlockLedger;
  readonly windows: ResultWindows;
  /** Why its results wait for room on its driver's disk, in words that follow "since". */
  diskWait: string | undefined;
  #workersTold = "";
  readonly #voxelsByAgent = new Map<string, number>();

  constructor(spec: JobSpec, parameters: Uint8Array, key: string, client: Session | undefined) {
    this.spec = spec;
    this.key = key;
    this.parameters = parameters;
    this.client = client;
    this.blocks = new BlockLedger(spec);
    this.windows = new ResultWindows(spec);
  }

  /** Takes an agent's count of voxels fitted; the sum over agents goes to the driver. */
  progress(agent: string, voxels: number): number {
    this.#voxelsByAgent.set(agent, voxels);
    return this.voxelsFitted();
  }

  /** Whether its driver was told something else about its workers before. */
  isNews(workers: object): boolean {
    const words = JSON.stringify([this.clientNumber, workers]);
    if (words === this.#workersTold) return false;
    this.#workersTold = words;
    return true;
  }

  agentLeft(agent: string): void {
    this.#voxelsByAgent.delete(agent);
    this.blocks.agentLeft(agent);
    this.windows.agentLeft(agent);
  }

  voxelsFitted(): number {
    let sum = 0;
    for (const voxels of this.#voxelsByAgent.values()) sum += voxels;
    return Math.min(sum, this.spec.voxelCount);
  }

  /** The line of `runtime status`. */
  status(state: JobState): ClusterStatus["jobs"][number] {
    const { job, model, voxelCount, chunkCount, priority = 0 } = this.spec;
    let leased = 0;
    for (const assignment of state.assignments.values()) leased += assignment.leased.size;
    let done = 0;
    for (const range of state.settled.ranges()) {
      const voxels = voxelsOfChunks(voxelCount, chunkCount, range);
      done += voxels.end - voxels.start;
    }
    return {
      job,
      model,
      state: stateOf(state),
      chunks: {
        total: chunkCount,
        settled: state.settled.size,
        leased,
        pending: state.pending.size,
      },
      voxels: { total: voxelCount, done, fitted: Math.max(done, this.voxelsFitted()) },
      seconds: (Date.now() - this.submittedMs) / 1000,
      priority,
      waitsForDisk: waitsForDisk(this),
    };
  }
}

function stateOf({ driverAwayMs, assignments }: JobState): ClusterStatus["jobs"][number]["state"] {
  if (driverAwayMs !== undefined) return "waiting for its driver";
  return assignments.size === 0 ? "waiting for workers" : "running";
}
