/** What the tensor models share: the design, the reading of samples, the measures of a tensor. */
import { InputError } from "../model.ts";
import { createPivotedWorkspace, solvePivoted } from "./leastSquares.ts";

/** Where a voxel's samples lie and how raw numbers become signals (`slope * raw + intercept`). */
export interface SampleParameters {
  /** Samples in each row of the signals. */
  readonly width: number;
  /** The samples that are used, as indices into a row. */
  readonly volumes: Int32Array;
  /** b-values in s/mm², `width` of them. */
  readonly bvals: Float64Array;
  /** Directions, 3 x `width`, of length 1 (or nearly: the weighting is b v v'); any where b is 0. */
  readonly bvecs: Float64Array;
  readonly slope: number;
  readonly intercept: number;
}

/**
 * The linear model ln S = ln S0 - b g'Dg for the used samples, in units in which the greatest b is
 * about 1, so that all columns are of one size. Scaling by a power of two costs no accuracy.
 */
export interface TensorDesign {
  readonly samples: number;
  /** samples x 6: -b (xx, 2xy, yy, 2xz, 2yz, zz). The column of ln S0 is 1 and is not stored. */
  readonly rows: Float64Array;
  /** samples x 15: b² times the products of four direction components, from which all products of two columns come. */
  readonly products: Float64Array;
  /** A diffusivity in mm²/s is the scaled one times this. */
  readonly unit: number;
  /** Trace of b v v', which is b for a unit vector, in the scaled unit: what isotropic diffusion feels. */
  readonly scaledB: Float64Array;
  /** 1e-6 over the greatest entry of the unscaled design: smaller eigenvalues are noise. mm²/s. */
  readonly minDiffusivity: number;
}

/** Throws InputError where the directions do not determine a tensor. */
export function createTensorDesign(parameters: SampleParameters): TensorDesign {
  const { volumes, bvals, bvecs } = parameters;
  const samples = volumes.length;
  let greatest = 0;
  for (const volume of volumes) greatest = Math.max(greatest, bvals[volume]);
  let unit = 1;
  while (unit * greatest > 1) unit /= 2;
  const rows = new Float64Array(samples * 6);
  const products = new Float64Array(samples * 15);
  const scaledB = new Float64Array(samples);
  let greatestEntry = 1;
  for (let i = 0; i < samples; i++) {
    const volume = volumes[i];
    const b = bvals[volume] * unit;
    const [x, y, z] = bvecs.subarray(3 * volume, 3 * volume + 3);
    scaledB[i] = b * (x * x + y * y + z * z);
    rows.set(
      [x * x, 2 * x * y, y * y, 2 * x * z, 2 * y * z, z * z].map((term) => 0 - b * term),
      i * 6,
    );
    const quartic = [
      ...[x * x * x * x, x * x * x * y, x * x * x * z, x * x * y * y, x * x * y * z],
      ...[x * x * z * z, x * y * y * y, x * y * y * z, x * y * z * z, x * z * z * z],
      ...[y * y * y * y, y * y * y * z, y * y * z * z, y * z * z * z, z * z * z * z],
    ];
    products.set(
      quartic.map((term) => b * b * term),
      i * 15,
    );
    for (let k = 0; k < 6; k++) greatestEntry = Math.max(greatestEntry, -rows[i * 6 + k] / unit);
  }
  const design = { samples, rows, products, unit, scaledB, minDiffusivity: 1e-6 / greatestEntry };
  if (!determinesTensor(design)) {
    throw new InputError(
      `The ${samples} volumes do not determine a diffusion tensor; give a b0 volume and at least six directions that are not all in one plane or on one cone.`,
    );
  }
  return design;
}

function determinesTensor(design: TensorDesign): boolean {
  if (design.samples < 7) return false;
  const solution = new Float64Array(7);
  const work = createPivotedWorkspace(design.samples, 7);
  fillColumns(design, work.matrix);
  if (!solvePivoted(work, solution)) return false;
  let smallest = Number.POSITIVE_INFINITY;
  for (let k = 0; k < 7; k++) {
    smallest = Math.min(smallest, Math.abs(work.matrix[k * design.samples + k]));
  }
  return smallest > 1e-8 * Math.abs(work.matrix[0]);
}

/** The seven columns of the design, one after the other. */
export function fillColumns(design: TensorDesign, matrix: Float64Array): void {
  const { samples, rows } = design;
  for (let i = 0; i < samples; i++) {
    for (let k = 0; k < 6; k++) matrix[k * samples + i] = rows[i * 6 + k];
    matrix[6 * samples + i] = 1;
  }
}

/** The matrix that turns ln S into the ordinary least-squares parameters: samples x 7. */
export function createPseudoInverse(design: TensorDesign): Float64Array {
  const { samples } = design;
  const inverse = new Float64Array(samples * 7);
  const work = createPivotedWorkspace(samples, 7);
  const solution = new Float64Array(7);
  for (let i = 0; i < samples; i++) {
    fillColumns(design, work.matrix);
    work.rightHand.fill(0);
    work.rightHand[i] = 1;
    solvePivoted(work, solution);
    inverse.set(solution, i * 7);
  }
  return inverse;
}

export const SampleState = { usable: 0, notFinite: 1, noSignal: 2 } as const;

/** Reads one voxel's used samples, scaled; says whether one is not finite or none is above zero. */
export function readSamples(
  signals: Float32Array | Float64Array,
  voxel: number,
  parameters: SampleParameters,
  samples: Float64Array,
): number {
  const { volumes, slope, intercept } = parameters;
  const start = voxel * parameters.width;
  let check = 0;
  let greatest = 0;
  for (let i = 0; i < volumes.length; i++) {
    const value = slope * signals[start + volumes[i]] + intercept;
    samples[i] = value;
    check += value - value;
    if (value > greatest) greatest = value;
  }
  // x - x is 0 for every finite x and NaN for the rest.
  if (check !== 0) return SampleState.notFinite;
  return greatest > 0 ? SampleState.usable : SampleState.noSignal;
}

/** Lays the 15 sums out as the lower 6 x 6 triangle of products of two columns. */
export function spreadProducts(sums: Float64Array, matrix: Float64Array, stride: number): void {
  const row1 = stride;
  const row2 = 2 * stride;
  const row3 = 3 * stride;
  const row4 = 4 * stride;
  const row5 = 5 * stride;
  matrix[0] = sums[0];
  matrix[row1] = 2 * sums[1];
  matrix[row1 + 1] = 4 * sums[3];
  matrix[row2] = sums[3];
  matrix[row2 + 1] = 2 * sums[6];
  matrix[row2 + 2] = sums[10];
  matrix[row3] = 2 * sums[2];
  matrix[row3 + 1] = 4 * sums[4];
  matrix[row3 + 2] = 2 * sums[7];
  matrix[row3 + 3] = 4 * sums[5];
  matrix[row4] = 2 * sums[4];
  matrix[row4 + 1] = 4 * sums[7];
  matrix[row4 + 2] = 2 * sums[11];
  matrix[row4 + 3] = 4 * sums[8];
  matrix[row4 + 4] = 4 * sums[12];
  matrix[row5] = sums[5];
  matrix[row5 + 1] = 2 * sums[8];
  matrix[row5 + 2] = sums[12];
  matrix[row5 + 3] = 2 * sums[9];
  matrix[row5 + 4] = 2 * sums[13];
  matrix[row5 + 5] = sums[14];
}

/** Fractional anisotropy (Basser & Pierpaoli 1996) of three eigenvalues; 0 where all are 0. */
export function fractionalAnisotropy(first: number, second: number, third: number): number {
  const size = first * first + second * second + third * third;
  if (size === 0) return 0;
  const spread =
    (first - second) * (first - second) +
    (second - third) * (second - third) +
    (third - first) * (third - first);
  return Math.sqrt((0.5 * spread) / size);
}
