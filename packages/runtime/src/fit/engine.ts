import type { ChunkedModel } from "@fascicle/core";
import type { ProgressMeter } from "./progress.ts";

/** What an engine is given: a model, a number of chunks, and the memory to write into. */
export interface EngineTask {
  readonly model: ChunkedModel;
  readonly chunkCount: number;
  /** Whole outputs, in the order of `model.outputs`. */
  readonly outputs: readonly SharedArrayBuffer[];
  /** Threads, or slots of a cluster at most; undefined is all there are. */
  readonly workers: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** A voxel that takes longer is given up; without it none is. */
  readonly voxelTimeoutMs: number | undefined;
  readonly progress: ProgressMeter;
}

/** What an engine tells about how it went. Times are in seconds. */
export interface EngineReport {
  readonly workers: number;
  readonly physicalCores: number;
  /** In kernels, summed over workers. */
  readonly computeSeconds: number;
  /** Moving signals and results, summed over processes. */
  readonly copySeconds: number;
  /** From the start to the first sign of a voxel fitted. */
  readonly queueSeconds: number;
  /** From the last chunk fitted to its result in place. */
  readonly tailSeconds: number;
  readonly attempts: { readonly run: number; readonly lost: number; readonly retried: number };
}

/** Fits every chunk and resolves when all results are in place; rejects at once when the signal aborts. */
export type Engine = (task: EngineTask) => Promise<EngineReport>;
