import { describe, expect, it } from "vitest";
import { greatestDifference, randomNumbers } from "../csd/testing.ts";
import { cholesky, solveCholesky, timesTransposed, transposed } from "./cholesky.ts";

const random = randomNumbers(5);
const numbers = (count: number) => Float64Array.from({ length: count }, () => random() - 0.5);

describe("cholesky", () => {
  it.each([1, 2, 7, 45])("factorises and solves a system of %i unknowns", (n) => {
    const panel = numbers(n * 2 * n);
    const system = timesTransposed(panel, panel, 2 * n);
    const { factor, pivot } = cholesky(system, n);
    expect(greatestDifference(timesTransposed(factor, factor, n), system)).toBeLessThan(1e-12);
    const diagonal = Array.from({ length: n }, (_, i) => factor[i * n + i] ** 2);
    expect(pivot / Math.min(...diagonal)).toBeCloseTo(1, 12);
    const truth = numbers(n);
    const x = timesTransposed(system, truth, n);
    solveCholesky(factor, n, x);
    expect(greatestDifference(x, truth)).toBeLessThan(1e-11);
  });

  it("has no pivot where a matrix is not positive definite", () => {
    for (const bad of [0, -1, Number.NaN]) {
      expect(cholesky(Float64Array.of(4, 0, 0, bad), 2).pivot).toBe(0);
      expect(cholesky(Float64Array.of(bad, 0, 0, 4), 2).pivot).toBe(0);
    }
  });

  it("transposes", () => {
    expect(Array.from(transposed(Float64Array.of(1, 2, 3, 4, 5, 6), 3))).toEqual([
      1, 4, 2, 5, 3, 6,
    ]);
  });
});
