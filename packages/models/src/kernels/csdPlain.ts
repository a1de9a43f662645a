/**
 * The hot loops of CSD in plain TypeScript: the readable reference of packages/models/assembly/csd.ts, and
 * its stand-in where there is no WebAssembly. Both give the same bits, so the order in which terms are
 * added may only change in both. Layouts are told in csdFunctions.ts.
 */
import { BLOCK_BYTES, BLOCK_ROWS, type CsdFunctions } from "./csdFunctions.ts";
import { createPlainLanes } from "./csdPlainLanes.ts";

const NUMBER_BYTES = 8;
const BLOCK = BLOCK_BYTES / NUMBER_BYTES;

/** The functions on a memory. */
export function createPlainCsd(buffer: ArrayBuffer): CsdFunctions {
  const numbers = new Float64Array(buffer);
  const words = new Uint32Array(buffer);
  // The arguments are offsets in bytes; the loops count in numbers.
  const place = (offset: number) => offset / NUMBER_BYTES;
  const float64 = createPlainLanes(buffer, numbers, (value) => value);
  const float32 = createPlainLanes(buffer, new Float32Array(buffer), Math.fround);
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
    csdSumMoments(base, table, directions, list, added, total, blocks, out) {
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
    csdWeave64(first, second, count, out) {
      float64.weave(numbers, [first, second].map(place), count, out);
    },
    csdWeave32(first, second, third, fourth, count, out) {
      float32.weave(numbers, [first, second, third, fourth].map(place), count, out);
    },
    csdFactorize64: float64.factorize,
    csdFactorize32: float32.factorize,
    csdSolve64: float64.solve,
    csdSolve32: float32.solve,
    csdEvaluate64: float64.evaluate,
    csdEvaluate32: float32.evaluate,
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
