/** The linear stage of the free-water model: for each f of a grid a weighted fit of ln S, of which the best is kept. */
import { exp } from "./elementary.ts";
import type { FreeWaterMemory } from "./freewaterMemory.ts";
import { factorize, solveFactored } from "./leastSquares.ts";
import { spreadProducts, type TensorDesign } from "./tensor.ts";
import { descend, walk } from "./valley.ts";

/** Signals at or below this are none, and smaller ones are lifted to it before a logarithm. */
export const MIN_SIGNAL = 1e-6;
/** Below this share of a diagonal entry the weighted design counts as singular. */
const SMALLEST_SHARE = 1e-13;

/** Values of f in the first round, from 0.1 on, and in each that looks more closely around the best. */
const COARSE_TRIALS = 9;
const FINE_TRIALS = 19;

export interface FreeWaterGrid {
  /** The best f so far, its scaled tensor and its S0. */
  f: number;
  s0: number;
  readonly tensor: Float64Array;
  /** Weighs the samples (by their squares) and factorizes; false where they do not determine a tensor. */
  prepare(): boolean;
  /** Mean diffusivity of the tensor without free water, mm²/s, from which the likely f follows. */
  plainMeanDiffusivity(): number;
  /** The S0 with which water alone comes nearest to the samples. */
  waterS0(): number;
  /** The scaled tensor of a weighted fit with a likely f, in `tensor`, for a start of the nonlinear search. */
  fitTissue(s0: number): void;
  /**
   * Finds the best f: that of nine from 0.1 to 0.9, then of nineteen around it in steps of 0.01, and so on, in so
   * many rounds. As many of them are tried as it takes to know where the cost is least. False where no f has a
   * finite cost: numbers are too large for their sums.
   */
  run(s0: number, rounds: number): boolean;
}

/** A grid over the memory's samples, which the caller fills anew for each voxel. */
export function createFreeWaterGrid(design: TensorDesign, memory: FreeWaterMemory): FreeWaterGrid {
  const { functions, arrays, at, places } = memory;
  const { samples, water, weights, trial } = arrays;
  const factor = new Float64Array(49);
  const best = new Float64Array(7);
  // Fields and not variables: a captured variable costs an allocation for every number stored in it.
  const state = { voxelS0: 0.5, bestCost: 0.5, centre: 0.5, step: 0.5, guess: 0.5 };
  const valley = { place: 0, cost: 0.5, left: 0, leftCost: 0.5, right: 0, rightCost: 0.5 };

  function prepare(): boolean {
    for (let i = 0; i < places; i++) weights[i] = samples[i] * samples[i];
    functions.sumProducts(at.products, at.weights, places, at.productSums);
    functions.sumColumns(at.design, at.weights, places, at.weightSums);
    spreadProducts(arrays.productSums, factor, 7);
    factor.set(arrays.weightSums, 42);
    return factorize(factor, 7) > SMALLEST_SHARE;
  }

  /** Weighted fit of ln max(samples - waterS0 x water, MIN_SIGNAL) into `trial`. */
  function fitTrial(waterS0: number): void {
    functions.sumTissueLogs(
      at.design,
      at.samples,
      at.water,
      waterS0,
      MIN_SIGNAL,
      places,
      at.trial,
      at.table,
    );
    solveFactored(factor, 7, trial);
  }

  function fitTissue(s0: number): void {
    fitTrial(Math.min(state.guess, 0.8) * s0);
    for (let k = 0; k < 6; k++) self.tensor[k] = trial[k];
  }

  function plainMeanDiffusivity(): number {
    fitTrial(0);
    const diffusivity = ((trial[0] + trial[2] + trial[5]) / 3) * design.unit;
    // Tissue alone has about 0.5e-3 here, where signals weigh by their squares, and half water 1e-3.
    state.guess = Math.min(Math.max((diffusivity - 0.5e-3) / 1e-3, 0.1), 0.9);
    return diffusivity;
  }

  function waterS0(): number {
    let product = 0;
    let square = 0;
    for (let i = 0; i < places; i++) {
      product += samples[i] * water[i];
      square += water[i] * water[i];
    }
    return Math.max(product / square, 0);
  }

  function run(s0: number, rounds: number): boolean {
    state.voxelS0 = s0;
    state.bestCost = Number.POSITIVE_INFINITY;
    const smoothTo = amountWithoutJumps() / s0;
    tryCoarsely(smoothTo);
    if (state.bestCost === Number.POSITIVE_INFINITY) return false;
    for (let round = 1, step = 0.1; round < rounds; round++) {
      if (self.f + step < smoothTo) {
        tryFinely(step, rounds - round);
        break;
      }
      valley.leftCost = Number.NaN;
      valley.rightCost = Number.NaN;
      const finer = step * 0.1;
      scan(self.f - step + finer, self.f + step - finer, FINE_TRIALS);
      step = finer;
    }
    for (let k = 0; k < 6; k++) self.tensor[k] = best[k];
    // The logarithm was taken of (1-f) S0 exp(...), so its constant holds ln (1-f) as well.
    self.s0 = exp(best[6]) / (1 - self.f);
    return true;
  }

  /** The amount of water below which no sample's rest is lifted: up to there the cost has no jumps. */
  function amountWithoutJumps(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < places; i++) {
      if (samples[i] > 0) least = Math.min(least, samples[i] / water[i]);
    }
    return least;
  }

  /** Keeps the best of `trials` evenly spaced f, the first of equals. */
  function scan(start: number, end: number, trials: number): void {
    const stride = (end - start) / (trials - 1);
    for (let k = 0; k < trials; k++) tryAt(k === trials - 1 ? end : k * stride + start);
  }

  /** The first round: step by step to where the cost is least, and all f where it may jump. */
  function tryCoarsely(smoothTo: number): void {
    const smooth = Math.min(COARSE_TRIALS, Math.ceil(10 * smoothTo) - 1);
    valley.leftCost = Number.NaN;
    valley.rightCost = Number.NaN;
    if (smooth > 0) {
      valley.left = 0;
      valley.right = smooth + 1;
      valley.place = Math.min(Math.round(10 * state.guess), smooth);
      valley.cost = coarseCost(valley.place);
      walk(valley, coarseCost);
    }
    const smoothBest = state.bestCost;
    for (let place = Math.max(smooth, 0) + 1; place <= COARSE_TRIALS; place++) coarseCost(place);
    if (state.bestCost < smoothBest) {
      valley.leftCost = Number.NaN;
      valley.rightCost = Number.NaN;
    }
  }

  const coarseCost = (place: number) => tryAt(0.1 * place);

  /** The rounds that are left, all at once: their finest steps between the neighbours of the best so far. */
  function tryFinely(step: number, rounds: number): void {
    let reach = 1;
    for (let round = 0; round < rounds; round++) reach *= 10;
    state.centre = self.f;
    state.step = step / reach;
    valley.place = 0;
    valley.cost = state.bestCost;
    valley.left = -reach;
    valley.right = reach;
    if (Number.isNaN(valley.leftCost)) valley.leftCost = costAt(state.centre - step);
    if (Number.isNaN(valley.rightCost)) valley.rightCost = costAt(state.centre + step);
    descend(valley, fineCost);
  }

  const fineCost = (place: number) => tryAt(state.centre + place * state.step);

  /** The cost with this f, which is kept if it is the best so far: the least of equals. */
  function tryAt(f: number): number {
    const cost = costAt(f);
    if (cost < state.bestCost || (cost === state.bestCost && f < self.f)) {
      self.f = f;
      state.bestCost = cost;
      best.set(trial);
    }
    return cost;
  }

  /** Sum of squares of what the trial fit with this f leaves of the samples. */
  function costAt(f: number): number {
    const amount = f * state.voxelS0;
    fitTrial(amount);
    return functions.trialCost(at.design, at.trial, at.samples, at.water, amount, places, at.table);
  }

  const self: FreeWaterGrid = {
    f: 0,
    s0: 0,
    tensor: new Float64Array(6),
    prepare,
    plainMeanDiffusivity,
    waterS0,
    fitTissue,
    run,
  };
  return self;
}
