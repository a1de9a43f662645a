/** A voxel of CSD that is under way, and the moments of its active directions. */
import type { CsdDesign } from "./csdDesign.ts";

export interface CsdVoxel {
  /** Its place among the voxels of the call. */
  index: number;
  iterations: number;
  /** The amplitude below which a direction is too small. */
  threshold: number;
  /** How many directions are active: too small, and penalised. */
  activeCount: number;
  /** Directions added or taken since the moments were last summed from the start. */
  drift: number;
  readonly z: Float64Array;
  /** Address of its moments. */
  readonly sums: number;
  /** Directions that came in with the last iteration, and those that went out. */
  readonly entered: Int32Array;
  readonly left: Int32Array;
  enteredCount: number;
  leftCount: number;
  /** 1 for each active direction, as long as the voxel is in no lane; the same four directions at a time. */
  readonly active: Uint8Array;
  readonly activeWords: Int32Array;
}

/** As many voxels as may be under way at once. */
export function createVoxels({ arrays, vertices, count, mostVoxels }: CsdDesign): CsdVoxel[] {
  return Array.from({ length: mostVoxels }, (_, i) => {
    const active = new Uint8Array(4 * Math.ceil(vertices / 4));
    return {
      ...{ index: -1, iterations: 0, threshold: 0, activeCount: 0, drift: 0 },
      z: new Float64Array(count),
      sums: arrays.sums.byteOffset + i * arrays.allMoments.byteLength,
      ...{ entered: new Int32Array(vertices), left: new Int32Array(vertices) },
      ...{ enteredCount: 0, leftCount: 0 },
      ...{ active, activeWords: new Int32Array(active.buffer) },
    };
  });
}

/** Begins the iteration with the directions that the design lists in `below`, the rest being in `others`. */
export function beginVoxel(design: CsdDesign, voxel: CsdVoxel): void {
  const { below, arrays, count } = design;
  voxel.iterations = 0;
  for (let n = 0; n < count; n++) voxel.z[n] = arrays.started[n];
  voxel.activeWords.fill(0);
  for (let i = 0; i < voxel.activeCount; i++) voxel.active[below[i]] = 1;
  sumListed(design, voxel);
}

/** The moments of the directions that the design lists in `below`, or of all less those in `others`, whichever are fewer. */
export function sumListed(design: CsdDesign, voxel: CsdVoxel): void {
  const { noMoments, allMoments, below, others } = design.arrays;
  const count = voxel.activeCount;
  const rest = design.vertices - count;
  voxel.drift = Math.min(count, rest);
  if (count <= rest) {
    addListed(design, noMoments.byteOffset, below.byteOffset, count, count, voxel.sums);
  } else {
    addListed(design, allMoments.byteOffset, others.byteOffset, 0, rest, voxel.sums);
  }
}

/** Adds the directions that entered and takes away those that left. */
export function sumChanges(design: CsdDesign, voxel: CsdVoxel): void {
  const { entered, left, enteredCount, leftCount, sums } = voxel;
  const { below, arrays } = design;
  const changes = enteredCount + leftCount;
  for (let i = 0; i < enteredCount; i++) below[i] = entered[i];
  for (let i = 0; i < leftCount; i++) below[enteredCount + i] = left[i];
  voxel.drift += changes;
  addListed(design, sums, arrays.below.byteOffset, enteredCount, changes, sums);
}

/**
 * Each change leaves its rounding errors in the moments, so they are summed anew once as many directions
 * have passed through them as there are: their error stays that of one sum over all directions, however
 * many iterations a voxel takes.
 */
export function mustSumAnew({ vertices }: CsdDesign, voxel: CsdVoxel): boolean {
  const { activeCount, drift } = voxel;
  const changes = voxel.enteredCount + voxel.leftCount;
  return drift + changes > vertices || changes >= Math.min(activeCount, vertices - activeCount);
}

function addListed(
  { functions, arrays, vertices, momentBlocks }: CsdDesign,
  base: number,
  list: number,
  added: number,
  total: number,
  out: number,
): void {
  const table = arrays.moments.byteOffset;
  functions.csdSumMoments(base, table, vertices, list, added, total, momentBlocks, out);
}
