/** The diffusion tensor of a voxel by weighted or ordinary linear least squares. */
import { type OutputView, type VoxelKernel, VoxelStatus } from "../model.ts";
import { eigen3 } from "./eigen3.ts";
import { exp } from "./elementary.ts";
import type { KernelEngine } from "./kernelMemory.ts";
import {
  createPivotedWorkspace,
  factorize,
  type PivotedWorkspace,
  solveFactored,
  solvePivoted,
} from "./leastSquares.ts";
import type { SampleParameters, TensorDesign } from "./tensor.ts";
import {
  createPseudoInverse,
  createTensorDesign,
  fractionalAnisotropy,
  readSamples,
  SampleState,
  spreadProducts,
} from "./tensor.ts";
import { DESIGN_COLUMNS, PRODUCTS, placesFor } from "./tensorLayout.ts";
import { createTensorMemory, fillRow, type TensorMemory } from "./tensorMemory.ts";
import { createPlainTensor } from "./tensorPlain.ts";

export interface DtiParameters extends SampleParameters {
  readonly method: "wls" | "ols";
  /** Smaller samples are lifted to this before the logarithm. Above 0. */
  readonly minSignal: number;
}

/** Names of the outputs in the order in which the kernel takes their views, with their widths. */
export const DTI_OUTPUTS = [
  ["evals", 3],
  ["evecs", 9],
  ["fa", 1],
  ["md", 1],
  ["ad", 1],
  ["rd", 1],
  ["s0", 1],
  ["status", 1],
] as const;

/** Below this share of a diagonal entry the normal equations have lost too many digits, and QR takes over. */
const SMALLEST_SHARE = 1e-6;

/**
 * Two-pass weighted least squares of ln S (Chung, Lu & Henry 2006): weights exp(2 x prediction of the
 * ordinary fit); with "ols" the first pass alone. Eigenvalues below 1e-6 over the greatest entry of
 * the design are lifted to that.
 *
 * Outputs: evals (3, mm²/s, falling), evecs (9, the matrix by rows, columns are the vectors), fa, md,
 * ad, rd (mm²/s), s0 (in units of the signal), status. All 0 where the status is 2, 3 or 4.
 */
export function createDtiKernel(parameters: DtiParameters, engine?: KernelEngine): VoxelKernel {
  const fitter = createTensorFitter(parameters, engine);
  return {
    fit(signals, first, count, out, outFirst) {
      for (let v = 0; v < count; v++) {
        writeTensor(fitter, fitter.fit(signals, first + v), out, outFirst + v);
      }
    },
  };
}

interface TensorFitter {
  /** Falling, mm²/s. */
  readonly values: Float64Array;
  readonly vectors: Float64Array;
  /** Scaled tensor (xx, xy, yy, xz, yz, zz) and ln S0. */
  readonly solution: Float64Array;
  /** Fits one voxel into the arrays above and returns its status. */
  fit(signals: Float32Array | Float64Array, voxel: number): number;
}

function createTensorFitter(parameters: DtiParameters, engine?: KernelEngine): TensorFitter {
  const design = createTensorDesign(parameters);
  const places = placesFor(design.samples);
  const lengths = { inverse: DESIGN_COLUMNS * places, samples: places, solution: DESIGN_COLUMNS };
  const passLengths = { weights: places, residuals: places, pulls: places, sums: PRODUCTS };
  const stepLengths = { border: DESIGN_COLUMNS, step: DESIGN_COLUMNS };
  const all = { ...lengths, ...passLengths, ...stepLengths };
  const memory = createTensorMemory(design, all, createPlainTensor, engine);
  const { arrays, functions, at } = memory;
  fillInverse(design, arrays.inverse);
  const { solution } = arrays;
  const values = new Float64Array(3);
  const vectors = new Float64Array(9);
  const reweight = createSecondPass(design, memory);

  function fit(signals: Float32Array | Float64Array, voxel: number): number {
    const state = readSamples(signals, voxel, parameters, arrays.samples);
    if (state === SampleState.notFinite) return VoxelStatus.notFinite;
    if (state === SampleState.noSignal) return VoxelStatus.noSignal;
    functions.takeLogs(at.samples, parameters.minSignal, places, at.table);
    functions.sumColumns(at.inverse, at.samples, places, at.solution);
    if (parameters.method === "wls" && !reweight()) return VoxelStatus.singular;
    eigen3(solution, values, vectors);
    for (let k = 0; k < 3; k++)
      values[k] = Math.max(values[k] * design.unit, design.minDiffusivity);
    // One signal far from all others bends the fit until its S0 leaves the range of float64: that is no fit.
    const isInRange = Number.isFinite(values[0] + values[1] + values[2] + exp(solution[6]));
    return isInRange ? VoxelStatus.fitted : VoxelStatus.notFinite;
  }
  return { values, vectors, solution, fit };
}

/** The matrix that turns ln S into the ordinary least-squares parameters, as a panel. */
function fillInverse(design: TensorDesign, panel: Float64Array): void {
  const inverse = createPseudoInverse(design);
  for (let i = 0; i < design.samples; i++) {
    const row = inverse.subarray(DESIGN_COLUMNS * i, DESIGN_COLUMNS * (i + 1));
    fillRow(panel, i, DESIGN_COLUMNS, row);
  }
}

type FitMemory = TensorMemory<
  "samples" | "solution" | "weights" | "residuals" | "pulls" | "sums" | "border" | "step"
>;

/** The weighted fit, as a correction of the first: what is solved for is small, and so is its error. */
function createSecondPass(design: TensorDesign, memory: FitMemory): () => boolean {
  const { arrays, functions, at, places } = memory;
  const { solution, step } = arrays;
  const matrix = new Float64Array(49);
  const pivoted = createPivotedWorkspace(design.samples, 7);

  return () => {
    // The weight is taken relative to S0, which changes no minimum and cannot overflow by the signal's unit.
    functions.weighByPrediction(
      at.design,
      at.solution,
      at.samples,
      places,
      at.weights,
      at.residuals,
      at.pulls,
      at.table,
    );
    functions.sumColumns(at.design, at.pulls, places, at.step);
    functions.sumProducts(at.products, at.weights, places, at.sums);
    functions.sumColumns(at.design, at.weights, places, at.border);
    spreadProducts(arrays.sums, matrix, 7);
    matrix.set(arrays.border, 42);
    if (factorize(matrix, 7) > SMALLEST_SHARE) solveFactored(matrix, 7, step);
    else if (!solveByRows(design, arrays.weights, arrays.residuals, pivoted, step)) return false;
    for (let k = 0; k < 7; k++) solution[k] += step[k];
    return true;
  };
}

/** The same fit on the weighted rows themselves, for weights so uneven that their squares drown. */
function solveByRows(
  design: TensorDesign,
  weights: Float64Array,
  residuals: Float64Array,
  work: PivotedWorkspace,
  step: Float64Array,
): boolean {
  const { samples, rows } = design;
  for (let i = 0; i < samples; i++) {
    const factor = Math.sqrt(weights[i]);
    for (let k = 0; k < 6; k++) work.matrix[k * samples + i] = factor * rows[i * 6 + k];
    work.matrix[6 * samples + i] = factor;
    work.rightHand[i] = factor * residuals[i];
  }
  return solvePivoted(work, step);
}

function writeTensor(
  fitter: TensorFitter,
  status: number,
  out: readonly OutputView[],
  at: number,
): void {
  const [evals, evecs, fa, md, ad, rd, s0, statuses] = out;
  statuses[at] = status;
  if (status !== VoxelStatus.fitted) {
    evals.fill(0, 3 * at, 3 * at + 3);
    evecs.fill(0, 9 * at, 9 * at + 9);
    fa[at] = 0;
    md[at] = 0;
    ad[at] = 0;
    rd[at] = 0;
    s0[at] = 0;
    return;
  }
  const { values, vectors } = fitter;
  evals.set(values, 3 * at);
  evecs.set(vectors, 9 * at);
  fa[at] = fractionalAnisotropy(values[0], values[1], values[2]);
  md[at] = (values[0] + values[1] + values[2]) / 3;
  ad[at] = values[0];
  rd[at] = (values[1] + values[2]) / 2;
  s0[at] = exp(fitter.solution[6]);
}
