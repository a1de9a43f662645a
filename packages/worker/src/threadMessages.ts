/** What a pool and its threads say to each other. */
import type { PagedOutput, PagedSignalsSpec } from "./pagedRows.ts";

/** All that a thread needs to fit chunks of a job; everything large in it is shared memory. */
export interface ThreadJob {
  readonly job: string;
  /** URL of the kernel's module. */
  readonly moduleUrl: string;
  readonly kernelName: string;
  readonly parameters: unknown;
  readonly voxelCount: number;
  readonly signals: PagedSignalsSpec;
  readonly outputs: readonly PagedOutput[];
  /** Voxels in each page of the outputs. */
  readonly outputPageVoxels: number;
  /** Shared memory of this job alone, which page tables name -1, -2 and so on. */
  readonly slabs: readonly SharedArrayBuffer[];
  /** Memory of the `ChunkBoard`. */
  readonly board: SharedArrayBuffer;
  /** Higher goes first; jobs of one priority share a thread's time equally. Default 0. */
  readonly priority?: number | undefined;
  /** A voxel that takes longer is given up; without it none is. */
  readonly voxelTimeoutMs?: number | undefined;
}

export type ToThread =
  /** `slots` is the memory of the job's `SlotWords`. */
  | { readonly type: "open"; readonly job: ThreadJob; readonly slots: SharedArrayBuffer }
  /** There may be ready chunks. */
  | { readonly type: "go"; readonly job: string }
  | { readonly type: "close"; readonly job: string };

export type FromThread =
  /** Chunks that are done since the last receipt, as consecutive pairs of start and end. */
  | {
      readonly type: "receipt";
      readonly job: string;
      readonly ranges: readonly number[];
      readonly computeSeconds: number;
    }
  /** Found nothing to draw; `generation` is the board's from before the search. */
  | { readonly type: "idle"; readonly job: string; readonly generation: number }
  /** The kernel threw on this chunk, which stays claimed. */
  | {
      readonly type: "threw";
      readonly job: string;
      readonly chunk: number;
      readonly reason: string;
    }
  /** The kernel could not be made. */
  | { readonly type: "failed"; readonly job: string; readonly reason: string };

/** What was thrown, as a reason. */
export const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
