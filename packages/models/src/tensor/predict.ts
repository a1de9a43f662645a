/** Signals that a fitted tensor, with or without free water, foretells. */
import type { TensorTable } from "./table.ts";

/** -b g'Dg of every volume for one tensor, given as eigenvalues and the eigenvector matrix by rows. */
function exponents(
  table: TensorTable,
  values: ArrayLike<number>,
  vectors: ArrayLike<number>,
  into: Float64Array,
): void {
  for (let i = 0; i < into.length; i++) {
    const x = table.bvecs[3 * i];
    const y = table.bvecs[3 * i + 1];
    const z = table.bvecs[3 * i + 2];
    let diffusivity = 0;
    for (let k = 0; k < 3; k++) {
      const along = x * vectors[k] + y * vectors[3 + k] + z * vectors[6 + k];
      diffusivity += values[k] * along * along;
    }
    into[i] = -table.bvals[i] * diffusivity;
  }
}

/** S0 exp(-b g'Dg): `[voxels, volumes]`; `evals` 3, `evecs` 9 and `s0` 1 for each voxel. */
export function predictTensor(
  table: TensorTable,
  evals: ArrayLike<number>,
  evecs: ArrayLike<number>,
  s0: ArrayLike<number>,
): Float64Array {
  const width = table.bvals.length;
  const signals = new Float64Array(s0.length * width);
  const decay = new Float64Array(width);
  for (let v = 0; v < s0.length; v++) {
    exponents(table, rowOf(evals, v, 3), rowOf(evecs, v, 9), decay);
    for (let i = 0; i < width; i++) signals[v * width + i] = s0[v] * Math.exp(decay[i]);
  }
  return signals;
}

/** S0 ((1-f) exp(-b g'Dg) + f exp(-b d)): `[voxels, volumes]`; `params` 13 (evals, evecs, f) and `s0` 1 for each voxel. */
export function predictFreeWater(
  table: TensorTable,
  params: ArrayLike<number>,
  s0: ArrayLike<number>,
  waterDiffusivity: number,
): Float64Array {
  const width = table.bvals.length;
  const signals = new Float64Array(s0.length * width);
  const decay = new Float64Array(width);
  const water = new Float64Array(width);
  exponents(table, [1, 1, 1], [1, 0, 0, 0, 1, 0, 0, 0, 1], water);
  for (let i = 0; i < width; i++) water[i] = Math.exp(waterDiffusivity * water[i]);
  for (let v = 0; v < s0.length; v++) {
    const row = rowOf(params, v, 13);
    const f = row[12];
    exponents(table, row.slice(0, 3), row.slice(3, 12), decay);
    for (let i = 0; i < width; i++) {
      signals[v * width + i] = s0[v] * ((1 - f) * Math.exp(decay[i]) + f * water[i]);
    }
  }
  return signals;
}

function rowOf(matrix: ArrayLike<number>, row: number, width: number): number[] {
  return Array.from({ length: width }, (_, k) => matrix[row * width + k]);
}
