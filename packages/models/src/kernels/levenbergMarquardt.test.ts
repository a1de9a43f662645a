import { describe, expect, it } from "vitest";
import { createMinimiser, type LeastSquaresProblem, type Limits } from "./levenbergMarquardt.ts";

const LIMITS: Limits = { gain: 1e-14, step: 1e-12, evaluations: 300, exactCost: 0 };

/** A problem of plain residuals and their derivatives, [residual][unknown]. */
function problemOf(
  unknowns: number,
  residuals: (x: Float64Array) => number[],
  jacobian: (x: Float64Array) => number[][],
): LeastSquaresProblem {
  let at = new Float64Array(unknowns);
  return {
    unknowns,
    cost(x) {
      at = x.slice();
      return residuals(x).reduce((sum, r) => sum + r * r, 0);
    },
    linearize(matrix, gradient) {
      const rows = jacobian(at);
      const values = residuals(at);
      for (let i = 0; i < unknowns; i++) {
        gradient[i] = rows.reduce((sum, row, r) => sum + row[i] * values[r], 0);
        for (let j = 0; j <= i; j++) {
          matrix[i * unknowns + j] = rows.reduce((sum, row) => sum + row[i] * row[j], 0);
        }
      }
    },
  };
}

const rosenbrock = problemOf(
  2,
  ([x, y]) => [10 * (y - x * x), 1 - x],
  ([x]) => [
    [-20 * x, 10],
    [-1, 0],
  ],
);

/** Powell's singular function: the Jacobian loses rank at the solution, 0. */
const powell = problemOf(
  4,
  ([a, b, c, d]) => [
    a + 10 * b,
    Math.sqrt(5) * (c - d),
    (b - 2 * c) ** 2,
    Math.sqrt(10) * (a - d) ** 2,
  ],
  ([a, b, c, d]) => [
    [1, 10, 0, 0],
    [0, 0, Math.sqrt(5), -Math.sqrt(5)],
    [0, 2 * (b - 2 * c), -4 * (b - 2 * c), 0],
    [2 * Math.sqrt(10) * (a - d), 0, 0, -2 * Math.sqrt(10) * (a - d)],
  ],
);

describe("createMinimiser", () => {
  it("finds Rosenbrock's minimum from the usual and from far starts", () => {
    for (const start of [
      [-1.2, 1],
      [-12, 10],
      [120, -100],
    ]) {
      const x = Float64Array.from(start);
      const minimiser = createMinimiser(rosenbrock, LIMITS);
      minimiser.minimise(x);
      expect(minimiser.converged).toBe(true);
      expect(x[0]).toBeCloseTo(1, 8);
      expect(x[1]).toBeCloseTo(1, 8);
      expect(minimiser.evaluations).toBeLessThan(120);
    }
  });

  it("comes near Powell's singular minimum", () => {
    const x = Float64Array.of(3, -1, 0, 1);
    const minimiser = createMinimiser(powell, LIMITS);
    minimiser.minimise(x);
    expect(minimiser.cost).toBeLessThan(1e-12);
    for (const value of x) expect(Math.abs(value)).toBeLessThan(1e-3);
  });

  it("solves a linear problem with a dependent column", () => {
    const linear = problemOf(
      3,
      ([a, b, c]) => [a + b - 3, a + b + c - 1, c + 1],
      () => [
        [1, 1, 0],
        [1, 1, 1],
        [0, 0, 1],
      ],
    );
    const x = Float64Array.of(5, 5, 5);
    const minimiser = createMinimiser(linear, LIMITS);
    minimiser.minimise(x);
    expect(x[0] + x[1]).toBeCloseTo(8 / 3, 6);
    expect(x[2]).toBeCloseTo(-4 / 3, 6);
    expect(minimiser.converged).toBe(true);
  });

  it("never makes things worse and draws back from where the cost is no number", () => {
    const walled = problemOf(
      1,
      ([x]) => [x < 0 ? Number.NaN : Math.sqrt(x) + 0.5 * x - 1.2],
      ([x]) => [[0.5 / Math.sqrt(x) + 0.5]],
    );
    const x = Float64Array.of(40);
    const minimiser = createMinimiser(walled, LIMITS);
    minimiser.minimise(x);
    expect(minimiser.cost).toBeLessThan(1e-20);
    expect(Math.sqrt(x[0]) + 0.5 * x[0]).toBeCloseTo(1.2, 10);
  });

  it("says that it has not converged at its limit, and leaves x where the start has no cost", () => {
    const short = createMinimiser(rosenbrock, { ...LIMITS, evaluations: 4 });
    const x = Float64Array.of(-1.2, 1);
    short.minimise(x);
    expect(short.converged).toBe(false);
    expect(short.evaluations).toBe(4);
    expect(short.cost).toBeLessThan(24.2);
    const bad = Float64Array.of(Number.NaN, 1);
    short.minimise(bad);
    expect(short.converged).toBe(false);
    expect(bad[1]).toBe(1);
  });

  it("keeps nothing from one search to the next", () => {
    const shared = createMinimiser(rosenbrock, LIMITS);
    shared.minimise(Float64Array.of(120, -100));
    const x = Float64Array.of(-1.2, 1);
    shared.minimise(x);
    const fresh = Float64Array.of(-1.2, 1);
    createMinimiser(rosenbrock, LIMITS).minimise(fresh);
    expect(x).toEqual(fresh);
  });
});
