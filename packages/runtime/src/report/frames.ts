/**
 * The frames that directions are given in. Patient axes here are right, anterior and superior, each
 * taken along the nearest axis of the file, so that an oblique volume is shown along its own grid.
 */
import { anatomicalAxes } from "./planes.ts";

export type Vector = readonly [number, number, number];

/** Turns vectors along the file's axes to patient axes. */
export function patientFromGrid(affine: Float64Array): (vector: ArrayLike<number>) => Vector {
  const axes = anatomicalAxes(affine);
  return (vector) => [
    axes[0].sign * vector[axes[0].axis],
    axes[1].sign * vector[axes[1].axis],
    axes[2].sign * vector[axes[2].axis],
  ];
}

export function gridFromPatient(affine: Float64Array): (vector: ArrayLike<number>) => Vector {
  const axes = anatomicalAxes(affine);
  return (vector) => {
    const grid: [number, number, number] = [0, 0, 0];
    for (let i = 0; i < 3; i++) grid[axes[i].axis] = axes[i].sign * vector[i];
    return grid;
  };
}

/**
 * FSL's bvec files hold directions along the file's axes, but with x mirrored where the file's axes
 * are right-handed (positive determinant). It is its own inverse.
 */
export function gridFromBvec(affine: Float64Array): (vector: ArrayLike<number>) => Vector {
  const flip = determinant(affine) > 0 ? -1 : 1;
  return (vector) => [flip * vector[0], vector[1], vector[2]];
}

/** Turns vectors along the file's axes to the scanner's (rotation alone, no scaling). */
export function scannerFromGrid(affine: Float64Array): (vector: ArrayLike<number>) => Vector {
  const lengths = [0, 1, 2].map(
    (axis) => Math.sqrt([0, 1, 2].reduce((sum, row) => sum + affine[4 * row + axis] ** 2, 0)) || 1,
  );
  const row = (i: number, v: ArrayLike<number>) =>
    [0, 1, 2].reduce((sum, axis) => sum + (affine[4 * i + axis] / lengths[axis]) * v[axis], 0);
  return (vector) => [row(0, vector), row(1, vector), row(2, vector)];
}

function determinant(m: Float64Array): number {
  return (
    m[0] * (m[5] * m[10] - m[6] * m[9]) -
    m[1] * (m[4] * m[10] - m[6] * m[8]) +
    m[2] * (m[4] * m[9] - m[5] * m[8])
  );
}
