/** The diffusion tensor of a voxel by weighted or ordinary linear least squares. */
import { type OutputView, type VoxelKernel, VoxelStatus } from "../model.ts";
import { eigen3 } from "./eigen3.ts";
import { exp, log } from "./elementary.ts";
import {
  createPivotedWorkspace,
  factorize,
  type PivotedWorkspace,
  solveFactored,
  solvePivoted,
} from "./leastSquares.ts";
import type { SampleParameters, TensorDesign } from "./tensor.ts";
import {
  accumulateNormalMatrix,
  createPseudoInverse,
  createTensorDesign,
  fractionalAnisotropy,
  projectOntoDesign,
  readSamples,
  SampleState,
} from "./tensor.ts";

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
export function createDtiKernel(parameters: DtiParameters): VoxelKernel {
  const fitter = createTensorFitter(parameters);
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

function createTensorFitter(parameters: DtiParameters): TensorFitter {
  const design = createTensorDesign(parameters);
  const inverse = createPseudoInverse(design);
  const samples = new Float64Array(design.samples);
  const solution = new Float64Array(7);
  const values = new Float64Array(3);
  const vectors = new Float64Array(9);
  const reweight = createSecondPass(design.samples);

  function fit(signals: Float32Array | Float64Array, voxel: number): number {
    const state = readSamples(signals, voxel, parameters, samples);
    if (state === SampleState.notFinite) return VoxelStatus.notFinite;
    if (state === SampleState.noSignal) return VoxelStatus.noSignal;
    for (let i = 0; i < samples.length; i++) {
      samples[i] = log(Math.max(samples[i], parameters.minSignal));
    }
    applyInverse(inverse, samples, solution);
    if (parameters.method === "wls" && !reweight(design, samples, solution)) {
      return VoxelStatus.singular;
    }
    eigen3(solution, values, vectors);
    for (let k = 0; k < 3; k++)
      values[k] = Math.max(values[k] * design.unit, design.minDiffusivity);
    return VoxelStatus.fitted;
  }
  return { values, vectors, solution, fit };
}

function applyInverse(inverse: Float64Array, logs: Float64Array, solution: Float64Array): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let s4 = 0;
  let s5 = 0;
  let s6 = 0;
  for (let i = 0, at = 0; i < logs.length; i++, at += 7) {
    const value = logs[i];
    s0 += value * inverse[at];
    s1 += value * inverse[at + 1];
    s2 += value * inverse[at + 2];
    s3 += value * inverse[at + 3];
    s4 += value * inverse[at + 4];
    s5 += value * inverse[at + 5];
    s6 += value * inverse[at + 6];
  }
  solution[0] = s0;
  solution[1] = s1;
  solution[2] = s2;
  solution[3] = s3;
  solution[4] = s4;
  solution[5] = s5;
  solution[6] = s6;
}

type SecondPass = (design: TensorDesign, logs: Float64Array, solution: Float64Array) => boolean;

/** The weighted fit, as a correction of the first: what is solved for is small, and so is its error. */
function createSecondPass(sampleCount: number): SecondPass {
  const weights = new Float64Array(sampleCount);
  const residuals = new Float64Array(sampleCount);
  const pulls = new Float64Array(sampleCount);
  const matrix = new Float64Array(49);
  const sums = new Float64Array(15);
  const step = new Float64Array(7);
  const pivoted = createPivotedWorkspace(sampleCount, 7);

  return (design, logs, solution) => {
    const { rows } = design;
    const d0 = solution[0];
    const d1 = solution[1];
    const d2 = solution[2];
    const d3 = solution[3];
    const d4 = solution[4];
    const d5 = solution[5];
    const constant = solution[6];
    for (let i = 0, at = 0; i < sampleCount; i++, at += 6) {
      // The weight is taken relative to S0, which changes no minimum and cannot overflow by the signal's unit.
      const decay =
        rows[at] * d0 +
        rows[at + 1] * d1 +
        rows[at + 2] * d2 +
        rows[at + 3] * d3 +
        rows[at + 4] * d4 +
        rows[at + 5] * d5;
      weights[i] = exp(2 * decay);
      residuals[i] = logs[i] - decay - constant;
      pulls[i] = weights[i] * residuals[i];
    }
    projectOntoDesign(rows, pulls, step);
    accumulateNormalMatrix(design, weights, matrix, 7, sums);
    if (factorize(matrix, 7) > SMALLEST_SHARE) solveFactored(matrix, 7, step);
    else if (!solveByRows(design, weights, residuals, pivoted, step)) return false;
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
