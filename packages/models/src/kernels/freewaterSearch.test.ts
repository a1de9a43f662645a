import { describe, expect, it } from "vitest";
import { tensorTable } from "../tensor/table.ts";
import { readReferenceGradients, readReferenceImage } from "../tensor/testing.ts";
import { createFreeWaterMemory } from "./freewaterMemory.ts";
import { createFreeWaterProblem, createFreeWaterSearch } from "./freewaterSearch.ts";
import { createTensorDesign } from "./tensor.ts";

const CASE = "freewater_synthetic_2shell";
const gradients = readReferenceGradients(CASE);
const table = tensorTable(gradients);
const { data, width } = readReferenceImage(`${CASE}/dwi.nii.gz`);
const design = createTensorDesign({
  width,
  volumes: Int32Array.from(gradients.bvals, (_, i) => i),
  ...table,
  slope: 1,
  intercept: 0,
});

/** Scaled tensors away from every optimum. */
const TENSORS = [
  [2.9, 0.3, 1.1, -0.2, 0.1, 0.9],
  [1.2, -0.4, 2.2, 0.3, -0.6, 1.5],
  [0.6, 0.05, 0.5, 0.02, 0.01, 0.7],
  [3.5, 0.1, 0.4, 0.0, 0.2, 0.3],
  [-0.2, 0.3, 1.4, 0.1, 0.2, 0.8],
] as const;

const tissueAt = (d: ArrayLike<number>, i: number) => {
  const [a, b, c] = table.bvecs.subarray(3 * i, 3 * i + 3);
  const plane = d[0] * a * a + 2 * d[1] * a * b + d[2] * b * b;
  const diffusivity = plane + 2 * d[3] * a * c + 2 * d[4] * b * c + d[5] * c * c;
  return Math.exp(-table.bvals[i] * design.unit * diffusivity);
};

const waterAt = (i: number) => {
  const [a, b, c] = table.bvecs.subarray(3 * i, 3 * i + 3);
  return Math.exp(-table.bvals[i] * 3e-3 * (a * a + b * b + c * c));
};

function problemOf(signal: ArrayLike<number>) {
  const memory = createFreeWaterMemory(design);
  memory.arrays.signal.set(signal);
  const problem = createFreeWaterProblem(memory);
  problem.begin();
  return problem;
}

const modelOf = (d: ArrayLike<number>, tissue: number, water: number) =>
  Float64Array.from({ length: width }, (_, i) => tissue * tissueAt(d, i) + water * waterAt(i));

function shifted(x: Float64Array, unknown: number, by: number): Float64Array {
  const moved = x.slice();
  moved[unknown] += by;
  return moved;
}

describe("createFreeWaterProblem", () => {
  it("finds the amounts of tissue and water that made the signal, and nothing left", () => {
    for (const d of TENSORS) {
      const problem = problemOf(modelOf(d, 0.7, 0.4));
      expect(problem.cost(Float64Array.from(d))).toBeLessThan(1e-24);
      expect(problem.tissue).toBeCloseTo(0.7, 10);
      expect(problem.water).toBeCloseTo(0.4, 10);
    }
  });

  it("takes no amount below 0, and of tissue or water alone what fits better", () => {
    const [d] = TENSORS;
    const costWith = (tissue: number, water: number) => {
      const signal = modelOf(d, 0.9, -0.1);
      return modelOf(d, tissue, water).reduce((sum, m, i) => sum + (m - signal[i]) ** 2, 0);
    };
    const problem = problemOf(modelOf(d, 0.9, -0.1));
    const cost = problem.cost(Float64Array.from(d));
    expect(problem.water).toBe(0);
    expect(cost).toBeCloseTo(costWith(problem.tissue, 0), 12);
    for (const step of [-1e-3, 1e-3]) {
      expect(costWith(problem.tissue + step, 0)).toBeGreaterThan(cost);
    }
    const wet = problemOf(modelOf(d, -0.1, 0.9));
    wet.cost(Float64Array.from(d));
    expect(wet.tissue).toBe(0);
    expect(wet.water).toBeGreaterThan(0.7);
    const dark = problemOf(modelOf(d, -0.5, -0.5));
    dark.cost(Float64Array.from(d));
    expect([dark.tissue, dark.water]).toEqual([0, 0]);
  });

  it("gives all to the tissue where that decays as water does", () => {
    const same = 3e-3 / design.unit;
    const d = [same, 0, same, 0, 0, same];
    const problem = problemOf(modelOf(d, 0.5, 0.3));
    expect(problem.cost(Float64Array.from(d))).toBeLessThan(1e-24);
    expect(problem.water).toBe(0);
    expect(problem.tissue).toBeCloseTo(0.8, 10);
  });

  // Both amounts free, and the water's at its bound.
  const signals = {
    "both amounts": data.slice(0, width).map((s) => s / 1000),
    "tissue alone": modelOf([2.1, 0.2, 1.5, 0.1, -0.2, 1.1], 0.9, -0.2),
  };
  for (const [kind, signal] of Object.entries(signals)) {
    it(`has derivatives, first and second, that central differences confirm (${kind})`, () => {
      const problem = problemOf(signal);
      const [matrix, gradient] = [new Float64Array(36), new Float64Array(6)];
      const [above, below, none] = Array.from({ length: 3 }, () => new Float64Array(36));
      let compared = 0;
      for (const tensor of TENSORS) {
        const x = Float64Array.from(tensor);
        problem.cost(x);
        if (problem.water > 0 !== (kind === "both amounts") || problem.tissue === 0) continue;
        compared++;
        problem.linearize(matrix, gradient);
        const size = Math.max(...gradient.map(Math.abs));
        const greatest = Math.max(...matrix.map(Math.abs));
        const h = 1e-5;
        for (let k = 0; k < 6; k++) {
          const slopeAt = (by: number, into: Float64Array) => {
            const cost = problem.cost(shifted(x, k, by));
            problem.linearize(none, into);
            return cost;
          };
          const difference = (slopeAt(h, above) - slopeAt(-h, below)) / (4 * h);
          expect(Math.abs(difference - gradient[k])).toBeLessThan(1e-7 * size);
          for (let j = 0; j <= k; j++) {
            const second = (above[j] - below[j]) / (2 * h);
            expect(Math.abs(second - matrix[6 * k + j])).toBeLessThan(1e-6 * greatest);
          }
        }
      }
      expect(compared).toBeGreaterThan(1);
    });
  }
});

describe("createFreeWaterSearch", () => {
  const s0 = 800;
  const truth = [1.4, 0.2, 0.9, -0.1, 0.15, 0.6];

  /** What a search finds in a signal, from each of the starts. */
  function searchFrom(starts: readonly ArrayLike<number>[], signal: Float64Array) {
    const memory = createFreeWaterMemory(design);
    const search = createFreeWaterSearch(design, memory);
    memory.arrays.samples.set(signal);
    return starts.map((start) => {
      search.run(Float64Array.from(start), s0);
      return { ...search, tensor: search.tensor.slice() };
    });
  }

  it("finds the truth from far starts, also from one that leaves the tissue nothing", () => {
    const signal = modelOf(truth, 0.75 * 900, 0.25 * 900);
    const flat = [0, 0, 0, 0, 0, 0];
    for (const found of searchFrom([...TENSORS, flat], signal)) {
      found.tensor.forEach((value, k) => {
        expect(value).toBeCloseTo(truth[k], 8);
      });
      expect(found.f).toBeCloseTo(0.25, 9);
      expect(found.s0).toBeCloseTo(900, 6);
      expect(found.converged).toBe(true);
      expect(found.noise).toBeLessThan(1e-20);
      expect(found.evaluations).toBeLessThan(25);
    }
  });

  it("finds water alone, and says how much of the signal is left over", () => {
    const signal = modelOf(truth, -100, 700);
    const [found] = searchFrom([truth], signal);
    expect(found.f).toBe(1);
    const energy = signal.reduce((sum, x) => sum + x * x, 0);
    const left = modelOf(truth, 0, found.s0).reduce((sum, m, i) => sum + (m - signal[i]) ** 2, 0);
    expect(found.noise / (left / energy)).toBeCloseTo(1, 9);
    expect(found.cost / (left / s0 ** 2)).toBeCloseTo(1, 9);
  });
});
