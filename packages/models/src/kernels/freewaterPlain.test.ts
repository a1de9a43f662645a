import { describe, expect, it } from "vitest";
import { randomNumbers } from "../csd/testing.ts";
import { ENGINES, guardedMemory } from "../guard/testing.ts";
import { createPlainFreeWater } from "./freewaterPlain.ts";
import type { KernelEngine } from "./kernelMemory.ts";
import { DESIGN_COLUMNS, pairPlace, placesFor } from "./tensorLayout.ts";
import { fillRow } from "./tensorMemory.ts";

const FLOOR = 1e-6;
const [TISSUE_S0, WATER_S0] = [0.7, 0.4];

/** Every function once on random numbers, for so many samples; all arrays and sums of squares afterwards. */
function runAll(engine: KernelEngine, samples: number) {
  const places = placesFor(samples);
  const random = randomNumbers(samples);
  const { functions, arrays, at, isWhole } = guardedMemory(
    {
      ...{ design: DESIGN_COLUMNS * places, samples: places, water: places, tissue: places },
      ...{ unknowns: 7, logSums: 7, decaySums: 3, costs: 2 },
      ...{ curvatures: places, pulls: places, mixed: places },
    },
    createPlainFreeWater,
    engine,
  );
  for (let i = 0; i < samples; i++) {
    const row = Array.from({ length: 6 }, () => -random());
    fillRow(arrays.design, i, DESIGN_COLUMNS, [...row, 1]);
    // Some of the samples are smaller than the water in them, and some below 0.
    arrays.samples[i] = 1.1 * random() - 0.1;
    arrays.water[i] = random();
  }
  arrays.unknowns.set(arrays.unknowns.map(() => random() - 0.2));
  functions.sumTissueLogs(
    at.design,
    at.samples,
    at.water,
    WATER_S0,
    FLOOR,
    places,
    at.logSums,
    at.table,
  );
  const trial = [at.design, at.unknowns, at.samples, at.water, WATER_S0, places, at.table] as const;
  arrays.costs[0] = functions.trialCost(...trial);
  functions.takeDecay(
    at.design,
    at.unknowns,
    at.water,
    at.samples,
    places,
    at.tissue,
    at.decaySums,
    at.table,
  );
  const model = [at.tissue, at.water, at.samples, TISSUE_S0, WATER_S0, places] as const;
  arrays.costs[1] = functions.sumSquares(...model);
  functions.takeCurvature(...model, at.curvatures, at.pulls, at.mixed);
  return { arrays, isWhole };
}

const bitsOf = (values: Float64Array) => new BigUint64Array(values.slice().buffer);

describe("the free-water model's loops", () => {
  it("give the same bits in WebAssembly and in plain TypeScript, and write nowhere else: 1 to 600 samples", () => {
    for (let samples = 1; samples <= 600; samples += samples < 20 ? 1 : 29) {
      const [wasm, plain] = ENGINES.map((engine) => runAll(engine, samples));
      for (const [name, array] of Object.entries(wasm.arrays)) {
        const other = plain.arrays[name as keyof typeof plain.arrays];
        expect(bitsOf(array), `${name} of ${samples}`).toEqual(bitsOf(other));
      }
      expect([wasm.isWhole(), plain.isWhole()]).toEqual([true, true]);
    }
  });

  it.each([7, 8, 600])("calculate what they say: %i samples", (samples) => {
    const { arrays } = runAll("webassembly", samples);
    const { design, water, tissue, unknowns } = arrays;
    const logSums = new Float64Array(7);
    const decaySums = new Float64Array(3);
    const costs = new Float64Array(2);
    for (let i = 0; i < samples; i++) {
      const row = Array.from({ length: 7 }, (_, k) => design[pairPlace(i, k, 7)]);
      const [sample, w] = [arrays.samples[i], water[i]];
      const rest = sample - WATER_S0 * w;
      const logarithm = Math.log(rest > 0 ? rest : FLOOR);
      row.forEach((x, k) => {
        logSums[k] += x * sample * sample * logarithm;
      });
      const exponent = row.slice(0, 6).reduce((sum, x, k) => sum + x * unknowns[k], 0);
      const t = Math.exp(exponent);
      expect(tissue[i]).toBeCloseTo(t, 12);
      [t * t, t * w, t * sample].forEach((term, k) => {
        decaySums[k] += term;
      });
      costs[0] += (Math.exp(unknowns[6]) * t - rest) ** 2;
      const residual = TISSUE_S0 * t + WATER_S0 * w - sample;
      costs[1] += residual ** 2;
      expect(arrays.curvatures[i]).toBeCloseTo(TISSUE_S0 * t * (TISSUE_S0 * t + residual), 12);
      expect(arrays.pulls[i]).toBeCloseTo(TISSUE_S0 * t * residual, 12);
      expect(arrays.mixed[i]).toBeCloseTo(TISSUE_S0 * t * w, 12);
    }
    for (const [found, expected] of [
      [arrays.logSums, logSums],
      [arrays.decaySums, decaySums],
      [arrays.costs, costs],
    ]) {
      found.forEach((value, k) => {
        expect(value / expected[k]).toBeCloseTo(1, 10);
      });
    }
    if (samples % 2 === 1) expect(tissue[samples]).toBe(0);
  });
});
