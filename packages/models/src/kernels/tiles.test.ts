import { describe, expect, it } from "vitest";
import { greatestDifference, randomNumbers } from "../csd/testing.ts";
import type { KernelEngine } from "./kernelMemory.ts";
import { createTileMemory, panelPlace, TILE, tiledLength, tiledPlace, tilesFor } from "./tiles.ts";

const random = randomNumbers(7);

/** A random panel and what it is in rows: rows[i][column]. */
function fillRandomly(panel: Float64Array, side: number, columns: number): number[][] {
  const rows = Array.from({ length: side }, () =>
    Array.from({ length: columns }, () => random() - 0.5),
  );
  rows.forEach((row, i) => {
    row.forEach((value, k) => {
      panel[panelPlace(i, k, columns)] = value;
    });
  });
  return rows;
}

/** The lower triangle of a tiled matrix, by rows. */
function lowerOf(matrix: Float64Array, side: number): number[][] {
  return Array.from({ length: side }, (_, i) =>
    Array.from({ length: i + 1 }, (_, j) => matrix[tiledPlace(i, j)]),
  );
}

/** Cholesky as in a textbook, entry by entry, with 1 over the diagonal multiplied. */
function plainFactor(lower: number[][]): number[][] {
  const factor = lower.map((row) => row.slice());
  factor.forEach((row, i) => {
    for (let j = 0; j <= i; j++) {
      for (let k = 0; k < j; k++) row[j] -= row[k] * factor[j][k];
      row[j] = i === j ? Math.sqrt(row[j]) : row[j] * (1 / factor[j][j]);
    }
  });
  return factor;
}

/** A positive definite random matrix of n unknowns, in arrays of their own. */
function randomSystem(n: number, engine: KernelEngine) {
  const tiles = tilesFor(n);
  const side = TILE * tiles;
  const columns = 2 * side;
  const length = tiledLength(tiles);
  const { functions, arrays } = createTileMemory(
    { panel: side * columns, matrix: length, factor: side * side, inverse: side, x: side },
    engine,
  );
  fillRandomly(arrays.panel, side, columns);
  const { panel, matrix } = arrays;
  const [from, to] = [panel.byteOffset, matrix.byteOffset];
  functions.addOuterProducts(to, from, columns, columns, columns, tiles, to);
  const factorize = () =>
    functions.factorize(to, tiles, arrays.factor.byteOffset, arrays.inverse.byteOffset);
  const solve = () =>
    functions.solve(
      arrays.factor.byteOffset,
      arrays.inverse.byteOffset,
      tiles,
      arrays.x.byteOffset,
    );
  return { tiles, side, arrays, factorize, solve };
}

describe.each(["webassembly", "plain"] as const)("tiled matrices in %s", (engine) => {
  it("add and take away outer products, with the bits of the plain loop", () => {
    const tiles = 4;
    const [side, columns, added, total] = [16, 11, 6, 9];
    const { functions, arrays } = createTileMemory(
      { base: tiledLength(tiles), panel: side * columns, out: tiledLength(tiles) },
      engine,
    );
    const rows = fillRandomly(arrays.panel, side, columns);
    arrays.base.set(Array.from(arrays.base, random));
    const expected = lowerOf(arrays.base, side);
    expected.forEach((row, i) => {
      row.forEach((_, j) => {
        for (let k = 0; k < added; k++) row[j] += rows[i][k] * rows[j][k];
        for (let k = added; k < total; k++) row[j] -= rows[i][k] * rows[j][k];
      });
    });
    const [base, panel, out] = [arrays.base, arrays.panel, arrays.out].map((a) => a.byteOffset);
    functions.addOuterProducts(base, panel, columns, added, total, tiles, out);
    expect(lowerOf(arrays.out, side)).toEqual(expected);
    functions.addOuterProducts(base, panel, columns, added, total, tiles, base);
    expect(arrays.base).toEqual(arrays.out);
  });

  it.each([1, 4, 6, 15, 28, 45, 91, 153])(
    "have the plain loop's Cholesky factor to the bit: %i unknowns",
    (n) => {
      const { side, arrays, factorize } = randomSystem(n, engine);
      const expected = plainFactor(lowerOf(arrays.matrix, side));
      const smallest = factorize();
      const factor = expected.map((row, i) =>
        row.map((_, j) => arrays.factor[panelPlace(i, j, side)]),
      );
      expect(factor).toEqual(expected);
      const pivots = expected.map((row, i) => row[i] * row[i]);
      expect(smallest / Math.min(...pivots)).toBeCloseTo(1, 12);
      expect(Array.from(arrays.inverse)).toEqual(expected.map((row, i) => 1 / row[i]));
    },
  );

  it.each([1, 4, 6, 15, 28, 45, 91, 153])("solve a system of %i unknowns", (n) => {
    const { side, arrays, factorize, solve } = randomSystem(n, engine);
    const truth = Float64Array.from({ length: side }, () => random() - 0.5);
    const entry = (i: number, j: number) =>
      arrays.matrix[tiledPlace(Math.max(i, j), Math.min(i, j))];
    truth.forEach((_, i) => {
      arrays.x[i] = truth.reduce((sum, value, j) => sum + entry(i, j) * value, 0);
    });
    expect(factorize()).toBeGreaterThan(0);
    solve();
    expect(greatestDifference(arrays.x, truth)).toBeLessThan(1e-11);
  });

  it("give 0 for a matrix that is not positive definite, whichever pivot fails", () => {
    const { tiles, side, arrays, factorize } = randomSystem(6, engine);
    expect([tiles, side]).toEqual([2, 8]);
    const pivotOf = (values: readonly number[]) => {
      arrays.matrix.fill(0);
      values.forEach((value, i) => {
        arrays.matrix[tiledPlace(i, i)] = value;
      });
      return factorize();
    };
    const good = [4, 9, 2, 5, 1, 7, 3, 6];
    expect(pivotOf(good)).toBe(1);
    expect(pivotOf(good.with(2, 0.5))).toBe(0.5);
    for (const bad of [0, -1, Number.NaN]) {
      for (let at = 0; at < side; at++) expect(pivotOf(good.with(at, bad))).toBe(0);
    }
  });

  it("multiply vectors from both sides", () => {
    const tiles = 3;
    const [side, columns] = [12, 20];
    const { functions, arrays } = createTileMemory(
      { panel: side * columns, long: columns, short: side, outLong: columns, outShort: side },
      engine,
    );
    const rows = fillRandomly(arrays.panel, side, columns);
    arrays.long.set(Array.from(arrays.long, random));
    arrays.short.set(Array.from(arrays.short, random));
    const { panel, long, short, outLong, outShort } = arrays;
    functions.multiply(panel.byteOffset, columns, tiles, long.byteOffset, outShort.byteOffset);
    const products = rows.map((row) => row.reduce((sum, value, k) => sum + value * long[k], 0));
    expect(Array.from(outShort)).toEqual(products);
    functions.multiplyTransposed(
      ...([panel.byteOffset, columns, tiles, short.byteOffset, outLong.byteOffset] as const),
    );
    const sums = Array.from(long, (_, k) =>
      rows.reduce((sum, row, i) => sum + row[k] * short[i], 0),
    );
    expect(greatestDifference(outLong, sums)).toBeLessThan(1e-14);
  });
});
