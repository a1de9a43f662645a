/**
 * The loops on tiles in plain TypeScript: the readable reference of packages/models/assembly/tiles.ts,
 * and its stand-in where there is no WebAssembly. Both give the same bits, so the order in which terms
 * are added may only change in both. Four sums run side by side because one alone would have to wait
 * for itself.
 */
import { panelPlace, TILE, type TileFunctions } from "./tileLayout.ts";

const TILE_LENGTH = TILE * TILE;

/** The functions on a memory. */
export function createPlainTiles(buffer: ArrayBuffer): TileFunctions {
  const memory = new Float64Array(buffer);
  // The arguments are offsets in bytes; the loops count in numbers.
  const place = (offset: number) => offset / Float64Array.BYTES_PER_ELEMENT;
  return {
    addOuterProducts(base, panel, columns, added, total, tiles, out) {
      const [from, rows, to] = [place(base), place(panel), place(out)];
      addOuterProducts(memory, from, rows, columns, added, total, tiles, to);
    },
    factorize: (matrix, tiles, factor, inverse) =>
      factorize(memory, place(matrix), tiles, place(factor), place(inverse)),
    solve(factor, inverse, tiles, x) {
      solveForward(memory, place(factor), place(inverse), tiles, place(x));
      solveBackward(memory, place(factor), place(inverse), tiles, place(x));
    },
    multiply(panel, columns, tiles, vector, out) {
      multiply(memory, place(panel), columns, tiles, place(vector), place(out));
    },
    multiplyTransposed(panel, columns, tiles, vector, out) {
      multiplyTransposed(memory, place(panel), columns, tiles, place(vector), place(out));
    },
  };
}

function addOuterProducts(
  memory: Float64Array,
  base: number,
  panel: number,
  columns: number,
  added: number,
  total: number,
  tiles: number,
  out: number,
): void {
  const stride = TILE * columns;
  let at = 0;
  for (let i = 0; i < tiles; i++) {
    const row = panel + stride * i;
    const middle = row + TILE * added;
    const end = row + TILE * total;
    for (let column = 0; column < TILE * (i + 1); column++, at += TILE) {
      let sum0 = memory[base + at];
      let sum1 = memory[base + at + 1];
      let sum2 = memory[base + at + 2];
      let sum3 = memory[base + at + 3];
      let p = row;
      let q = panel + panelPlace(column, 0, columns);
      for (; p < middle; p += TILE, q += TILE) {
        const factor = memory[q];
        sum0 += memory[p] * factor;
        sum1 += memory[p + 1] * factor;
        sum2 += memory[p + 2] * factor;
        sum3 += memory[p + 3] * factor;
      }
      for (; p < end; p += TILE, q += TILE) {
        const factor = memory[q];
        sum0 -= memory[p] * factor;
        sum1 -= memory[p + 1] * factor;
        sum2 -= memory[p + 2] * factor;
        sum3 -= memory[p + 3] * factor;
      }
      memory[out + at] = sum0;
      memory[out + at + 1] = sum1;
      memory[out + at + 2] = sum2;
      memory[out + at + 3] = sum3;
    }
  }
}

function factorize(
  memory: Float64Array,
  matrix: number,
  tiles: number,
  factor: number,
  inverse: number,
): number {
  const columns = TILE * tiles;
  let smallest = Number.POSITIVE_INFINITY;
  let from = matrix;
  for (let i = 0; i < tiles; i++) {
    const row = factor + TILE * columns * i;
    for (let column = 0; column < TILE * (i + 1); column++, from += TILE) {
      let sum0 = memory[from];
      let sum1 = memory[from + 1];
      let sum2 = memory[from + 2];
      let sum3 = memory[from + 3];
      const at = row + TILE * column;
      // q runs over L's row `column`.
      let q = factor + panelPlace(column, 0, columns);
      for (let p = row; p < at; p += TILE, q += TILE) {
        const entry = memory[q];
        sum0 -= memory[p] * entry;
        sum1 -= memory[p + 1] * entry;
        sum2 -= memory[p + 2] * entry;
        sum3 -= memory[p + 3] * entry;
      }
      memory[at] = sum0;
      memory[at + 1] = sum1;
      memory[at + 2] = sum2;
      memory[at + 3] = sum3;
      // On the diagonal q has come to the pivot.
      const isDiagonal = column >= TILE * i;
      const pivot = memory[q];
      if (isDiagonal) {
        // NaN is not above 0 either.
        if (!(pivot > 0)) return 0;
        smallest = Math.min(smallest, pivot);
        memory[inverse + column] = 1 / Math.sqrt(pivot);
      }
      const scale = memory[inverse + column];
      for (let r = 0; r < TILE; r++) memory[at + r] *= scale;
      if (isDiagonal) memory[q] = Math.sqrt(pivot);
    }
  }
  return smallest;
}

/** L y = b in place of b. */
function solveForward(
  memory: Float64Array,
  factor: number,
  inverse: number,
  tiles: number,
  x: number,
): void {
  for (let i = 0; i < tiles; i++) {
    const row = factor + TILE_LENGTH * tiles * i;
    const own = x + TILE * i;
    let sum0 = memory[own];
    let sum1 = memory[own + 1];
    let sum2 = memory[own + 2];
    let sum3 = memory[own + 3];
    for (let k = 0; k < TILE * i; k++) {
      const known = memory[x + k];
      sum0 -= memory[row + TILE * k] * known;
      sum1 -= memory[row + TILE * k + 1] * known;
      sum2 -= memory[row + TILE * k + 2] * known;
      sum3 -= memory[row + TILE * k + 3] * known;
    }
    memory[own] = sum0;
    memory[own + 1] = sum1;
    memory[own + 2] = sum2;
    memory[own + 3] = sum3;
    const corner = row + TILE_LENGTH * i;
    for (let r = 0; r < TILE; r++) {
      let sum = memory[own + r];
      for (let k = 0; k < r; k++) sum -= memory[corner + TILE * k + r] * memory[own + k];
      memory[own + r] = sum * memory[inverse + TILE * i + r];
    }
  }
}

/** L' x = y in place of y: four unknowns at a time, whose share is then taken from all before them. */
function solveBackward(
  memory: Float64Array,
  factor: number,
  inverse: number,
  tiles: number,
  x: number,
): void {
  for (let i = tiles - 1; i >= 0; i--) {
    const row = factor + TILE_LENGTH * tiles * i;
    const own = x + TILE * i;
    const corner = row + TILE_LENGTH * i;
    for (let r = TILE - 1; r >= 0; r--) {
      let sum = memory[own + r];
      for (let k = r + 1; k < TILE; k++) sum -= memory[corner + TILE * r + k] * memory[own + k];
      memory[own + r] = sum * memory[inverse + TILE * i + r];
    }
    const [x0, x1, x2, x3] = [memory[own], memory[own + 1], memory[own + 2], memory[own + 3]];
    for (let k = 0; k < TILE * i; k++) {
      const column = row + TILE * k;
      const even = memory[column] * x0 + memory[column + 2] * x2;
      const odd = memory[column + 1] * x1 + memory[column + 3] * x3;
      memory[x + k] -= even + odd;
    }
  }
}

function multiply(
  memory: Float64Array,
  panel: number,
  columns: number,
  tiles: number,
  vector: number,
  out: number,
): void {
  for (let i = 0; i < tiles; i++) {
    const row = panel + TILE * columns * i;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let k = 0; k < columns; k++) {
      const factor = memory[vector + k];
      sum0 += memory[row + TILE * k] * factor;
      sum1 += memory[row + TILE * k + 1] * factor;
      sum2 += memory[row + TILE * k + 2] * factor;
      sum3 += memory[row + TILE * k + 3] * factor;
    }
    memory[out + TILE * i] = sum0;
    memory[out + TILE * i + 1] = sum1;
    memory[out + TILE * i + 2] = sum2;
    memory[out + TILE * i + 3] = sum3;
  }
}

/** Each sum is that of the even rows plus that of the odd ones. */
function multiplyTransposed(
  memory: Float64Array,
  panel: number,
  columns: number,
  tiles: number,
  vector: number,
  out: number,
): void {
  const stride = TILE * columns;
  for (let k = 0; k < columns; k++) {
    let even = 0;
    let odd = 0;
    for (let i = 0, at = panel + TILE * k; i < TILE * tiles; i += TILE, at += stride) {
      even += memory[at] * memory[vector + i];
      odd += memory[at + 1] * memory[vector + i + 1];
      even += memory[at + 2] * memory[vector + i + 2];
      odd += memory[at + 3] * memory[vector + i + 3];
    }
    memory[out + k] = even + odd;
  }
}
