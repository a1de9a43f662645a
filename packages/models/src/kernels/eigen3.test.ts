import { describe, expect, it } from "vitest";
import { eigen3 } from "./eigen3.ts";

function solve(tensor: number[]) {
  const values = new Float64Array(3);
  const vectors = new Float64Array(9);
  eigen3(Float64Array.from(tensor), values, vectors);
  return { values, vectors };
}

/** Entries of V diag(values) V' in the order xx, xy, yy, xz, yz, zz. */
function rebuild(values: Float64Array, vectors: Float64Array): number[] {
  const entry = (row: number, column: number) => {
    let sum = 0;
    for (let k = 0; k < 3; k++) {
      sum += values[k] * vectors[3 * row + k] * vectors[3 * column + k];
    }
    return sum;
  };
  return [entry(0, 0), entry(1, 0), entry(1, 1), entry(2, 0), entry(2, 1), entry(2, 2)];
}

/** Repeatable numbers in -1..1. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return (2 * state) / 2147483647 - 1;
  };
}

describe("eigen3", () => {
  it("rebuilds random tensors, with falling values and orthonormal vectors", () => {
    const next = sequence(11);
    for (let round = 0; round < 3000; round++) {
      const scale = 10 ** Math.round(next() * 20);
      const tensor = Array.from({ length: 6 }, () => next() * scale);
      const { values, vectors } = solve(tensor);
      expect(values[0]).toBeGreaterThanOrEqual(values[1]);
      expect(values[1]).toBeGreaterThanOrEqual(values[2]);
      const again = rebuild(values, vectors);
      for (let k = 0; k < 6; k++) {
        expect(Math.abs(again[k] - tensor[k])).toBeLessThan(4e-15 * scale);
      }
      const unit = rebuild(Float64Array.of(1, 1, 1), vectors);
      [1, 0, 1, 0, 0, 1].forEach((expected, k) => {
        expect(Math.abs(unit[k] - expected)).toBeLessThan(3e-15);
      });
    }
  });

  it("makes the component of greatest size positive and writes no -0", () => {
    const next = sequence(5);
    for (let round = 0; round < 500; round++) {
      const { vectors } = solve(Array.from({ length: 6 }, next));
      for (let column = 0; column < 3; column++) {
        const parts = [vectors[column], vectors[column + 3], vectors[column + 6]];
        const greatest = parts.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
        expect(greatest).toBeGreaterThan(0);
      }
    }
    const axes = solve([1, 0, 3, 0, 0, 2]);
    expect([...axes.values]).toEqual([3, 2, 1]);
    expect([...axes.vectors]).toEqual([0, 0, 1, 1, 0, 0, 0, 1, 0]);
    expect(axes.vectors.some((x) => Object.is(x, -0))).toBe(false);
  });

  it("takes zero, equal and widely graded eigenvalues", () => {
    expect([...solve([0, 0, 0, 0, 0, 0]).values]).toEqual([0, 0, 0]);
    expect([...solve([2, 0, 2, 0, 0, 2]).values]).toEqual([2, 2, 2]);
    const line = solve([1, 1, 1, 1, 1, 1]);
    expect(line.values[0]).toBeCloseTo(3, 14);
    expect(Math.abs(line.values[1])).toBeLessThan(1e-15);
    expect(Math.abs(line.values[2])).toBeLessThan(1e-15);
    const graded = solve([1, 1e-9, 1e-8, 1e-17, 1e-16, 1e-16]);
    expect(graded.values[2]).toBeGreaterThan(9e-17);
    expect(graded.values[2]).toBeLessThan(1e-16);
  });
});
