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
  // One voxel's logarithms: as many as there have been places, and not part of the memory.
  let logs = new Float64Array(0);
  return {
    ...createPlainTensor(buffer),
    sumTissueLogs(design, samples, water, waterS0, floor, places, sums) {
      const [from, free] = [place(samples), place(water)];
      if (logs.length < places) logs = new Float64Array(places);
      for (let i = 0; i < places; i++) {
        const sample = memory[from + i];
        const rest = sample - waterS0 * memory[free + i];
        logs[i] = sample * sample * log(rest >= SMALLEST_NORMAL ? rest : floor);
      }
      sumPanel(memory, place(design), DESIGN_COLUMNS, logs, 0, places, place(sums));
    },
    trialCost(design, trial, samples, water, waterS0, places) {
      const [rows, unknowns, from, free] = [design, trial, samples, water].map(place);
      const constant = memory[unknowns + 6];
      return sumPairs(places, (i) => {
        const exponent = constant + designRowTimes(memory, rows, unknowns, i);
        const tissue = exp(exponent) * isSample(memory, rows, i);
        const residual = memory[from + i] - waterS0 * memory[free + i] - tissue;
        return residual * residual;
      });
    },
    takeDecay(design, tensor, water, signal, places, tissue, sums) {
      const [rows, unknowns, from, free] = [design, tensor, signal, water].map(place);
      const [to, into] = [place(tissue), place(sums)];
      for (let i = 0; i < places; i++) {
        memory[to + i] = exp(designRowTimes(memory, rows, unknowns, i)) * isSample(memory, rows, i);
      }
      memory[into] = sumPairs(places, (i) => memory[to + i] * memory[to + i]);
      memory[into + 1] = sumPairs(places, (i) => memory[to + i] * memory[free + i]);
      memory[into + 2] = sumPairs(places, (i) => memory[to + i] * memory[from + i]);
    },
    sumSquares(tissue, water, signal, tissueS0, waterS0, places) {
      const [decay, free, from] = [tissue, water, signal].map(place);
      return sumPairs(places, (i) => {
        const model = tissueS0 * memory[decay + i] + waterS0 * memory[free + i];
        const residual = model - memory[from + i];
        return residual * residual;
      });
    },
    takeCurvature(tissue, water, signal, tissueS0, waterS0, places, curvatures, pulls, mixed) {
      const [decay, free, from] = [tissue, water, signal].map(place);
      for (let i = 0; i < places; i++) {
        const share = tissueS0 * memory[decay + i];
        const residual = share + waterS0 * memory[free + i] - memory[from + i];
        memory[place(curvatures) + i] = share * (share + residual);
        memory[place(pulls) + i] = share * residual;
        memory[place(mixed) + i] = share * memory[free + i];
      }
    },
  };
}

/** The even samples' sum + the odd ones'. */
function sumPairs(places: number, term: (sample: number) => number): number {
  let even = 0;
  let odd = 0;
  for (let i = 0; i < places; i += 2) {
    even += term(i);
    odd += term(i + 1);
  }
  return even + odd;
}
