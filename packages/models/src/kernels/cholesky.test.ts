import { describe, expect, it } from "vitest";
import { greatestDifference, randomNumbers } from "../csd/testing.ts";
import {
  addOuterProducts,
  factorizeTiled,
  solveTiled,
  TILE,
  tiledLength,
  tilesFor,
} from "./cholesky.ts";

const random = randomNumbers(7);

/** A panel of `columns` random columns of `side` numbers, in the tiled layout. */
function randomPanel(side: number, columns: number): Float64Array {
  return Float64Array.from({ length: side * columns }, () => random() - 0.5);
}

function entry(panel: Float64Array, columns: number, row: number, column: number): number {
  return panel[TILE * (Math.floor(row / TILE) * columns + column) + (row % TILE)];
}

/** A tiled symmetric matrix as a full one, by rows. */
function unfold(matrix: Float64Array, tiles: number): Float64Array {
  const side = TILE * tiles;
  const full = new Float64Array(side * side);
  for (let i = 0; i < side; i++) {
    for (let j = 0; j <= i; j++) {
      const [ti, tj] = [Math.floor(i / TILE), Math.floor(j / TILE)];
      const tile = (ti * (ti + 1)) / 2 + tj;
      const value = matrix[tile * 9 + (i % TILE) * TILE + (j % TILE)];
      full[i * side + j] = value;
      full[j * side + i] = value;
    }
  }
  return full;
}

describe("tiled matrices", () => {
  it("add and take away outer products", () => {
    const tiles = tilesFor(14);
    const side = TILE * tiles;
    const [columns, added, total] = [11, 6, 9];
    const panel = randomPanel(side, columns);
    const base = Float64Array.from({ length: tiledLength(tiles) }, random);
    const out = new Float64Array(base.length);
    addOuterProducts(base, panel, columns, added, total, tiles, out);
    const expected = unfold(base, tiles);
    for (let i = 0; i < side; i++) {
      for (let j = 0; j < side; j++) {
        for (let k = 0; k < total; k++) {
          const product = entry(panel, columns, i, k) * entry(panel, columns, j, k);
          expected[i * side + j] += k < added ? product : -product;
        }
      }
    }
    // Diagonal tiles hold both halves; a base that is not symmetric there is no concern of this test.
    expect(greatestDifference(unfold(out, tiles), expected)).toBeLessThan(1e-14);
  });

  it.each([1, 2, 3, 6, 15, 28, 45, 91, 153])("solve a system of %i unknowns", (n) => {
    const tiles = tilesFor(n);
    const side = TILE * tiles;
    const columns = 2 * side;
    const panel = randomPanel(side, columns);
    const matrix = new Float64Array(tiledLength(tiles));
    addOuterProducts(matrix, panel, columns, columns, columns, tiles, matrix);
    const truth = Float64Array.from({ length: side }, () => random() - 0.5);
    const full = unfold(matrix, tiles);
    const rightHand = truth.map((_, i) =>
      truth.reduce((sum, value, j) => sum + full[i * side + j] * value, 0),
    );
    const factor = new Float64Array(side * side);
    const inverse = new Float64Array(side);
    const pivot = factorizeTiled(matrix, tiles, factor, inverse);
    expect(pivot).toBeGreaterThan(0);
    const x = new Float64Array(side);
    solveTiled(factor, inverse, tiles, rightHand, x);
    expect(greatestDifference(x, truth)).toBeLessThan(1e-11);
    solveTiled(factor, inverse, tiles, rightHand, rightHand);
    expect(rightHand).toEqual(x);
  });

  it("report the smallest pivot, and none for a matrix that is not positive definite", () => {
    const tiles = 2;
    const diagonal = (values: readonly number[]) => {
      const matrix = new Float64Array(tiledLength(tiles));
      values.forEach((value, i) => {
        matrix[(i < 3 ? 0 : 18) + (i % 3) * 4] = value;
      });
      return matrix;
    };
    const pivot = (values: readonly number[]) =>
      factorizeTiled(diagonal(values), tiles, new Float64Array(36), new Float64Array(6));
    expect(pivot([4, 9, 2, 5, 1, 7])).toBe(1);
    expect(pivot([4, 9, 0.5, 5, 1, 7])).toBe(0.5);
    for (const bad of [0, -1, Number.NaN]) {
      for (let at = 0; at < 6; at++) {
        const values = [4, 9, 2, 5, 1, 7];
        values[at] = bad;
        expect(pivot(values)).toBe(0);
      }
    }
  });
});
