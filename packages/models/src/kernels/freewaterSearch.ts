/**
 * The nonlinear stage of the free-water model: least squares of the signal in D, S0 and f, by variable
 * projection (Golub & Pereyra 1973). The model a t(D) + c w is linear in the S0 of tissue and water, a = (1-f) S0
 * and c = f S0; for each D both are solved for, neither below 0, so that the search is one for six unknowns.
 */
import type { FreeWaterMemory } from "./freewaterMemory.ts";
import { createMinimiser, type LeastSquaresProblem, type Limits } from "./levenbergMarquardt.ts";
import { spreadProducts, type TensorDesign } from "./tensor.ts";

const UNKNOWNS = 6;
/** Mean diffusivity of tissue, mm²/s. */
const TISSUE_DIFFUSIVITY = 0.8e-3;

export interface FreeWaterSearch {
  /** Scaled. */
  readonly tensor: Float64Array;
  f: number;
  s0: number;
  converged: boolean;
  evaluations: number;
  /** The sum of squares reached, over the square of the mean b0 signal. */
  cost: number;
  /** What share of the signal's sum of squares that is. */
  noise: number;
  /** The scaled tensor of isotropic tissue: a start where there is no better one. */
  readonly typical: Float64Array;
  /** Starts from a scaled tensor; takes the mean b0 signal for a unit. */
  run(tensor: Float64Array, s0: number): void;
}

/** A search over the memory's samples, which the caller fills anew for each voxel. */
export function createFreeWaterSearch(
  design: TensorDesign,
  memory: FreeWaterMemory,
): FreeWaterSearch {
  const { samples, signal, trial } = memory.arrays;
  const problem = createFreeWaterProblem(memory);
  // Near pure water the valley is long: some voxels take over a thousand evaluations.
  const limits: Limits = { gain: 1e-12, step: 1e-10, evaluations: 2000, exactCost: 0 };
  const minimiser = createMinimiser(problem, limits);
  const x = new Float64Array(UNKNOWNS);
  // A field and not a variable: a captured variable costs an allocation for every number stored in it.
  const state = { square: 0.5 };
  const tissueD = TISSUE_DIFFUSIVITY / design.unit;
  const typical = Float64Array.of(tissueD, 0, tissueD, 0, 0, tissueD);

  function run(tensor: Float64Array, s0: number): void {
    let square = 0;
    for (let i = 0; i < signal.length; i++) {
      signal[i] = samples[i] / s0;
      square += signal[i] * signal[i];
    }
    state.square = square;
    limits.exactCost = 1e-29 * square;
    problem.begin();
    descend(tensor, s0);
    // Without tissue the cost has no slope: from a start that leaves it nothing there is no way on.
    if (problem.tissue > 0) return;
    const { evaluations, cost, f } = self;
    const alone = self.s0;
    descend(typical, s0);
    self.evaluations += evaluations;
    // A cost may have been no number.
    if (!(self.cost >= cost)) return;
    self.cost = cost;
    self.f = f;
    self.s0 = alone;
  }

  function descend(tensor: Float64Array, s0: number): void {
    for (let k = 0; k < UNKNOWNS; k++) x[k] = tensor[k];
    minimiser.minimise(x);
    // Where the last trial was refused, the amounts are its own.
    if (!startsWith(trial, x)) problem.cost(x);
    self.tensor.set(x);
    const sum = problem.tissue + problem.water;
    self.f = sum > 0 ? problem.water / sum : 0;
    self.s0 = s0 * sum;
    self.converged = minimiser.converged;
    self.evaluations = minimiser.evaluations;
    self.cost = minimiser.cost;
    self.noise = self.cost / state.square;
  }

  const self: FreeWaterSearch = {
    tensor: new Float64Array(UNKNOWNS),
    f: 0,
    s0: 0,
    converged: false,
    evaluations: 0,
    cost: 0,
    noise: 0,
    typical,
    run,
  };
  return self;
}

function startsWith(values: Float64Array, x: Float64Array): boolean {
  for (let k = 0; k < x.length; k++) if (values[k] !== x[k]) return false;
  return true;
}

/** The cost of a tensor: what the best amounts of tissue and water leave of the memory's `signal`. */
export interface FreeWaterProblem extends LeastSquaresProblem {
  /** At the tensor that `cost` saw last: S0 of the tissue and of the water, in the signal's unit. */
  tissue: number;
  water: number;
  /** To be called when the signal is another. */
  begin(): void;
}

export function createFreeWaterProblem(memory: FreeWaterMemory): FreeWaterProblem {
  const { functions, arrays, at, places } = memory;
  const { trial, decaySums, productSums, weightSums, pullSums, mixedSums } = arrays;
  // Fields and not variables: a captured variable costs an allocation for every number stored in it.
  const state = { waterSquares: 0.5, waterBySignal: 0.5 };

  function begin(): void {
    const { water, signal } = arrays;
    let squares = 0;
    let bySignal = 0;
    for (let i = 0; i < places; i++) {
      squares += water[i] * water[i];
      bySignal += water[i] * signal[i];
    }
    state.waterSquares = squares;
    state.waterBySignal = bySignal;
  }

  function cost(x: Float64Array): number {
    for (let k = 0; k < UNKNOWNS; k++) trial[k] = x[k];
    functions.takeDecay(
      at.design,
      at.trial,
      at.water,
      at.signal,
      places,
      at.tissue,
      at.decaySums,
      at.table,
    );
    project();
    return functions.sumSquares(at.tissue, at.water, at.signal, self.tissue, self.water, places);
  }

  /** The best amounts that are not below 0, from the products of t, w and signal. */
  function project(): void {
    const squares = decaySums[0];
    const mixed = decaySums[1];
    const bySignal = decaySums[2];
    const { waterSquares, waterBySignal } = state;
    const determinant = squares * waterSquares - mixed * mixed;
    const tissue = (bySignal * waterSquares - waterBySignal * mixed) / determinant;
    const water = (waterBySignal * squares - bySignal * mixed) / determinant;
    // Where tissue decays as water does, any mixture is as good, and the tissue has it all.
    const independent = determinant > 1e-14 * (squares * waterSquares);
    if (independent && tissue > 0 && water > 0) {
      self.tissue = tissue;
      self.water = water;
      return;
    }
    const tissueGain = bySignal > 0 ? (bySignal * bySignal) / squares : 0;
    const waterGain = waterBySignal > 0 ? (waterBySignal * waterBySignal) / waterSquares : 0;
    const isTissue = !(waterGain > tissueGain * (1 + 1e-12));
    self.tissue = isTissue ? Math.max(0, bySignal / squares) : 0;
    self.water = isTissue ? 0 : waterBySignal / waterSquares;
  }

  function linearize(matrix: Float64Array, gradient: Float64Array): void {
    functions.takeCurvature(
      at.tissue,
      at.water,
      at.signal,
      self.tissue,
      self.water,
      places,
      at.weights,
      at.pulls,
      at.mixed,
    );
    functions.sumProducts(at.products, at.weights, places, at.productSums);
    functions.sumColumns(at.design, at.weights, places, at.weightSums);
    functions.sumColumns(at.design, at.pulls, places, at.pullSums);
    functions.sumColumns(at.design, at.mixed, places, at.mixedSums);
    spreadProducts(productSums, matrix, UNKNOWNS);
    for (let k = 0; k < UNKNOWNS; k++) gradient[k] = pullSums[k];
    if (self.tissue > 0) eliminate(matrix);
  }

  /** Takes from the second derivatives what the amounts follow: their Schur complement. */
  function eliminate(matrix: Float64Array): void {
    const squares = decaySums[0];
    const mixed = decaySums[1];
    // The amounts' own 2 x 2 matrix is factorized: first the tissue, then what water has beside it.
    const share = mixed / squares;
    const rest = self.water > 0 ? state.waterSquares - share * mixed : Number.POSITIVE_INFINITY;
    for (let i = 0; i < UNKNOWNS; i++) {
      const tissue = weightSums[i] / self.tissue;
      const water = mixedSums[i] - share * tissue;
      for (let j = 0; j <= i; j++) {
        const other = weightSums[j] / self.tissue;
        matrix[i * UNKNOWNS + j] -=
          (tissue * other) / squares + (water * (mixedSums[j] - share * other)) / rest;
      }
    }
  }

  const self: FreeWaterProblem = {
    unknowns: UNKNOWNS,
    tissue: 0,
    water: 0,
    begin,
    cost,
    linearize,
  };
  return self;
}
