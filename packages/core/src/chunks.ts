/** Which voxels a chunk holds. A chunk is an index; everything else of it is computed. */
import { counted } from "./counted.ts";

/** A half-open range of integers, `[start, end)`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** First voxel of chunk `index` when `voxelCount` voxels are cut into `chunkCount` chunks whose sizes differ by at most one. */
export function chunkStart(voxelCount: number, chunkCount: number, index: number): number {
  const size = Math.floor(voxelCount / chunkCount);
  return index * size + Math.min(index, voxelCount % chunkCount);
}

/** Voxels of the chunks `[chunks.start, chunks.end)`, which are consecutive. */
export function voxelsOfChunks(voxelCount: number, chunkCount: number, chunks: Range): Range {
  return {
    start: chunkStart(voxelCount, chunkCount, chunks.start),
    end: chunkStart(voxelCount, chunkCount, chunks.end),
  };
}

/** The chunk that holds a voxel: the inverse of `chunkStart`. */
export function chunkOfVoxel(voxelCount: number, chunkCount: number, voxel: number): number {
  const size = Math.floor(voxelCount / chunkCount);
  const larger = voxelCount % chunkCount;
  const inLarger = larger * (size + 1);
  return voxel < inLarger
    ? Math.floor(voxel / (size + 1))
    : larger + Math.floor((voxel - inLarger) / size);
}

/** The fewest chunks that hold all of these voxels. */
export function chunksOfVoxels(voxelCount: number, chunkCount: number, voxels: Range): Range {
  return {
    start: chunkOfVoxel(voxelCount, chunkCount, voxels.start),
    end: chunkOfVoxel(voxelCount, chunkCount, voxels.end - 1) + 1,
  };
}

/** Says why `chunkCount` chunks cannot be made of `voxelCount` voxels, or undefined where they can. */
export function whyNotChunks(voxelCount: number, chunkCount: number): string | undefined {
  if (!Number.isSafeInteger(chunkCount) || chunkCount < 1) {
    return `The number of chunks must be a whole number of at least 1, not ${chunkCount}.`;
  }
  if (chunkCount > voxelCount) {
    return `${chunkCount} chunks were asked for, but there ${voxelCount === 1 ? "is" : "are"} only ${counted(voxelCount, "voxel")} to fit: ask for at most ${counted(voxelCount, "chunk")}, or "auto".`;
  }
  return undefined;
}
