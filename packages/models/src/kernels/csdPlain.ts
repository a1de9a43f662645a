/**
 * The hot loops of CSD in plain TypeScript: the readable reference of packages/models/assembly/csd.ts, and
 * its stand-in where there is no WebAssembly. Both give the same bits, so the order in which terms are
 * added may only change in both. Layouts are told in csdFunctions.ts.
 */
import {
  BLOCK_BYTES,
  BLOCK_DIRECTIONS,
  BLOCK_ROWS,
  type CsdFunctions,
  TILE,
  VECTOR_BYTES,
} from "./csdFunctions.ts";

const NUMBER_BYTES = 8;
const LANES = VECTOR_BYTES / NUMBER_BYTES;
const BLOCK = BLOCK_BYTES / NUMBER_BYTES;
const COLUMN = TILE * LANES;
const TILE_LENGTH = TILE * COLUMN;

/** The functions on a memory. */
export function createPlainCsd(buffer: ArrayBuffer): CsdFunctions {
  const numbers = new Float64Array(buffer);
  const bytes = new Uint8Array(buffer);
  const words = new Uint32Array(buffer);
  // The arguments are offsets in bytes; the loops count in numbers.
  const place = (offset: number) => offset / NUMBER_BYTES;
  return {
    csdMultiply(matrix, blocks, width, columns, vector, out) {
      multiply(numbers, place(matrix), blocks, width, columns, place(vector), place(out));
    },
    csdListBelow(values, count, threshold, below, others) {
      let found = 0;
      for (let k = 0; k < count; k++) {
        if (numbers[place(values) + k] < threshold) words[below / 4 + found++] = k;
        else words[others / 4 + k - found] = k;
      }
      return found;
    },
    csdSumMoments64(base, table, directions, list, added, total, blocks, out) {
      const [from, to] = [place(base), place(out)];
      numbers.copyWithin(to, from, from + blocks * BLOCK);
      for (let i = 0; i < blocks; i++) {
        for (let k = 0; k < total; k++) {
          const at = place(table) + (i * directions + words[list / 4 + k]) * BLOCK;
          for (let r = 0; r < BLOCK; r++) {
            if (k < added) numbers[to + i * BLOCK + r] += numbers[at + r];
            else numbers[to + i * BLOCK + r] -= numbers[at + r];
          }
        }
      }
    },
    csdWeave64(sums, count, out) {
      for (let i = 0; i < LANES * count; i++) {
        const [lane, entry] = [Math.floor(i / count), i % count];
        numbers[place(out) + LANES * entry + lane] = numbers[place(sums) + i];
      }
    },
    csdFactorize64(normal, places, moments, tiles, z, factor, inverse, y) {
      const from = place(normal);
      const at = places / 4;
      let good = 0;
      for (let lane = 0; lane < LANES; lane++) {
        const [to, scales] = [place(factor) + lane, place(inverse) + lane];
        fillTiles(numbers, words, from, at, place(moments) + lane, tiles, to);
        const [right, own] = [place(z) + lane, place(y) + lane];
        if (factorize(numbers, tiles, right, to, scales, own)) good |= 1 << lane;
      }
      return good;
    },
    csdSolve64(factor, inverse, tiles, x) {
      for (let lane = 0; lane < LANES; lane++) {
        solve(numbers, place(factor) + lane, place(inverse) + lane, tiles, place(x) + lane);
      }
    },
    csdEvaluate64(rows, blocks, count, x, thresholds, small) {
      bytes.fill(0, small, small + blocks * BLOCK_DIRECTIONS);
      for (let lane = 0; lane < LANES; lane++) {
        const threshold = numbers[place(thresholds) + lane];
        for (let d = 0; d < blocks * BLOCK_DIRECTIONS; d++) {
          const amplitude = amplitudeOf(numbers, place(rows), d, count, place(x) + lane);
          if (amplitude < threshold) bytes[small + d] |= 1 << lane;
        }
      }
    },
  };
}

function multiply(
  numbers: Float64Array,
  matrix: number,
  blocks: number,
  width: number,
  columns: number,
  vector: number,
  out: number,
): void {
  numbers.fill(0, out, out + blocks * BLOCK_ROWS);
  for (let block = 0; block < blocks; block++) {
    const to = out + block * BLOCK_ROWS;
    for (let k = 0; k < columns; k++) {
      const factor = numbers[vector + k];
      const column = matrix + BLOCK_ROWS * (block * width + k);
      for (let r = 0; r < BLOCK_ROWS; r++) numbers[to + r] += numbers[column + r] * factor;
    }
  }
}

/** Writes a voxel's matrix where its factor comes to stand. */
function fillTiles(
  numbers: Float64Array,
  words: Uint32Array,
  normal: number,
  places: number,
  moments: number,
  tiles: number,
  factor: number,
): void {
  // A factor's rows of tiles are as long as the matrix's.
  const length = ((tiles * (tiles + 1)) / 2) * TILE * TILE;
  for (let i = 0; i < length; i++) {
    numbers[factor + LANES * i] = numbers[normal + i] + numbers[moments + words[places + i] / 8];
  }
}

/** Cholesky of a voxel's matrix in place, and y; false where a pivot is not above 0. */
function factorize(
  numbers: Float64Array,
  tiles: number,
  z: number,
  factor: number,
  inverse: number,
  y: number,
): boolean {
  const side = TILE * tiles;
  for (let row = 0; row < side; row++) {
    const start = rowStart(factor, row);
    for (let column = 0; column <= row; column++) {
      const other = rowStart(factor, column);
      let sum = numbers[start + COLUMN * column];
      for (let k = 0; k < column; k++) {
        sum -= numbers[start + COLUMN * k] * numbers[other + COLUMN * k];
      }
      if (column < row) {
        numbers[start + COLUMN * column] = sum * numbers[inverse + LANES * column];
        continue;
      }
      // NaN is not above 0 either.
      if (!(sum > 0)) return false;
      numbers[inverse + LANES * row] = 1 / Math.sqrt(sum);
    }
    let rest = numbers[z + LANES * row];
    for (let k = 0; k < row; k++) rest -= numbers[start + COLUMN * k] * numbers[y + LANES * k];
    numbers[y + LANES * row] = rest * numbers[inverse + LANES * row];
  }
  return true;
}

/** Where a row of a voxel's factor begins; its entries are a column apart. */
function rowStart(factor: number, row: number): number {
  const i = Math.floor(row / TILE);
  return factor + ((i * (i + 1)) / 2) * TILE_LENGTH + (row % TILE) * LANES;
}

/** L' x = y in place of y: three unknowns at a time, whose share is then taken from all before them. */
function solve(
  numbers: Float64Array,
  factor: number,
  inverse: number,
  tiles: number,
  x: number,
): void {
  for (let last = TILE * tiles - 1; last > 0; last -= TILE) {
    const rows = [last - 2, last - 1, last];
    const [row0, row1, row2] = rows.map((row) => rowStart(factor, row));
    const [at0, at1, at2] = rows.map((row) => x + LANES * row);
    const [scale0, scale1, scale2] = rows.map((row) => numbers[inverse + LANES * row]);
    const x2 = numbers[at2] * scale2;
    const x1 = (numbers[at1] - numbers[row2 + COLUMN * (last - 1)] * x2) * scale1;
    let rest0 = numbers[at0] - numbers[row2 + COLUMN * (last - 2)] * x2;
    rest0 -= numbers[row1 + COLUMN * (last - 2)] * x1;
    const x0 = rest0 * scale0;
    numbers[at0] = x0;
    numbers[at1] = x1;
    numbers[at2] = x2;
    for (let k = 0; k < last - 2; k++) {
      let share = numbers[row0 + COLUMN * k] * x0;
      share += numbers[row1 + COLUMN * k] * x1;
      share += numbers[row2 + COLUMN * k] * x2;
      numbers[x + LANES * k] -= share;
    }
  }
}

function amplitudeOf(
  numbers: Float64Array,
  rows: number,
  direction: number,
  count: number,
  x: number,
): number {
  const block = Math.floor(direction / BLOCK_DIRECTIONS);
  const start = rows + block * count * BLOCK_DIRECTIONS + (direction % BLOCK_DIRECTIONS);
  let sum = 0;
  for (let n = 0; n < count; n++) {
    sum += numbers[start + BLOCK_DIRECTIONS * n] * numbers[x + LANES * n];
  }
  return sum;
}
