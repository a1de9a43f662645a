import { type ChunkedModel, type Range, RangeSet, voxelsOfChunks } from "@fascicle/core";
import type { SlabPool } from "@fascicle/object-store";
import type { ProgressMeter } from "./progress.ts";
import type { Results } from "./results.ts";

/** What an engine is given: a model, a number of chunks, and where the results go. */
export interface EngineTask {
  readonly model: ChunkedModel;
  readonly chunkCount: number;
  readonly results: Results;
  /** For the pages of signals and results that are not in memory as a whole. */
  readonly pageMemory: SlabPool;
  /** Why results wait for room on disk now, in words that follow "since"; undefined where they do not. */
  readonly diskWait: () => string | undefined;
  /** Threads, or slots of a cluster at most; undefined is all there are. */
  readonly workers: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** A voxel that takes longer is given up; without it none is. */
  readonly voxelTimeoutMs: number | undefined;
  readonly progress: ProgressMeter;
  /** Higher goes first on a cluster. */
  readonly priority: number | undefined;
  /** Chunks whose rows are in place already: they are not fitted again. */
  readonly settled: RangeSet;
  /** Told of chunks as their rows become final, each at most once. */
  readonly onSettled: (chunks: Range) => void;
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

/** Chunks that are left to do. */
export function chunksToFit({ chunkCount, settled }: EngineTask): RangeSet {
  return new RangeSet(...settled.gaps({ start: 0, end: chunkCount }));
}

/** Voxels of the chunks that need not be done. */
export function voxelsSettled({ model, chunkCount, settled }: EngineTask): number {
  return settled.ranges().reduce((sum, chunks) => {
    const { start, end } = voxelsOfChunks(model.signals.voxelCount, chunkCount, chunks);
    return sum + end - start;
  }, 0);
}
