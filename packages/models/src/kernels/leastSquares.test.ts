import { describe, expect, it } from "vitest";
import { createPivotedWorkspace, factorize, solveFactored, solvePivoted } from "./leastSquares.ts";

/** Repeatable numbers in -1..1. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return (2 * state) / 2147483647 - 1;
  };
}

describe("factorize and solveFactored", () => {
  it("solve random positive definite systems of 1 to 8 unknowns", () => {
    const next = sequence(3);
    for (let n = 1; n <= 8; n++) {
      const rows = Array.from({ length: n + 5 }, () => Array.from({ length: n }, next));
      const matrix = new Float64Array(n * n);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          matrix[i * n + j] = rows.reduce((sum, row) => sum + row[i] * row[j], 0);
        }
      }
      const expected = Array.from({ length: n }, next);
      const x = Float64Array.from({ length: n }, (_, i) =>
        expected.reduce((sum, value, j) => sum + matrix[i * n + j] * value, 0),
      );
      expect(factorize(matrix, n)).toBeGreaterThan(0);
      solveFactored(matrix, n, x);
      for (let i = 0; i < n; i++) expect(Math.abs(x[i] - expected[i])).toBeLessThan(1e-11);
    }
  });

  it("tell how near to dependence the columns are", () => {
    expect(factorize(Float64Array.of(4, 0, 0, 9), 2)).toBe(1);
    expect(factorize(Float64Array.of(1, 0, 0.6, 1), 2)).toBeCloseTo(0.64, 12);
    expect(factorize(Float64Array.of(1, 1, 1, 1), 2)).toBe(0);
    expect(factorize(Float64Array.of(1, 2, 2, 1), 2)).toBe(0);
    expect(factorize(Float64Array.of(Number.NaN, 0, 0, 1), 2)).toBe(0);
  });
});

describe("solvePivoted", () => {
  const rows = 12;
  const columns = 5;
  const next = sequence(9);

  it("finds the minimum: the residual is orthogonal to every column", () => {
    const work = createPivotedWorkspace(rows, columns);
    const matrix = Float64Array.from(work.matrix, (_, i) => next() * 10 ** (i % columns));
    const right = Float64Array.from(work.rightHand, next);
    work.matrix.set(matrix);
    work.rightHand.set(right);
    const x = new Float64Array(columns);
    expect(solvePivoted(work, x)).toBe(true);
    for (let j = 0; j < columns; j++) {
      let dot = 0;
      let size = 0;
      for (let i = 0; i < rows; i++) {
        let residual = right[i];
        for (let k = 0; k < columns; k++) residual -= matrix[k * rows + i] * x[k];
        dot += residual * matrix[j * rows + i];
        size += Math.abs(matrix[j * rows + i]);
      }
      expect(Math.abs(dot)).toBeLessThan(1e-13 * size);
    }
  });

  it("keeps digits where the normal equations have none left", () => {
    const work = createPivotedWorkspace(3, 2);
    const small = 1e-9;
    work.matrix.set([1, small, 0, 1, 0, small]);
    work.rightHand.set([3, small, 2 * small]);
    const x = new Float64Array(2);
    expect(factorize(Float64Array.of(1 + small * small, 1, 1, 1 + small * small), 2)).toBe(0);
    expect(solvePivoted(work, x)).toBe(true);
    expect(x[0]).toBeCloseTo(1, 6);
    expect(x[1]).toBeCloseTo(2, 6);
  });

  it("refuses dependent columns and leaves x alone", () => {
    const work = createPivotedWorkspace(rows, columns);
    for (let i = 0; i < work.matrix.length; i++) work.matrix[i] = next();
    for (let i = 0; i < rows; i++) work.matrix[4 * rows + i] = 2 * work.matrix[rows + i];
    const x = new Float64Array(columns).fill(5);
    expect(solvePivoted(work, x)).toBe(false);
    expect([...x]).toEqual([5, 5, 5, 5, 5]);
  });
});
