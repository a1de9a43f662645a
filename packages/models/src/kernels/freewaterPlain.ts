/**
 * The loops of the free-water model in plain TypeScript: the readable reference of
 * packages/models/assembly/freewater.ts, and its stand-in where there is no WebAssembly. Both give the
 * same bits, so the order in which terms are added may only change in both.
 */
import { exp, log } from "./elementary.ts";
import type { FreeWaterFunctions } from "./freewaterLayout.ts";
import { DESIGN_COLUMNS } from "./tensorLayout.ts";
import { createPlainTensor, designRowTimes, isSample, sumPanel } from "./tensorPlain.ts";

/** The smallest number with all its bits, and so the smallest that the fast logarithm takes. */
const SMALLEST_NORMAL = 2.2250738585072014e-308;

/** The functions on a memory. */
export function createPlainFreeWater(buffer: ArrayBuffer): FreeWaterFunctions {
  const memory = new Float64Array(buffer);
  // The arguments are offsets in bytes; the loops count in numbers.
  const place = (offset: number) => offset / Float64Array.BYTES_PER_ELEMENT;
  // What is summed over one voxel's samples: as many as there have been places, and not part of the memory.
  let terms = new Float64Array(0);
  const makeRoom = (places: number) => {
    if (terms.length < places) terms = new Float64Array(places);
  };
  return {
    ...createPlainTensor(buffer),
    sumTissueLogs(design, samples, water, waterS0, floor, places, sums) {
      const [from, free] = [place(samples), place(water)];
      makeRoom(places);
      for (let i = 0; i < places; i++) {
        const sample = memory[from + i];
        const rest = sample - waterS0 * memory[free + i];
        terms[i] = sample * sample * log(rest >= SMALLEST_NORMAL ? rest : floor);
      }
      sumPanel(memory, place(design), DESIGN_COLUMNS, terms, 0, places, place(sums));
    },
    trialCost(design, trial, samples, water, waterS0, places) {
      const [rows, unknowns, from, free] = [design, trial, samples, water].map(place);
      const constant = memory[unknowns + 6];
      makeRoom(places);
      for (let i = 0; i < places; i++) {
        const exponent = constant + designRowTimes(memory, rows, unknowns, i);
        const tissue = exp(exponent) * isSample(memory, rows, i);
        terms[i] = memory[from + i] - waterS0 * memory[free + i] - tissue;
      }
      return sumProducts(terms, 0, terms, 0, places);
    },
    takeDecay(design, tensor, water, signal, places, tissue, sums) {
      const [rows, unknowns, to, into] = [design, tensor, tissue, sums].map(place);
      for (let i = 0; i < places; i++) {
        memory[to + i] = exp(designRowTimes(memory, rows, unknowns, i)) * isSample(memory, rows, i);
      }
      memory[into] = sumProducts(memory, to, memory, to, places);
      memory[into + 1] = sumProducts(memory, to, memory, place(water), places);
      memory[into + 2] = sumProducts(memory, to, memory, place(signal), places);
    },
    sumSquares(tissue, water, signal, tissueS0, waterS0, places) {
      const [decay, free, from] = [tissue, water, signal].map(place);
      makeRoom(places);
      for (let i = 0; i < places; i++) {
        const model = tissueS0 * memory[decay + i] + waterS0 * memory[free + i];
        terms[i] = model - memory[from + i];
      }
      return sumProducts(terms, 0, terms, 0, places);
    },
    takeCurvature(tissue, water, signal, tissueS0, waterS0, places, curvatures, pulls, mixed) {
      const [decay, free, from] = [tissue, water, signal].map(place);
      const [bends, slopes, products] = [curvatures, pulls, mixed].map(place);
      for (let i = 0; i < places; i++) {
        const share = tissueS0 * memory[decay + i];
        const residual = share + waterS0 * memory[free + i] - memory[from + i];
        memory[bends + i] = share * (share + residual);
        memory[slopes + i] = share * residual;
        memory[products + i] = share * memory[free + i];
      }
    },
  };
}

/** The sum of products of two values: the even samples' + the odd ones'. */
function sumProducts(
  left: Float64Array,
  leftFirst: number,
  right: Float64Array,
  rightFirst: number,
  places: number,
): number {
  let even = 0;
  let odd = 0;
  for (let i = 0; i < places; i += 2) {
    even += left[leftFirst + i] * right[rightFirst + i];
    odd += left[leftFirst + i + 1] * right[rightFirst + i + 1];
  }
  return even + odd;
}
