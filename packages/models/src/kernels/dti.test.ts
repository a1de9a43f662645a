import { describe, expect, it } from "vitest";
import { VoxelStatus } from "../model.ts";
import { tensorTable } from "../tensor/table.ts";
import { readReferenceGradients, readReferenceImage } from "../tensor/testing.ts";
import { createDtiKernel, DTI_OUTPUTS, type DtiParameters } from "./dti.ts";
import type { KernelEngine } from "./kernelMemory.ts";

const dwi = readReferenceImage("csd_real_64dir/dwi.nii.gz");
const gradients = tensorTable(readReferenceGradients("csd_real_64dir"));
const width = gradients.bvals.length;

function parameters(changes: Partial<DtiParameters> = {}): DtiParameters {
  return {
    width,
    volumes: Int32Array.from(gradients.bvals, (_, i) => i),
    bvals: gradients.bvals,
    bvecs: gradients.bvecs,
    slope: 1,
    intercept: 0,
    method: "wls",
    minSignal: 1e-4,
    ...changes,
  };
}

type Fitted = Record<(typeof DTI_OUTPUTS)[number][0], Float64Array>;

/** Fits in chunks of the given sizes, taken in turn. */
function fit(
  settings: DtiParameters,
  signals: Float64Array,
  chunks: number[] = [],
  engine?: KernelEngine,
): Fitted {
  const count = signals.length / settings.width;
  const views = DTI_OUTPUTS.map(([, width]) => new Float64Array(count * width).fill(-7));
  for (let first = 0, turn = 0; first < count; turn++) {
    const size = Math.min(count - first, chunks.length > 0 ? chunks[turn % chunks.length] : count);
    createDtiKernel(settings, engine).fit(signals, first, size, views, first);
    first += size;
  }
  return Object.fromEntries(DTI_OUTPUTS.map(([name], i) => [name, views[i]])) as Fitted;
}

function greatestDifference(left: Float64Array, right: Float64Array): number {
  let greatest = 0;
  for (let i = 0; i < left.length; i++) {
    const difference = Math.abs(left[i] - right[i]);
    if (!(difference <= greatest)) greatest = difference;
  }
  return greatest;
}

describe("dti kernel", () => {
  it("gives DIPY's weighted fit of real data, zero samples included", () => {
    const fitted = fit(parameters(), dwi.data);
    const evals = readReferenceImage("dti_real_64dir/expected_evals.nii.gz").data;
    expect(greatestDifference(fitted.evals, evals)).toBeLessThan(1e-12);
    const fa = readReferenceImage("dti_real_64dir/expected_fa.nii.gz").data;
    expect(greatestDifference(fitted.fa, fa)).toBeLessThan(1e-8);
    const md = readReferenceImage("dti_real_64dir/expected_md.nii.gz").data;
    expect(greatestDifference(fitted.md, md)).toBeLessThan(1e-12);
    expect(fitted.status.every((status) => status === 0)).toBe(true);
  });

  for (const method of ["wls", "ols"] as const) {
    it(`finds the true tensor without noise (${method})`, () => {
      const truths = Array.from({ length: 60 }, (_, v) => makeTensor(v));
      const signals = Float64Array.from(truths.flatMap((truth) => signalOf(truth, 731)));
      const fitted = fit(parameters({ method }), signals);
      truths.forEach(({ values, vectors }, v) => {
        for (let k = 0; k < 3; k++) {
          expect(Math.abs(fitted.evals[3 * v + k] / values[k] - 1)).toBeLessThan(1e-10);
          const cosine = [0, 3, 6].reduce(
            (sum, row) => sum + fitted.evecs[9 * v + row + k] * vectors[row + k],
            0,
          );
          expect(Math.abs(cosine)).toBeCloseTo(1, 10);
        }
        const [l1, l2, l3] = values;
        const mean = (l1 + l2 + l3) / 3;
        const spread = (l1 - mean) ** 2 + (l2 - mean) ** 2 + (l3 - mean) ** 2;
        const fa = Math.sqrt((1.5 * spread) / (l1 ** 2 + l2 ** 2 + l3 ** 2));
        expect(fitted.fa[v]).toBeCloseTo(fa, 10);
        expect(fitted.md[v]).toBeCloseTo(mean, 14);
        expect(fitted.ad[v]).toBeCloseTo(l1, 14);
        expect(fitted.rd[v]).toBeCloseTo((l2 + l3) / 2, 14);
        expect(fitted.s0[v]).toBeCloseTo(731, 8);
      });
    });
  }

  it("gives another answer by ordinary than by weighted least squares on noisy data", () => {
    const weighted = fit(parameters(), dwi.data);
    const ordinary = fit(parameters({ method: "ols" }), dwi.data);
    expect(greatestDifference(weighted.fa, ordinary.fa)).toBeGreaterThan(1e-3);
  });

  it("gives the same bytes for any chunks", () => {
    const whole = fit(parameters(), dwi.data);
    for (const chunks of [[1], [7, 1, 130], [999]]) {
      const parts = fit(parameters(), dwi.data, chunks);
      for (const [name] of DTI_OUTPUTS) {
        expect(Buffer.from(parts[name].buffer).equals(Buffer.from(whole[name].buffer))).toBe(true);
      }
    }
  });

  it("gives the same bytes with and without WebAssembly, for odd and even numbers of volumes", () => {
    for (const count of [width, width - 1, 12]) {
      const volumes = Int32Array.from({ length: count }, (_, i) => i);
      const [fast, plain] = (["webassembly", "plain"] as const).map((engine) =>
        fit(parameters({ volumes }), dwi.data, [], engine),
      );
      for (const [name] of DTI_OUTPUTS) {
        expect(Buffer.from(fast[name].buffer).equals(Buffer.from(plain[name].buffer))).toBe(true);
      }
    }
  });

  it("isolates voxels that cannot be fitted", () => {
    const odd = new Float64Array(7 * width);
    const good = dwi.data.subarray(0, width);
    for (let v = 0; v < 7; v++) odd.set(good, v * width);
    odd[5] = Number.NaN;
    odd[width + 5] = Number.POSITIVE_INFINITY;
    odd.fill(0, 2 * width, 3 * width);
    odd.fill(-3, 3 * width, 4 * width);
    odd[4 * width + 5] = 0;
    odd[5 * width + 5] = -40;
    const fitted = fit(parameters(), odd);
    expect([...fitted.status]).toEqual([
      VoxelStatus.notFinite,
      VoxelStatus.notFinite,
      VoxelStatus.noSignal,
      VoxelStatus.noSignal,
      VoxelStatus.fitted,
      VoxelStatus.fitted,
      VoxelStatus.fitted,
    ]);
    for (const [name, size] of DTI_OUTPUTS) {
      if (name !== "status") {
        expect(fitted[name].subarray(0, 4 * size).every((x) => Object.is(x, 0))).toBe(true);
        expect(fitted[name].subarray(4 * size).every(Number.isFinite)).toBe(true);
      }
    }
    const alone = fit(parameters(), Float64Array.from(good));
    expect(fitted.fa[6]).toBe(alone.fa[0]);
    expect(fitted.fa[4]).not.toBe(alone.fa[0]);
  });

  it("gives no fit whose numbers are out of range", () => {
    const odd = dwi.data.slice(0, 2 * width);
    odd[width + 5] = 1e300;
    const fitted = fit(parameters(), odd);
    for (const [name] of DTI_OUTPUTS) expect(fitted[name].every(Number.isFinite)).toBe(true);
  });

  it("calls a voxel singular whose weights leave fewer than seven equations", () => {
    const signals = new Float64Array(width).fill(1e-300);
    signals.fill(1e300, 0, 3);
    const fitted = fit(parameters({ minSignal: 1e-305 }), signals);
    expect([...fitted.status]).toEqual([VoxelStatus.singular]);
    expect(fitted.md[0]).toBe(0);
  });

  it("takes a constant signal for a tensor of the smallest diffusivity", () => {
    const fitted = fit(parameters(), new Float64Array(width).fill(50));
    expect(fitted.status[0]).toBe(0);
    expect(fitted.evals[0]).toBeLessThan(1.1e-9);
    expect(fitted.evals[2]).toBeGreaterThan(0.9e-9);
    expect(fitted.s0[0]).toBeCloseTo(50, 10);
  });

  it("does not depend on the unit of the signal, and applies slope and intercept", () => {
    const base = fit(parameters({ minSignal: 1e-30 }), dwi.data);
    for (const factor of [1e-5, 1e12]) {
      const scaled = fit(parameters({ minSignal: 1e-30 * factor, slope: factor }), dwi.data);
      expect(greatestDifference(base.fa, scaled.fa)).toBeLessThan(1e-9);
    }
    const shifted = fit(
      parameters({ slope: 0.5, intercept: 3, minSignal: 1e-30 }),
      dwi.data.map((x) => 2 * (x - 3)),
    );
    expect(greatestDifference(base.evals, shifted.evals)).toBeLessThan(1e-15);
  });

  it("uses the chosen volumes only", () => {
    const volumes = Int32Array.from({ length: 40 }, (_, i) => i);
    const few = fit(parameters({ volumes }), dwi.data);
    const spoilt = dwi.data.map((x, i) => (i % width >= 40 ? Number.NaN : x));
    expect(greatestDifference(fit(parameters({ volumes }), spoilt).evals, few.evals)).toBe(0);
    expect(greatestDifference(few.evals, fit(parameters(), dwi.data).evals)).toBeGreaterThan(1e-6);
  });

  it("refuses directions that do not determine a tensor", () => {
    const flat = gradients.bvecs.map((x, j) => (j % 3 === 2 ? 0 : x));
    expect(() => createDtiKernel(parameters({ bvecs: flat }))).toThrow(/do not determine/);
    const six = Int32Array.from([0, 1, 2, 3, 4, 5]);
    expect(() => createDtiKernel(parameters({ volumes: six }))).toThrow(/at least six directions/);
    const noB0 = Int32Array.from({ length: 20 }, (_, i) => i + 1);
    const sameB = gradients.bvals.map((b) => (b > 0 ? 1000 : 0));
    expect(() => createDtiKernel(parameters({ volumes: noB0, bvals: sameB }))).toThrow(/b0 volume/);
  });
});

interface Truth {
  readonly values: readonly number[];
  /** By rows; columns are the vectors. */
  readonly vectors: readonly number[];
}

/** Tensor number `index`, turned about two axes; its eigenvalues lie well apart. */
function makeTensor(index: number): Truth {
  const values = [1.7e-3 - 1e-5 * index, 0.7e-3, 0.3e-3 - 2e-6 * index];
  const [a, b] = [0.37 * index, 1.1 + 0.21 * index];
  const [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
  return { values, vectors: [ca, -sa * cb, sa * sb, sa, ca * cb, -ca * sb, 0, sb, cb] };
}

function signalOf({ values, vectors }: Truth, s0: number): number[] {
  return Array.from(gradients.bvals, (b, i) => {
    const [x, y, z] = gradients.bvecs.subarray(3 * i, 3 * i + 3);
    const exponent = values.reduce(
      (sum, value, k) =>
        sum + value * (x * vectors[k] + y * vectors[3 + k] + z * vectors[6 + k]) ** 2,
      0,
    );
    return s0 * Math.exp(-b * exponent);
  });
}
