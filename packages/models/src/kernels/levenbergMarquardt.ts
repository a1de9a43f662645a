/**
 * Nonlinear least squares by the Levenberg-Marquardt method as a scaled trust region (Moré, "The
 * Levenberg-Marquardt algorithm: implementation and theory", 1978), on the normal equations.
 */
import { factorize, solveFactored } from "./leastSquares.ts";

/** A sum of squares to be made small. */
export interface LeastSquaresProblem {
  readonly unknowns: number;
  /** Sum of squares at x; may be Infinity or NaN, which counts as worse than any number. */
  cost(x: Float64Array): number;
  /**
   * At the x that `cost` saw last: the lower triangle of J'J (or a better model of half the second
   * derivative; `unknowns` squared, by rows), and J'r, half the gradient.
   */
  linearize(matrix: Float64Array, halfGradient: Float64Array): void;
}

export interface Limits {
  /** Ends where the model promises a smaller relative gain than this, or will after a step, as gains have fallen so far. */
  readonly gain: number;
  /** Ends where the trust region is smaller than this share of the scaled x. */
  readonly step: number;
  readonly evaluations: number;
  /** Ends at this cost: the data are met to rounding. Set for each search. */
  exactCost: number;
}

export interface Minimiser {
  /** Improves x in place. */
  minimise(x: Float64Array): void;
  /** Of the last search: whether it ended by itself and not at its limit. */
  converged: boolean;
  /** Of the last search: evaluations of the cost. */
  evaluations: number;
  /** Of the last search: the cost reached. */
  cost: number;
}

/** Makes the workspaces of a search; nothing is allocated or kept between searches. */
export function createMinimiser(problem: LeastSquaresProblem, limits: Limits): Minimiser {
  const n = problem.unknowns;
  const matrix = new Float64Array(n * n);
  const gradient = new Float64Array(n);
  const scale = new Float64Array(n);
  const candidate = new Float64Array(n);
  const region = createTrustRegion(n);

  function minimise(x: Float64Array): void {
    self.evaluations = 1;
    self.cost = problem.cost(x);
    self.converged = false;
    if (!(self.cost < Number.POSITIVE_INFINITY)) return;
    scale.fill(0);
    let radius = 0;
    let damping = 0;
    let fresh = true;
    // What the last step gained, where it was a whole one: from it follows how fast gains fall.
    let lastGain = 0;
    while (self.evaluations < limits.evaluations) {
      if (self.cost <= limits.exactCost) break;
      if (fresh) {
        problem.linearize(matrix, gradient);
        growScale(scale, matrix, n);
        region.load(matrix, gradient, scale);
        if (self.evaluations === 1) radius = firstRadius(x, scale);
      }
      damping = region.step(radius, damping);
      if (self.evaluations === 1) radius = Math.min(radius, region.length);
      const promised = region.promised / self.cost;
      if (promised <= limits.gain) break;
      for (let j = 0; j < n; j++) candidate[j] = x[j] + region.direction[j] / scale[j];
      const cost = problem.cost(candidate);
      self.evaluations++;
      const gained = cost < 100 * self.cost ? 1 - cost / self.cost : -1;
      const ratio = gained / promised;
      if (ratio <= 0.25) {
        const factor = gained < 0 ? shrinkage(gained, region, self.cost) : 0.5;
        radius = factor * Math.min(radius, region.length * 10);
        damping /= factor;
      } else if (damping === 0 || ratio >= 0.75) {
        radius = region.length * 2;
        damping *= 0.5;
      }
      fresh = ratio >= 1e-4;
      if (fresh) {
        x.set(candidate);
        self.cost = cost;
        // Gains that fall faster and faster: the next one would be below this.
        if (ratio > 0.75 && promised * promised <= limits.gain * lastGain) break;
      }
      lastGain = fresh && damping === 0 ? promised : 0;
      if (radius <= limits.step * scaledLength(x, scale)) break;
    }
    self.converged = self.evaluations < limits.evaluations;
  }

  const self: Minimiser = { minimise, converged: false, evaluations: 0, cost: 0 };
  return self;
}

/** How far to draw in the region after a step that made things worse: to the minimum of a parabola through what is known. */
function shrinkage(gained: number, region: TrustRegion, cost: number): number {
  const slope = region.slope / cost;
  const factor = (0.5 * slope) / (slope + 0.5 * gained);
  return factor > 0.1 && factor < 0.5 ? factor : 0.1;
}

/** The scale of an unknown is the greatest length its column has had. */
function growScale(scale: Float64Array, matrix: Float64Array, n: number): void {
  for (let j = 0; j < n; j++) {
    const length = Math.sqrt(Math.abs(matrix[j * n + j]));
    if (length > scale[j]) scale[j] = length;
    if (scale[j] === 0) scale[j] = 1;
  }
}

function scaledLength(x: Float64Array, scale: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < x.length; j++) sum += x[j] * scale[j] * (x[j] * scale[j]);
  return Math.sqrt(sum);
}

function firstRadius(x: Float64Array, scale: Float64Array): number {
  const length = scaledLength(x, scale);
  return length > 0 ? 100 * length : 100;
}

interface TrustRegion {
  /** Scaled step: the step of unknown j is direction[j] / scale[j]. */
  readonly direction: Float64Array;
  length: number;
  /** What the quadratic model says the step takes off the cost. */
  promised: number;
  /** Slope of half the cost along the step, below 0. */
  slope: number;
  load(matrix: Float64Array, gradient: Float64Array, scale: Float64Array): void;
  /** Finds the step of at most (about) `radius`; takes the last damping as a first guess and returns the one used. */
  step(radius: number, damping: number): number;
}

function createTrustRegion(n: number): TrustRegion {
  const scaled = new Float64Array(n * n);
  const gradient = new Float64Array(n);
  const factor = new Float64Array(n * n);
  const work = new Float64Array(n);
  const direction = new Float64Array(n);

  function load(matrix: Float64Array, raw: Float64Array, scale: Float64Array): void {
    for (let i = 0; i < n; i++) {
      gradient[i] = raw[i] / scale[i];
      for (let j = 0; j <= i; j++) scaled[i * n + j] = matrix[i * n + j] / (scale[i] * scale[j]);
    }
  }

  /** Solves with the damping on the diagonal; false where the matrix is not safely positive definite. */
  function solve(damping: number): boolean {
    factor.set(scaled);
    for (let i = 0; i < n; i++) factor[i * n + i] += damping;
    if (!(factorize(factor, n) > 1e-14)) return false;
    for (let i = 0; i < n; i++) direction[i] = -gradient[i];
    solveFactored(factor, n, direction);
    self.length = lengthOf(direction);
    return self.length < Number.POSITIVE_INFINITY;
  }

  /** |L^-1 direction|^2, from which follows how fast the step shortens with damping. */
  function shortening(): number {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      let value = direction[i];
      for (let k = 0; k < i; k++) value -= factor[i * n + k] * work[k];
      work[i] = value / factor[i * n + i];
      sum += work[i] * work[i];
    }
    return sum;
  }

  /** Newton's iteration on the step's length, kept between bounds that hold the solution. */
  function search(radius: number, guess: number): number {
    let upper = lengthOf(gradient) / radius;
    let lower = 0;
    if (solve(0)) {
      if (self.length <= 1.1 * radius) return 0;
      lower = (((self.length - radius) / radius) * (self.length * self.length)) / shortening();
    } else if (solve(1e-12)) {
      // Dependent columns: the least damping stands for the shortest of the undamped steps.
      if (self.length <= 1.1 * radius) return 1e-12;
      lower = 1e-12;
    }
    if (!(upper > lower)) upper = 2 * lower;
    let damping = guess > lower && guess < upper ? guess : Math.max(lower, 0.001 * upper);
    for (let round = 0; round < 12; round++) {
      if (!solve(damping)) {
        lower = damping;
        damping = Math.max(10 * damping, 0.001 * upper);
        continue;
      }
      const excess = self.length - radius;
      if (Math.abs(excess) <= 0.1 * radius) break;
      if (excess > 0) lower = Math.max(lower, damping);
      else upper = Math.min(upper, damping);
      const next = damping + ((excess / radius) * (self.length * self.length)) / shortening();
      damping = next > lower && next < upper ? next : 0.5 * (lower + upper);
    }
    return damping;
  }

  function step(radius: number, guess: number): number {
    const damping = search(radius, guess);
    let slope = 0;
    for (let i = 0; i < n; i++) slope += gradient[i] * direction[i];
    // From (B + damping) q = -g follows q'Bq = -g'q - damping |q|^2.
    self.slope = slope;
    self.promised = -slope + damping * self.length * self.length;
    return damping;
  }

  const self: TrustRegion = { direction, length: 0, promised: 0, slope: 0, load, step };
  return self;
}

function lengthOf(vector: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i] * vector[i];
  return Math.sqrt(sum);
}
