import { describe, expect, it } from "vitest";
import { randomNumbers } from "../csd/testing.ts";
import { ENGINES, guardedMemory } from "../guard/testing.ts";
import { exp, log } from "./elementary.ts";
import type { KernelEngine } from "./kernelMemory.ts";
import { DESIGN_COLUMNS, PRODUCTS, pairPlace, placesFor } from "./tensorLayout.ts";
import { fillRow } from "./tensorMemory.ts";
import { createPlainTensor } from "./tensorPlain.ts";

function bitsOf(values: Float64Array): BigUint64Array {
  return new BigUint64Array(values.slice().buffer);
}

/** Numbers of all sizes, and those where exp and log change their way. */
function oddNumbers(count: number): Float64Array {
  const random = randomNumbers(count);
  const edges = [0, -0, 1, -1, 5e-324, -5e-324, 2.2250738585072014e-308, 2.225073858507201e-308];
  const rims = [709, 708.9999999999999, 709.782712893384, 709.7827128933841, -708, -707.9999999999];
  const far = [
    -745.1332191019412,
    -745.1332191019411,
    -746,
    1e300,
    -1e300,
    Math.SQRT2,
    Math.SQRT1_2,
  ];
  const none = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return Float64Array.from({ length: count }, (_, i) => {
    const kind = Math.floor(random() * 8);
    const all = [...edges, ...rims, ...far, ...none, Number.MAX_VALUE];
    if (kind === 0) return all[i % all.length];
    if (kind < 4) return (random() - 0.5) * 1500;
    if (kind < 7) return (random() - 0.5) * 20;
    return 2 ** ((random() - 0.5) * 2090);
  });
}

describe.each(ENGINES)("exp and log of two samples at a time in %s", (engine) => {
  const count = 40_000;

  it("exp has the bits of one at a time", () => {
    const { functions, arrays, at, isWhole } = guardedMemory(
      {
        ...{ design: DESIGN_COLUMNS * count, solution: 7, logs: count },
        ...{ weights: count, residuals: count, pulls: count },
      },
      createPlainTensor,
      engine,
    );
    const numbers = oddNumbers(count);
    numbers.forEach((x, i) => {
      fillRow(arrays.design, i, DESIGN_COLUMNS, [x, 0, 0, 0, 0, 0, 1]);
    });
    arrays.solution[0] = 0.5;
    functions.weighByPrediction(
      ...([at.design, at.solution, at.logs, count] as const),
      ...([at.weights, at.residuals, at.pulls, at.table] as const),
    );
    const expected = numbers.map((x) => exp(2 * (0.5 * x)));
    expect(arrays.weights.findIndex((value, i) => !Object.is(value, expected[i]))).toBe(-1);
    expect(isWhole()).toBe(true);
  });

  it("log has the bits of one at a time", () => {
    const { functions, arrays, at, isWhole } = guardedMemory(
      { samples: count },
      createPlainTensor,
      engine,
    );
    for (const floor of [1e-6, 5e-324, -1]) {
      const numbers = oddNumbers(count).map((x) => (Number.isFinite(x) ? Math.abs(x) : -0));
      arrays.samples.set(numbers);
      const expected = numbers.map((x) => log(x > floor ? x : floor));
      functions.takeLogs(at.samples, floor, count, at.table);
      expect(arrays.samples.findIndex((value, i) => !Object.is(value, expected[i]))).toBe(-1);
    }
    expect(isWhole()).toBe(true);
  });
});

/** Every function once on random numbers, for so many samples; all arrays afterwards. */
function runAll(engine: KernelEngine, samples: number) {
  const places = placesFor(samples);
  const random = randomNumbers(samples);
  const { functions, arrays, at, isWhole } = guardedMemory(
    {
      ...{ design: DESIGN_COLUMNS * places, products: PRODUCTS * places },
      ...{ samples: places, logs: places, solution: 7, sums: 7, productSums: 15, columnSums: 7 },
      ...{ weights: places, residuals: places, pulls: places },
    },
    createPlainTensor,
    engine,
  );
  for (let i = 0; i < samples; i++) {
    fillRow(arrays.design, i, DESIGN_COLUMNS, [...Array.from({ length: 6 }, random), 1]);
    arrays.samples[i] = random();
    arrays.logs[i] = random();
  }
  arrays.products.set(arrays.products.map(random));
  arrays.solution.set(arrays.solution.map(() => random() - 0.5));
  functions.weighByPrediction(
    ...([at.design, at.solution, at.logs, places] as const),
    ...([at.weights, at.residuals, at.pulls, at.table] as const),
  );
  functions.sumColumns(at.design, at.samples, places, at.columnSums);
  functions.sumProducts(at.products, at.weights, places, at.productSums);
  functions.takeLogs(at.samples, 0.25, places, at.table);
  return { arrays, isWhole };
}

describe("the tensor models' loops", () => {
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
    const { arrays } = runAll("plain", samples);
    const { design, logs, weights, residuals, pulls, solution } = arrays;
    const random = randomNumbers(samples);
    const sums = new Float64Array(7);
    const firstProducts = new Float64Array(8);
    for (let i = 0; i < samples; i++) {
      const row = Array.from({ length: 7 }, (_, k) => design[pairPlace(i, k, 7)]);
      for (let k = 0; k < 6; k++) expect(row[k]).toBe(random());
      const [sample, logarithm] = [random(), random()];
      const exponent = row.slice(0, 6).reduce((sum, x, k) => sum + x * solution[k], 0);
      expect(weights[i]).toBeCloseTo(Math.exp(2 * exponent), 12);
      expect(residuals[i]).toBeCloseTo(logarithm - exponent - solution[6], 12);
      expect(pulls[i]).toBe(weights[i] * residuals[i]);
      expect(arrays.samples[i]).toBeCloseTo(Math.log(Math.max(sample, 0.25)), 12);
      expect(logs[i]).toBe(logarithm);
      row.forEach((x, k) => {
        sums[k] += x * sample;
      });
      for (let k = 0; k < 8; k++) {
        firstProducts[k] += arrays.products[pairPlace(i, k, 8)] * weights[i];
      }
    }
    sums.forEach((sum, k) => {
      expect(arrays.columnSums[k] / sum).toBeCloseTo(1, 12);
    });
    firstProducts.forEach((sum, k) => {
      expect(arrays.productSums[k] / sum).toBeCloseTo(1, 12);
    });
    if (samples % 2 === 1) expect([weights[samples], pulls[samples] + 0]).toEqual([0, 0]);
  });
});
