/**
 * The loops of the tensor models in plain TypeScript: the readable reference of
 * packages/models/assembly/tensor.ts, and its stand-in where there is no WebAssembly. Both give the same
 * bits, so the order in which terms are added may only change in both.
 */
import { exp, log } from "./elementary.ts";
import { DESIGN_COLUMNS, FIRST_PRODUCTS, PRODUCTS, type TensorFunctions } from "./tensorLayout.ts";

/** The functions on a memory. */
export function createPlainTensor(buffer: ArrayBuffer): TensorFunctions {
  const memory = new Float64Array(buffer);
  // The arguments are offsets in bytes; the loops count in numbers.
  const place = (offset: number) => offset / Float64Array.BYTES_PER_ELEMENT;
  const rowTimes = (design: number, solution: number, sample: number) =>
    designRowTimes(memory, place(design), place(solution), sample);
  return {
    takeLogs(samples, floor, places) {
      const at = place(samples);
      for (let i = at; i < at + places; i++) memory[i] = log(memory[i] > floor ? memory[i] : floor);
    },
    sumColumns(columns, values, places, sums) {
      sumPanel(memory, place(columns), DESIGN_COLUMNS, memory, place(values), places, place(sums));
    },
    sumProducts(products, weights, places, sums) {
      const [panel, values, into] = [place(products), place(weights), place(sums)];
      sumPanel(memory, panel, FIRST_PRODUCTS, memory, values, places, into);
      const rest = panel + FIRST_PRODUCTS * places;
      const last = PRODUCTS - FIRST_PRODUCTS;
      sumPanel(memory, rest, last, memory, values, places, into + FIRST_PRODUCTS);
    },
    weighByPrediction(design, solution, logs, places, weights, residuals, pulls) {
      const constant = memory[place(solution) + 6];
      for (let i = 0; i < places; i++) {
        const exponent = rowTimes(design, solution, i);
        const weight = exp(exponent + exponent) * isSample(memory, place(design), i);
        const residual = memory[place(logs) + i] - exponent - constant;
        memory[place(weights) + i] = weight;
        memory[place(residuals) + i] = residual;
        memory[place(pulls) + i] = weight * residual;
      }
    },
  };
}

/** sums = panel times `places` of the values from `first` on: for each column the even samples' sum + the odd ones'. */
export function sumPanel(
  memory: Float64Array,
  panel: number,
  columns: number,
  values: Float64Array,
  first: number,
  places: number,
  sums: number,
): void {
  for (let column = 0; column < columns; column++) {
    let even = 0;
    let odd = 0;
    let at = panel + 2 * column;
    for (let i = first; i < first + places; i += 2, at += 2 * columns) {
      even += values[i] * memory[at];
      odd += values[i + 1] * memory[at + 1];
    }
    memory[sums + column] = even + odd;
  }
}

/** Where the first tensor element of a sample's row stands. */
const rowOf = (design: number, sample: number) =>
  design + 2 * DESIGN_COLUMNS * (sample >> 1) + (sample & 1);

/** 1 for a sample, 0 for padding. */
export const isSample = (memory: Float64Array, design: number, sample: number) =>
  memory[rowOf(design, sample) + 12];

/** A row of the design, without its constant, times a tensor. */
export function designRowTimes(
  memory: Float64Array,
  design: number,
  tensor: number,
  sample: number,
): number {
  const row = rowOf(design, sample);
  return (
    memory[row] * memory[tensor] +
    memory[row + 2] * memory[tensor + 1] +
    memory[row + 4] * memory[tensor + 2] +
    (memory[row + 6] * memory[tensor + 3] +
      memory[row + 8] * memory[tensor + 4] +
      memory[row + 10] * memory[tensor + 5])
  );
}
