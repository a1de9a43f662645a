import { describe, expect, it } from "vitest";
import { dti } from "./dti.ts";
import { createDtiKernel } from "./kernels/dti.ts";
import { InputError } from "./model.ts";
import {
  dwiOf,
  fitModel,
  gradientTable,
  readReferenceGradients,
  readReferenceImage,
} from "./tensor/testing.ts";

const gradients = readReferenceGradients("csd_real_64dir");
const { data } = readReferenceImage("csd_real_64dir/dwi.nii.gz");

describe("dti as a model", () => {
  it("gives DIPY's FA in every voxel, those with a zero sample included", () => {
    const { maps } = fitModel(dti(dwiOf(data, gradients)), createDtiKernel);
    const expected = readReferenceImage("dti_real_64dir/expected_fa.nii.gz").data;
    const difference = expected.map((value, v) => Math.abs(maps.fa.data[v] - value));
    expect(Math.max(...difference)).toBeLessThan(1e-8);
    expect([...data].filter((sample) => sample <= 0).length).toBeGreaterThan(0);
  });

  it("declares its outputs, files, kernel and options", () => {
    const model = dti(dwiOf(data, gradients), { method: "ols" });
    expect(model.name).toBe("dti");
    expect(model.kernel.name).toBe("dti");
    expect(model.options).toEqual({ method: "ols", minSignal: 1e-4 });
    expect(model.outputs.map(({ name, width: size, dtype }) => [name, size, dtype])).toEqual([
      ["evals", 3, "float64"],
      ["evecs", 9, "float64"],
      ["fa", 1, "float64"],
      ["md", 1, "float64"],
      ["ad", 1, "float64"],
      ["rd", 1, "float64"],
      ["s0", 1, "float64"],
      ["status", 1, "uint8"],
    ]);
    expect(model.files.map(({ file }) => file)).toEqual(
      ["evals", "evecs", "fa", "md", "ad", "rd", "s0", "status"].map((name) => `dti_${name}`),
    );
    expect(structuredClone(model.kernel)).toEqual(model.kernel);
  });

  it("predicts a noiseless signal, and 0 where a voxel was not fitted", () => {
    const signals = Array.from(gradients.bvals, (b, i) => {
      const [x, y, z] = gradients.bvecs.subarray(3 * i, 3 * i + 3);
      return 300 * Math.exp(-b * (1.5e-3 * x * x + 4e-4 * y * y + 2e-4 * z * z + 2e-4 * x * y));
    });
    const dwi = dwiOf([...signals, ...signals.map(() => -1)], gradients);
    const predicted = fitModel(dti(dwi), createDtiKernel).extras.predict();
    signals.forEach((value, i) => {
      expect(Math.abs(predicted[i] / value - 1)).toBeLessThan(1e-10);
      expect(predicted[signals.length + i]).toBe(0);
    });
  });

  it("weighs b0 volumes with the little weighting they have", () => {
    const bvals = Array.from(gradients.bvals, (b) => (b > 0 ? b : 40));
    const bvecs = Array.from(gradients.bvecs, (x, j) => (j === 0 ? 1 : x));
    const table = gradientTable(bvals, bvecs);
    const signals = bvals.map((b) => 200 * Math.exp(-b * 1e-3));
    const { maps } = fitModel(dti(dwiOf(signals, table)), createDtiKernel);
    expect(maps.md.data[0]).toBeCloseTo(1e-3, 12);
    expect(maps.s0.data[0]).toBeCloseTo(200, 8);
  });

  it("refuses directions in one plane and unknown methods", () => {
    const flat = gradientTable(
      [...gradients.bvals],
      Array.from(gradients.bvecs, (x, j) => (j % 3 === 2 ? 0 : x)),
    );
    expect(() => dti(dwiOf(data, flat))).toThrow(InputError);
    const wrong = { method: "nlls" } as unknown as { method: "wls" };
    expect(() => dti(dwiOf(data, gradients), wrong)).toThrow(
      'dti has no method "nlls"; choose "wls" or "ols".',
    );
  });
});
