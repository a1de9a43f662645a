/** Display slices out of values that are kept for the voxels of a mask alone. */
import { type Grid, type Plane, planesThroughMask } from "./planes.ts";

/** Values of one plane, rows from the top; NaN outside the mask. */
export interface DisplaySlice {
  readonly plane: Plane;
  readonly values: Float64Array;
}

/** The masked voxels of a volume: flat grid index of each, ascending. */
export interface MaskedGrid extends Grid {
  readonly voxels: Uint32Array;
}

/** Row of a grid index among the masked voxels, or -1. */
export function maskedRow(voxels: Uint32Array, gridIndex: number): number {
  let low = 0;
  let high = voxels.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (voxels[middle] === gridIndex) return middle;
    if (voxels[middle] < gridIndex) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** For each pixel of a plane, rows from the top: the masked voxel there, or -1. */
export function planeRows(plane: Plane, voxels: Uint32Array): Int32Array {
  const rows = new Int32Array(plane.width * plane.height);
  for (let y = 0, at = 0; y < plane.height; y++) {
    for (let x = 0; x < plane.width; x++, at++) {
      rows[at] = maskedRow(voxels, plane.gridIndex(x, y));
    }
  }
  return rows;
}

/** One plane of a quantity: `valueAt` is asked for the masked voxels in it by their row. */
export function sliceOf(
  plane: Plane,
  voxels: Uint32Array,
  valueAt: (row: number) => number,
): DisplaySlice {
  const values = Float64Array.from(planeRows(plane, voxels), (row) =>
    row < 0 ? Number.NaN : valueAt(row),
  );
  return { plane, values };
}

/**
 * Axial, coronal and sagittal slices through the middle of the mask (or the planes given) of one
 * component of a quantity with `width` numbers per masked voxel.
 */
export function summariseSlices(
  grid: MaskedGrid,
  data: ArrayLike<number>,
  { width = 1, component = 0, planes = planesThroughMask(grid, grid.voxels) } = {},
): DisplaySlice[] {
  return planes.map((plane) => sliceOf(plane, grid.voxels, (row) => data[row * width + component]));
}
