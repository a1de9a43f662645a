/** Planes through a volume as radiologists look at them, whatever way the file stores its voxels. */

export type PlaneName = "axial" | "coronal" | "sagittal";

/** The grid of a volume: what this folder needs of a `Geometry`. */
export interface Grid {
  /** Voxels in x, y, z of the file. */
  readonly shape: readonly [number, number, number];
  /** Voxel edge in mm. */
  readonly voxelSize: readonly [number, number, number];
  /** Voxel index to scanner millimetres (x right, y anterior, z superior), 4x4 by rows. */
  readonly affine: Float64Array;
}

/** One plane to be shown: columns from the left, rows from the top. */
export interface Plane {
  readonly name: PlaneName;
  /** Index of the plane along the file's axis that it cuts. */
  readonly index: number;
  /** Distance of the plane from the scanner's origin along the axis it cuts, mm. */
  readonly positionMm: number;
  readonly width: number;
  readonly height: number;
  /** Pixel size in mm, across and down. */
  readonly pixelMm: readonly [number, number];
  /** Patient sides at the image's edges, such as R, L, A, P. */
  readonly labels: { left: string; right: string; top: string; bottom: string };
  /** Flat grid index at (column, row). */
  readonly gridIndex: (column: number, row: number) => number;
  /** Turns a vector in patient axes to (image right, image up, towards the viewer). */
  readonly toView: (vector: readonly number[]) => [number, number, number];
}

/** A voxel axis and whether it runs along (+1) or against (-1) an anatomical axis. */
interface AxisSense {
  readonly axis: number;
  readonly sign: 1 | -1;
}

/** For right, anterior, superior: the voxel axis nearest to it. */
export function anatomicalAxes(affine: Float64Array): readonly AxisSense[] {
  const free = new Set([0, 1, 2]);
  const found: AxisSense[] = [];
  const length = (axis: number) =>
    Math.sqrt([0, 1, 2].reduce((sum, row) => sum + affine[4 * row + axis] ** 2, 0)) || 1;
  const cosine = (row: number, axis: number) => affine[4 * row + axis] / length(axis);
  // The clearest pairing is made first, so that oblique volumes get three different axes.
  const rows = new Set([0, 1, 2]);
  while (rows.size > 0) {
    let best = { row: -1, axis: -1, cosine: 0 };
    for (const row of rows) {
      for (const axis of free) {
        const c = cosine(row, axis);
        if (best.row < 0 || Math.abs(c) > Math.abs(best.cosine)) best = { row, axis, cosine: c };
      }
    }
    found[best.row] = { axis: best.axis, sign: best.cosine < 0 ? -1 : 1 };
    rows.delete(best.row);
    free.delete(best.axis);
  }
  return found;
}

/**
 * Patient direction (0 right, 1 anterior, 2 superior) and sense of the image's right and up, and the
 * sense of the cut direction that points at the viewer.
 */
const views = {
  // Seen from the feet, the front and the left: the patient's left is on the image's right.
  axial: { cut: 2, towards: -1, right: [0, -1], up: [1, 1], labels: ["R", "L", "A", "P"] },
  coronal: { cut: 1, towards: 1, right: [0, -1], up: [2, 1], labels: ["R", "L", "S", "I"] },
  sagittal: { cut: 0, towards: -1, right: [1, -1], up: [2, 1], labels: ["A", "P", "S", "I"] },
} as const;

/** The plane of that name at an index along the file's axis which it cuts. */
export function planeAt(grid: Grid, name: PlaneName, index: number): Plane {
  const view = views[name];
  const axes = anatomicalAxes(grid.affine);
  const across = axes[view.right[0]];
  const upward = axes[view.up[0]];
  const cut = axes[view.cut];
  const strides = [1, grid.shape[0], grid.shape[0] * grid.shape[1]];
  const width = grid.shape[across.axis];
  const height = grid.shape[upward.axis];
  const acrossUp = across.sign * view.right[1] > 0;
  const rowsDown = upward.sign * view.up[1] > 0;
  const [left, right, top, bottom] = view.labels;
  return {
    name,
    index,
    positionMm: positionOf(grid, view.cut, cut.axis, index),
    width,
    height,
    pixelMm: [grid.voxelSize[across.axis], grid.voxelSize[upward.axis]],
    labels: { left, right, top, bottom },
    gridIndex: (column, row) =>
      (acrossUp ? column : width - 1 - column) * strides[across.axis] +
      (rowsDown ? height - 1 - row : row) * strides[upward.axis] +
      index * strides[cut.axis],
    toView: (vector) => [
      view.right[1] * vector[view.right[0]],
      view.up[1] * vector[view.up[0]],
      view.towards * vector[view.cut],
    ],
  };
}

function positionOf(grid: Grid, world: number, axis: number, index: number): number {
  const at = grid.shape.map((n, i) => (i === axis ? index : (n - 1) / 2));
  const row = grid.affine.subarray(4 * world, 4 * world + 4);
  return row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3];
}

/** The anatomical axis's voxel axis that a plane of this name cuts. */
export function cutAxis(grid: Grid, name: PlaneName): number {
  return anatomicalAxes(grid.affine)[views[name].cut].axis;
}

/**
 * An axial, a coronal and a sagittal plane through the middle of the mask; the sagittal one a little
 * beside it, as the middle itself is the cleft between the halves of a brain.
 */
export function planesThroughMask(grid: Grid, voxels: Uint32Array): Plane[] {
  const sums = [0, 0, 0];
  const low = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const high = [0, 0, 0];
  const [nx, ny] = grid.shape;
  for (const at of voxels) {
    const place = [at % nx, Math.floor(at / nx) % ny, Math.floor(at / (nx * ny))];
    for (let i = 0; i < 3; i++) {
      sums[i] += place[i];
      low[i] = Math.min(low[i], place[i]);
      high[i] = Math.max(high[i], place[i]);
    }
  }
  const names: PlaneName[] = ["axial", "coronal", "sagittal"];
  return names.map((name) => {
    const axis = cutAxis(grid, name);
    const middle = voxels.length > 0 ? sums[axis] / voxels.length : (grid.shape[axis] - 1) / 2;
    const aside = name === "sagittal" && voxels.length > 0 ? 0.12 * (high[axis] - low[axis]) : 0;
    return planeAt(grid, name, Math.min(grid.shape[axis] - 1, Math.round(middle + aside)));
  });
}
