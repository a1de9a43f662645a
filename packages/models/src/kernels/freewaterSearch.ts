/** The nonlinear stage of the free-water model: least squares of the signal in D, S0 and f. */
import { cos, exp, sin } from "./elementary.ts";
import { WATER_DIFFUSIVITY } from "./freewaterGrid.ts";
import { createMinimiser, type LeastSquaresProblem, type Limits } from "./levenbergMarquardt.ts";
import { spreadProducts, sumProducts, type TensorDesign } from "./tensor.ts";

/** Unknowns: the scaled tensor (6), ln of S0 over the mean b0 signal, and the angle t of f = (1 - cos t) / 2. */
const UNKNOWNS = 8;
const LN_S0 = 6;
const ANGLE = 7;

export interface FreeWaterSearch {
  readonly tensor: Float64Array;
  f: number;
  s0: number;
  converged: boolean;
  evaluations: number;
  /** Starts from eigenvalues (mm²/s), eigenvectors, f and the mean b0 signal. */
  run(values: Float64Array, vectors: Float64Array, unit: number, f: number, s0: number): void;
}

/** A search over `samples`, which the caller fills anew for each voxel. */
export function createFreeWaterSearch(
  design: TensorDesign,
  samples: Float64Array,
): FreeWaterSearch {
  const signal = new Float64Array(design.samples);
  const problem = createFreeWaterProblem(design, signal);
  // Near pure water the valley is long: some voxels take over a thousand evaluations.
  const limits: Limits = { gain: 1e-12, step: 1e-10, evaluations: 2000, exactCost: 0 };
  const minimiser = createMinimiser(problem, limits);
  const x = new Float64Array(UNKNOWNS);

  function run(
    values: Float64Array,
    vectors: Float64Array,
    unit: number,
    f: number,
    s0: number,
  ): void {
    let square = 0;
    for (let i = 0; i < signal.length; i++) {
      signal[i] = samples[i] / s0;
      square += signal[i] * signal[i];
    }
    limits.exactCost = 1e-29 * square;
    composeTensor(values, vectors, 1 / unit, x);
    x[LN_S0] = 0;
    x[ANGLE] = angleOf(f);
    minimiser.minimise(x);
    for (let k = 0; k < 6; k++) self.tensor[k] = x[k];
    self.f = 0.5 * (1 - cos(x[ANGLE]));
    self.s0 = s0 * exp(x[LN_S0]);
    self.converged = minimiser.converged;
    self.evaluations = minimiser.evaluations;
  }

  const self: FreeWaterSearch = {
    tensor: new Float64Array(6),
    f: 0,
    s0: 0,
    converged: false,
    evaluations: 0,
    run,
  };
  return self;
}

/** V diag(values) V' times `factor` as (xx, xy, yy, xz, yz, zz). */
function composeTensor(
  values: Float64Array,
  vectors: Float64Array,
  factor: number,
  into: Float64Array,
): void {
  for (let row = 0, at = 0; row < 3; row++) {
    for (let column = 0; column <= row; column++, at++) {
      let sum = 0;
      for (let k = 0; k < 3; k++) {
        sum += values[k] * factor * (vectors[3 * row + k] * vectors[3 * column + k]);
      }
      into[at] = sum;
    }
  }
}

/** The angle in 0..pi whose f is given, 0 < f < 1, by Newton's iteration (f rises all the way). */
function angleOf(f: number): number {
  let angle = 1.5707963267948966;
  for (let round = 0; round < 60; round++) {
    const correction = (f - 0.5 * (1 - cos(angle))) / (0.5 * sin(angle));
    angle += Math.min(Math.max(correction, -0.5 * angle), 0.5 * (Math.PI - angle));
    if (Math.abs(correction) <= 1e-15 * angle) break;
  }
  return angle;
}

/**
 * The residuals model - signal of the free-water model with their analytic derivatives. `signal` is
 * over the mean b0 signal; the caller fills it.
 *
 * With tissue t = e^x6 exp(row.D), water s = e^x6 exp(-b 3e-3) and model m = (1-f) t + f s, the
 * derivatives of m are (1-f) t row by D, m by x6, and (s - t) f' by the angle, f' = sin(angle) / 2.
 */
export function createFreeWaterProblem(
  design: TensorDesign,
  signal: Float64Array,
): LeastSquaresProblem {
  const { samples: count, rows, products } = design;
  const water = Float64Array.from(design.scaledB, (b) =>
    exp(-(b / design.unit) * WATER_DIFFUSIVITY),
  );
  const tissue = new Float64Array(count);
  const squares = new Float64Array(count);
  const sums = new Float64Array(15);
  const crossSums = new Float64Array(18);
  // Fields and not variables: a captured variable costs an allocation for every number stored in it.
  const state = { f: 0.5, slope: 0.5, bend: 0.5, growth: 0.5 };

  function cost(x: Float64Array): number {
    const d0 = x[0];
    const d1 = x[1];
    const d2 = x[2];
    const d3 = x[3];
    const d4 = x[4];
    const d5 = x[5];
    const constant = x[LN_S0];
    const cosine = cos(x[ANGLE]);
    const f = 0.5 * (1 - cosine);
    const growth = exp(constant);
    state.f = f;
    state.slope = 0.5 * sin(x[ANGLE]);
    state.bend = 0.5 * cosine;
    state.growth = growth;
    const tissueShare = 1 - f;
    const waterShare = f * growth;
    let sum = 0;
    for (let i = 0, at = 0; i < count; i++, at += 6) {
      const value = exp(
        constant +
          (rows[at] * d0 + rows[at + 1] * d1 + rows[at + 2] * d2) +
          (rows[at + 3] * d3 + rows[at + 4] * d4 + rows[at + 5] * d5),
      );
      tissue[i] = value;
      const residual = tissueShare * value + waterShare * water[i] - signal[i];
      sum += residual * residual;
    }
    return sum;
  }

  function linearize(matrix: Float64Array, gradient: Float64Array): void {
    for (let i = 0; i < count; i++) squares[i] = tissue[i] * tissue[i];
    sumProducts(products, squares, count, sums);
    const { f, growth } = state;
    const share = 1 - f;
    for (let m = 0; m < 15; m++) sums[m] *= share * share;
    spreadProducts(sums, matrix, UNKNOWNS);
    sumCrossTerms(rows, tissue, water, signal, share, f, growth, crossSums);
    fillBorder(matrix, gradient);
  }

  /** Rows 6 and 7 of the matrix and the gradient, from the sums of `sumCrossTerms`. */
  function fillBorder(matrix: Float64Array, gradient: Float64Array): void {
    const { f, growth, slope, bend } = state;
    const share = 1 - f;
    const sixth = LN_S0 * UNKNOWNS;
    const seventh = ANGLE * UNKNOWNS;
    for (let k = 0; k < 6; k++) {
      gradient[k] = share * crossSums[k];
      matrix[sixth + k] = share * crossSums[6 + k];
      matrix[seventh + k] = share * slope * crossSums[12 + k];
    }
    let models = 0;
    let mixed = 0;
    let differences = 0;
    let pullByModel = 0;
    let pullByF = 0;
    for (let i = 0; i < count; i++) {
      const other = growth * water[i];
      const model = share * tissue[i] + f * other;
      const difference = other - tissue[i];
      const residual = model - signal[i];
      models += model * model;
      mixed += model * difference;
      differences += difference * difference;
      pullByModel += residual * model;
      pullByF += residual * difference;
    }
    matrix[sixth + LN_S0] = models;
    matrix[seventh + LN_S0] = slope * mixed;
    // Where f nears 0 or 1 its slope vanishes and the curvature of f(angle) is all that holds the
    // angle; it is left out where it would make the model concave.
    matrix[seventh + ANGLE] = slope * slope * differences + Math.max(0, pullByF * bend);
    gradient[LN_S0] = pullByModel;
    gradient[ANGLE] = slope * pullByF;
  }

  return { unknowns: UNKNOWNS, cost, linearize };
}

/** Sums of tissue x row x (residual | model | water - tissue), six of each, in three passes. */
function sumCrossTerms(
  rows: Float64Array,
  tissue: Float64Array,
  water: Float64Array,
  signal: Float64Array,
  share: number,
  f: number,
  growth: number,
  into: Float64Array,
): void {
  for (let pass = 0; pass < 3; pass++) {
    // Factors of tissue, water and signal for: model - signal, model, water - tissue.
    const tissueFactor = pass === 2 ? -1 : share;
    const waterFactor = pass === 2 ? growth : f * growth;
    const signalFactor = pass === 0 ? -1 : 0;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let s4 = 0;
    let s5 = 0;
    for (let i = 0, at = 0; i < tissue.length; i++, at += 6) {
      const factor = tissueFactor * tissue[i] + waterFactor * water[i] + signalFactor * signal[i];
      const value = tissue[i] * factor;
      s0 += value * rows[at];
      s1 += value * rows[at + 1];
      s2 += value * rows[at + 2];
      s3 += value * rows[at + 3];
      s4 += value * rows[at + 4];
      s5 += value * rows[at + 5];
    }
    into[6 * pass] = s0;
    into[6 * pass + 1] = s1;
    into[6 * pass + 2] = s2;
    into[6 * pass + 3] = s3;
    into[6 * pass + 4] = s4;
    into[6 * pass + 5] = s5;
  }
}
