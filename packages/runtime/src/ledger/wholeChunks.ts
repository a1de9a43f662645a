import { chunkOfVoxel, chunkStart, RangeSet } from "@fascicle/core";

/** The chunks all of whose voxels are in the set. */
export function wholeChunks(voxelCount: number, chunkCount: number, voxels: RangeSet): RangeSet {
  const whole = new RangeSet();
  for (const { start, end } of voxels.ranges()) {
    const first = chunkOfVoxel(voxelCount, chunkCount, start);
    const isCut = chunkStart(voxelCount, chunkCount, first) < start;
    const behind = end === voxelCount ? chunkCount : chunkOfVoxel(voxelCount, chunkCount, end);
    whole.add({ start: isCut ? first + 1 : first, end: behind });
  }
  return whole;
}
