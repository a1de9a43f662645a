/** The linear stage of the free-water model: for each f of a grid a weighted fit of ln S, of which the best is kept. */
import { exp } from "./elementary.ts";
import type { FreeWaterMemory } from "./freewaterMemory.ts";
import { factorize, solveFactored } from "./leastSquares.ts";
import { spreadProducts, type TensorDesign } from "./tensor.ts";

/** Signals at or below this are none, and smaller ones are lifted to it before a logarithm. */
export const MIN_SIGNAL = 1e-6;
/** Below this share of a diagonal entry the weighted design counts as singular. */
const SMALLEST_SHARE = 1e-13;

/** Values of f in the rounds after the first, and which of them is the best of the round before. */
const FINE_TRIALS = 19;
const MIDDLE = 9;

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
  /** The scaled tensor of a weighted fit with this f, in `tensor`, for a start of the nonlinear search. */
  fitTissue(f: number, s0: number): void;
  /** Tries nine f from 0.1 to 0.9 in the first round, then nineteen around the best in steps ten times smaller. */
  round(): void;
}

/** A grid over the memory's samples, which the caller fills anew for each voxel. */
export function createFreeWaterGrid(design: TensorDesign, memory: FreeWaterMemory): FreeWaterGrid {
  const { functions, arrays, at, places } = memory;
  const { samples, water, weights, trial } = arrays;
  const factor = new Float64Array(49);
  const best = new Float64Array(7);
  // Fields and not variables: a captured variable costs an allocation for every number stored in it.
  const state = {
    voxelS0: 0.5,
    bestCost: 0.5,
    low: 0.5,
    high: 0.5,
    step: 0.5,
    smoothTo: 0.5,
    vertex: 0.5,
    place: 0,
  };
  const costs = new Float64Array(FINE_TRIALS);

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

  function fitTissue(f: number, s0: number): void {
    fitTrial(f * s0);
    for (let k = 0; k < 6; k++) self.tensor[k] = trial[k];
  }

  function plainMeanDiffusivity(): number {
    fitTrial(0);
    return ((trial[0] + trial[2] + trial[5]) / 3) * design.unit;
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

  function begin(s0: number): void {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < places; i++) {
      if (samples[i] > 0) least = Math.min(least, samples[i] / water[i]);
    }
    state.smoothTo = least / s0;
    state.voxelS0 = s0;
    state.low = 0;
    state.high = 1;
    state.step = 1;
  }

  function round(): void {
    const step = state.step * 0.1;
    const { low, high } = state;
    if (state.step === 1) scan(low + step, high - step, 9);
    else if (high >= state.smoothTo) scan(low + step, high - step, FINE_TRIALS);
    else descend(low + step, high - step);
    state.step = step;
    state.low = self.f - step;
    state.high = self.f + step;
    for (let k = 0; k < 6; k++) self.tensor[k] = best[k];
    // The logarithm was taken of (1-f) S0 exp(...), so its constant holds ln (1-f) as well.
    self.s0 = exp(best[6]) / (1 - self.f);
  }

  /** Keeps the best of `trials` evenly spaced f, the first of equals. */
  function scan(start: number, end: number, trials: number): void {
    const stride = (end - start) / (trials - 1);
    for (let k = 0; k < trials; k++) {
      const f = k === trials - 1 ? end : k * stride + start;
      costs[k] = costAt(f);
      if (k === 0 || costs[k] < state.bestCost) keep(f, k);
    }
    state.vertex = vertexOf(costs, state.place, trials);
  }

  /**
   * The same by going down from where a parabola through the round before has its vertex: between the
   * kinks of the logarithm's floor the cost has one valley there. The middle is the best so far.
   */
  function descend(start: number, end: number): void {
    const stride = (end - start) / (FINE_TRIALS - 1);
    const middle = state.bestCost;
    costs.fill(-1);
    costs[MIDDLE] = middle;
    state.place = MIDDLE;
    const offset = Math.round(Math.min(Math.max(10 * state.vertex, -9), 9));
    let place = MIDDLE + offset;
    visit(place, start, stride);
    for (;;) {
      if (place > 0 && visit(place - 1, start, stride) <= costs[place]) place--;
      else if (place < FINE_TRIALS - 1 && visit(place + 1, start, stride) < costs[place]) place++;
      else break;
    }
    if (costs[place] > middle) scan(start, end, FINE_TRIALS);
    else state.vertex = vertexOf(costs, place, FINE_TRIALS);
  }

  /** The cost at a place of the finer grid. */
  function visit(place: number, start: number, stride: number): number {
    if (costs[place] >= 0) return costs[place];
    const f = place * stride + start;
    costs[place] = costAt(f);
    if (costs[place] < state.bestCost) keep(f, place);
    return costs[place];
  }

  function keep(f: number, place: number): void {
    self.f = f;
    state.bestCost = costs[place];
    state.place = place;
    best.set(trial);
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
    begin,
    fitTissue,
    round,
  };
  return self;
}

/** Where the parabola through a place and its neighbours is least, as an offset in places; 0 at the ends. */
function vertexOf(costs: Float64Array, place: number, trials: number): number {
  if (place === 0 || place === trials - 1) return 0;
  const below = costs[place - 1] - costs[place];
  const above = costs[place + 1] - costs[place];
  return below + above > 0 ? (0.5 * (below - above)) / (below + above) : 0;
}
