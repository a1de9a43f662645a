/** How many chunks a fit is best cut into. Pure. */
import type { EngineName } from "./receipt.ts";

/** What a chunk costs beside its voxels, seconds. */
export interface ChunkCost {
  /** Of a worker's time. */
  readonly workerSeconds: number;
  /** Of the one process that hands out chunks to all workers. */
  readonly serialSeconds: number;
}

/**
 * Measured, and rounded up: `bench/chunkCost.mjs` (1 to 3 µs of a thread) and `bench/sleepCluster.mjs` (44 to 89 µs of
 * the head, 21 to 49 of the driver).
 */
export const chunkCosts: Readonly<Record<EngineName, ChunkCost>> = {
  serial: { workerSeconds: 5e-6, serialSeconds: 0 },
  local: { workerSeconds: 5e-6, serialSeconds: 0 },
  cluster: { workerSeconds: 140e-6, serialSeconds: 90e-6 },
};

/** Parts of the time in kernels: chunks cost no more than this, and waiting for the last ones no more than that. */
export const overheadLimit = 0.01;
export const tailLimit = 0.02;

/** A chunk of voxels that take longer than others takes so many times the mean. */
const chunkSpread = 2;

/** The process that hands out chunks is busy with it for this part of the fit at most. */
export const serialLimit = 0.5;

export interface FitSize {
  readonly voxels: number;
  readonly workers: number;
  /** Mean, on one worker. */
  readonly secondsPerVoxel: number;
}

/** A number of chunks, and what is expected of it at most, as parts of the time in kernels. */
export interface ChunkChoice {
  readonly chunks: number;
  readonly overhead: number;
  readonly tail: number;
}

/**
 * The count with which chunks, and waiting for the last of them, together cost least; within the limits of both
 * wherever there is enough to do for that, and enough voxels.
 *
 * Of a time T in kernels n chunks cost n c more, and w workers wait for the last one for up to spread w / n of it: the
 * sum is least at sqrt(spread w T / c).
 */
export function chooseChunks(size: FitSize, cost: ChunkCost): ChunkChoice {
  const { voxels, workers } = size;
  const seconds = voxels * size.secondsPerVoxel;
  const { workerSeconds, serialSeconds } = cost;
  const best = Math.round(Math.sqrt((chunkSpread * workers * seconds) / workerSeconds));
  const least = Math.ceil((chunkSpread * workers) / tailLimit);
  const most = Math.floor((overheadLimit * seconds) / workerSeconds);
  const within = least <= most ? Math.min(Math.max(best, least), most) : best;
  const handedOut =
    serialSeconds > 0
      ? Math.floor((serialLimit * seconds) / workers / serialSeconds)
      : Number.POSITIVE_INFINITY;
  const chunks = Math.max(1, Math.min(voxels, within, handedOut));
  return {
    chunks,
    overhead: seconds > 0 ? (chunks * workerSeconds) / seconds : 0,
    tail: (chunkSpread * workers) / chunks,
  };
}
