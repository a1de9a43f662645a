import { describe, expect, it } from "vitest";
import { tensorTable } from "../tensor/table.ts";
import { readReferenceGradients, readReferenceImage } from "../tensor/testing.ts";
import { createFreeWaterProblem } from "./freewaterSearch.ts";
import { createTensorDesign } from "./tensor.ts";

const CASE = "freewater_synthetic_2shell";
const gradients = readReferenceGradients(CASE);
const { data, width } = readReferenceImage(`${CASE}/dwi.nii.gz`);
const design = createTensorDesign({
  width,
  volumes: Int32Array.from(gradients.bvals, (_, i) => i),
  ...tensorTable(gradients),
  slope: 1,
  intercept: 0,
});

/** Points away from every optimum: scaled tensor, ln S0, angle. */
const POINTS = [
  [2.9, 0.3, 1.1, -0.2, 0.1, 0.9, 0.05, 0.7],
  [1.2, -0.4, 2.2, 0.3, -0.6, 1.5, -0.1, 1.6],
  [0.6, 0.05, 0.5, 0.02, 0.01, 0.7, 0.2, 2.7],
  [3.5, 0.1, 0.4, 0.0, 0.2, 0.3, 0.0, -0.4],
  [-0.2, 0.3, 1.4, 0.1, 0.2, 0.8, 0.3, 4.1],
] as const;

/** Model values at x, from costs alone: with signal e_i the cost differs by what is linear in model i. */
function modelAt(x: Float64Array): Float64Array {
  const signal = new Float64Array(width);
  const problem = createFreeWaterProblem(design, signal);
  const zero = problem.cost(x);
  return signal.map((_, i) => {
    signal.fill(0);
    signal[i] = 1;
    return 0.5 * (1 + zero - problem.cost(x));
  });
}

function shifted(x: Float64Array, unknown: number, by: number): Float64Array {
  const moved = x.slice();
  moved[unknown] += by;
  return moved;
}

describe("createFreeWaterProblem", () => {
  it("is the free-water model", () => {
    const x = Float64Array.from(POINTS[0]);
    const f = 0.5 * (1 - Math.cos(x[7]));
    const model = modelAt(x);
    const { bvals, bvecs } = tensorTable(gradients);
    for (let i = 0; i < width; i++) {
      const [a, b, c] = bvecs.subarray(3 * i, 3 * i + 3);
      const diffusivity =
        design.unit * (x[0] * a * a + 2 * x[1] * a * b + x[2] * b * b) +
        design.unit * (2 * x[3] * a * c + 2 * x[4] * b * c + x[5] * c * c);
      const water = Math.exp(-bvals[i] * 3e-3 * (a * a + b * b + c * c));
      const expected = Math.exp(x[6]) * ((1 - f) * Math.exp(-bvals[i] * diffusivity) + f * water);
      expect(Math.abs(model[i] - expected)).toBeLessThan(1e-12);
    }
  });

  it("has a gradient that central differences of the cost confirm", () => {
    const signal = data.slice(0, width).map((s) => s / 1000);
    const problem = createFreeWaterProblem(design, signal);
    const matrix = new Float64Array(64);
    const gradient = new Float64Array(8);
    for (const point of POINTS) {
      const x = Float64Array.from(point);
      problem.cost(x);
      problem.linearize(matrix, gradient);
      const size = Math.max(...gradient.map(Math.abs));
      for (let k = 0; k < 8; k++) {
        const h = 1e-5;
        const difference =
          (problem.cost(shifted(x, k, h)) - problem.cost(shifted(x, k, -h))) / (4 * h);
        expect(Math.abs(difference - gradient[k])).toBeLessThan(1e-7 * size);
      }
    }
  });

  it("has the products of the Jacobian's columns that central differences of the model confirm", () => {
    const signal = data.slice(0, width).map((s) => s / 1000);
    const problem = createFreeWaterProblem(design, signal);
    const matrix = new Float64Array(64);
    const gradient = new Float64Array(8);
    for (const point of POINTS) {
      const x = Float64Array.from(point);
      problem.cost(x);
      problem.linearize(matrix, gradient);
      const h = 1e-5;
      const columns = Array.from({ length: 8 }, (_, k) => {
        const above = modelAt(shifted(x, k, h));
        const below = modelAt(shifted(x, k, -h));
        return above.map((value, i) => (value - below[i]) / (2 * h));
      });
      for (let i = 0; i < 8; i++) {
        for (let j = 0; j <= i; j++) {
          const product = columns[i].reduce((sum, value, s) => sum + value * columns[j][s], 0);
          const scale = Math.sqrt(matrix[i * 8 + i] * matrix[j * 8 + j]);
          // The angle's diagonal entry holds, besides, the curvature of f(angle) where that is convex.
          const curvature = i === 7 && j === 7 ? convexity(x, signal) : 0;
          expect(Math.abs(matrix[i * 8 + j] - product - curvature)).toBeLessThan(1e-6 * scale);
        }
      }
    }
  });
});

/** max(0, d cost/2 / df * d²f / d angle²). */
function convexity(x: Float64Array, signal: Float64Array): number {
  const model = modelAt(x);
  const slope = 0.5 * Math.sin(x[7]);
  const h = 1e-5;
  const above = modelAt(shifted(x, 7, h));
  const below = modelAt(shifted(x, 7, -h));
  const pull = model.reduce(
    (sum, value, i) => sum + ((value - signal[i]) * (above[i] - below[i])) / (2 * h * slope),
    0,
  );
  return Math.max(0, pull * 0.5 * Math.cos(x[7]));
}
