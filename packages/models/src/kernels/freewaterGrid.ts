/** The linear stage of the free-water model: for each f of a grid a weighted fit of ln S, of which the best is kept. */
import { exp, log } from "./elementary.ts";
import { factorize, solveFactored } from "./leastSquares.ts";
import { accumulateNormalMatrix, projectOntoDesign, type TensorDesign } from "./tensor.ts";

/** Diffusivity of free water at body temperature, mm²/s. */
export const WATER_DIFFUSIVITY = 3e-3;
/** Signals at or below this are none, and smaller ones are lifted to it before a logarithm. */
export const MIN_SIGNAL = 1e-6;
/** Below this share of a diagonal entry the weighted design counts as singular. */
const SMALLEST_SHARE = 1e-13;

export interface FreeWaterGrid {
  /** The best f so far, its scaled tensor and its S0. */
  f: number;
  s0: number;
  readonly tensor: Float64Array;
  /** Weighs the samples (by their squares) and factorizes; false where they do not determine a tensor. */
  prepare(): boolean;
  /** Mean diffusivity of the tensor without free water, mm²/s. */
  plainMeanDiffusivity(): number;
  /** The S0 with which water alone comes nearest to the samples. */
  waterS0(): number;
  /** Sets the mean b0 signal. */
  begin(s0: number): void;
  /** Tries five f from 0.1 to 0.9: a start for the nonlinear search. */
  scout(): void;
  /** Tries nine f from 0.1 to 0.9 in the first round, then nineteen around the best in steps ten times smaller. */
  round(): void;
}

/** A grid over `samples`, which the caller fills anew for each voxel. */
export function createFreeWaterGrid(design: TensorDesign, samples: Float64Array): FreeWaterGrid {
  const count = design.samples;
  const weights = new Float64Array(count);
  const water = Float64Array.from(design.scaledB, (b) =>
    exp(-(b / design.unit) * WATER_DIFFUSIVITY),
  );
  const waterSignal = new Float64Array(count);
  const logs = new Float64Array(count);
  const factor = new Float64Array(49);
  const sums = new Float64Array(15);
  const trial = new Float64Array(7);
  const best = new Float64Array(7);
  // Fields and not variables: a captured variable costs an allocation for every number stored in it.
  const state = { bestCost: 0.5, low: 0.5, high: 0.5, step: 0.5 };

  function prepare(): boolean {
    for (let i = 0; i < count; i++) weights[i] = samples[i] * samples[i];
    accumulateNormalMatrix(design, weights, factor, 7, sums);
    return factorize(factor, 7) > SMALLEST_SHARE;
  }

  /** Weighted fit of ln max(samples - f * waterSignal, floor) into `trial`. */
  function fitTrial(f: number): void {
    weighLogs(weights, samples, waterSignal, f, logs);
    projectOntoDesign(design.rows, logs, trial);
    solveFactored(factor, 7, trial);
  }

  function plainMeanDiffusivity(): number {
    waterSignal.fill(0);
    fitTrial(0);
    return ((trial[0] + trial[2] + trial[5]) / 3) * design.unit;
  }

  function waterS0(): number {
    let product = 0;
    let square = 0;
    for (let i = 0; i < count; i++) {
      product += samples[i] * water[i];
      square += water[i] * water[i];
    }
    return Math.max(product / square, 0);
  }

  function begin(s0: number): void {
    for (let i = 0; i < count; i++) waterSignal[i] = s0 * water[i];
    state.low = 0;
    state.high = 1;
    state.step = 1;
  }

  function round(): void {
    const trials = state.step === 1 ? 9 : 19;
    const step = state.step * 0.1;
    search(state.low + step, state.high - step, trials);
    state.step = step;
    state.low = self.f - step;
    state.high = self.f + step;
  }

  /** Keeps the best of `trials` evenly spaced f, the first of equals. */
  function search(start: number, end: number, trials: number): void {
    const stride = (end - start) / (trials - 1);
    for (let k = 0; k < trials; k++) {
      const f = k === trials - 1 ? end : k * stride + start;
      fitTrial(f);
      const cost = costOf(design.rows, samples, waterSignal, f, trial);
      if (k === 0 || cost < state.bestCost) {
        state.bestCost = cost;
        self.f = f;
        best.set(trial);
      }
    }
    for (let k = 0; k < 6; k++) self.tensor[k] = best[k];
    // The logarithm was taken of (1-f) S0 exp(...), so its constant holds ln (1-f) as well.
    self.s0 = exp(best[6]) / (1 - self.f);
  }

  const self: FreeWaterGrid = {
    f: 0,
    s0: 0,
    tensor: new Float64Array(6),
    prepare,
    plainMeanDiffusivity,
    waterS0,
    begin,
    scout: () => search(0.1, 0.9, 5),
    round,
  };
  return self;
}

/** The weighted logarithm of what f leaves of each sample to the tissue. */
function weighLogs(
  weights: Float64Array,
  samples: Float64Array,
  waterSignal: Float64Array,
  f: number,
  into: Float64Array,
): void {
  // The product is known to be a number; the bare constant would have `rest` boxed for each sample.
  const floor = MIN_SIGNAL * 1;
  for (let i = 0; i < samples.length; i++) {
    const rest = samples[i] - f * waterSignal[i];
    into[i] = weights[i] * log(rest > 0 ? rest : floor);
  }
}

/** Sum of squares of what the trial leaves of the samples. */
function costOf(
  rows: Float64Array,
  samples: Float64Array,
  waterSignal: Float64Array,
  f: number,
  trial: Float64Array,
): number {
  const d0 = trial[0];
  const d1 = trial[1];
  const d2 = trial[2];
  const d3 = trial[3];
  const d4 = trial[4];
  const d5 = trial[5];
  const constant = trial[6];
  let cost = 0;
  for (let i = 0, at = 0; i < samples.length; i++, at += 6) {
    const tissue = exp(
      constant +
        (rows[at] * d0 + rows[at + 1] * d1 + rows[at + 2] * d2) +
        (rows[at + 3] * d3 + rows[at + 4] * d4 + rows[at + 5] * d5),
    );
    const residual = samples[i] - tissue - f * waterSignal[i];
    cost += residual * residual;
  }
  return cost;
}
