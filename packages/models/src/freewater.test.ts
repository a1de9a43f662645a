import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { freeWater } from "./freewater.ts";
import { openDwi } from "./io/openDwi.ts";
import { createFreeWaterKernel } from "./kernels/freewater.ts";
import { createKernel } from "./kernels/index.ts";
import { InputError } from "./model.ts";
import {
  dwiOf,
  fitModel,
  gradientTable,
  readReferenceGradients,
  readReferenceImage,
} from "./tensor/testing.ts";

const single = readReferenceGradients("csd_real_64dir");
/** The 64 directions at about 1000 and again at half as much more, each with a b0: DIPY's test scheme. */
const double = gradientTable(
  [...single.bvals, ...single.bvals.map((b) => 1.5 * b)],
  [...single.bvecs, ...single.bvecs],
);
const TISSUE = [1.7e-3, 0.3e-3, 0.3e-3];
const TISSUE_MD = (1.7e-3 + 2 * 0.3e-3) / 3;
const TISSUE_FA = Math.sqrt((0.5 * (1.4e-3 ** 2 + 1.4e-3 ** 2)) / (1.7e-3 ** 2 + 2 * 0.3e-3 ** 2));

/** Tissue with its fibre along x and a share f of water, S0 = 100, without noise. */
function mixture(f: number): number[] {
  return Array.from(double.bvals, (b, i) => {
    const [x, y, z] = double.bvecs.subarray(3 * i, 3 * i + 3);
    const diffusivity = TISSUE[0] * x * x + TISSUE[1] * y * y + TISSUE[2] * z * z;
    return 100 * ((1 - f) * Math.exp(-b * diffusivity) + f * Math.exp(-b * 3e-3));
  });
}

function fitMixtures(shares: readonly number[], method: "nls" | "wls", gridRounds = 3) {
  const model = freeWater(dwiOf(shares.flatMap(mixture), double), { method });
  return fitModel(model, (parameters: Parameters<typeof createFreeWaterKernel>[0]) =>
    createFreeWaterKernel({ ...parameters, gridRounds }),
  );
}

/** The test of DIPY's decimals: |a - b| < 1.5 * 10^-decimals. */
function near(actual: number, expected: number, decimals: number): void {
  expect(Math.abs(actual - expected)).toBeLessThan(1.5 * 10 ** -decimals);
}

describe("freeWater on DIPY's own cases", () => {
  it("one voxel, f = 0.44444: the grid to 3 decimals, the search to 7", () => {
    const grid = fitMixtures([0.44444], "wls").maps;
    near(grid.fa.data[0], TISSUE_FA, 3);
    near(grid.f.data[0], 0.44444, 3);
    near(grid.md.data[0], TISSUE_MD, 3);
    const search = fitMixtures([0.44444], "nls").maps;
    near(search.fa.data[0], TISSUE_FA, 7);
    near(search.f.data[0], 0.44444, 7);
    near(search.md.data[0], TISSUE_MD, 7);
    near(search.s0.data[0], 100, 7);
  });

  it("f = 0.63416 with five rounds of the grid", () => {
    const { maps } = fitMixtures([0.63416], "wls", 5);
    near(maps.f.data[0], 0.63416, 5);
    near(maps.md.data[0], TISSUE_MD, 5);
  });

  it("eight voxels, four of them without water", () => {
    const shares = [0.06, 0.71, 0.33, 0.91, 0, 0, 0, 0];
    const { maps } = fitMixtures(shares, "nls");
    shares.forEach((share, v) => {
      near(maps.f.data[v], share, 7);
      near(maps.fa.data[v], TISSUE_FA, 7);
      near(maps.md.data[v], TISSUE_MD, 7);
    });
  });

  it("predicts the signal it was given, with its own S0", () => {
    const shares = [0.06, 0.71, 0.33];
    const { extras } = fitMixtures(shares, "nls");
    const predicted = extras.predict();
    const given = shares.flatMap(mixture);
    expect(predicted.length).toBe(given.length);
    given.forEach((value, i) => {
      near(predicted[i], value, 6);
    });
  });

  it("f = 0.97 is water alone", () => {
    const { maps } = fitMixtures([0.97], "nls");
    expect([maps.fa.data[0], maps.md.data[0], maps.f.data[0]]).toEqual([0, 0, 1]);
  });

  it("b0 samples of -100 are no signal", () => {
    const signals = mixture(0.4).map((s, i) => (double.isB0[i] === 1 ? -100 : s));
    const { maps } = fitModel(freeWater(dwiOf(signals, double)), createFreeWaterKernel);
    expect([maps.fa.data[0], maps.md.data[0], maps.f.data[0]]).toEqual([0, 0, 0]);
    expect(maps.status.data[0]).toBe(3);
  });
});

describe("freeWater as a model", () => {
  it("declares its outputs, files, kernel and options", () => {
    const model = freeWater(dwiOf(mixture(0.3), double));
    expect(model.name).toBe("freewater");
    expect(model.kernel.module).toBe("@fascicle/models/kernels");
    expect(model.kernel.name).toBe("freewater");
    expect(model.kernel.hash).toMatch(/^[0-9a-f]{16}$/);
    expect(model.options).toEqual({ method: "nls", waterDiffusivity: 3e-3 });
    expect(model.outputs.map(({ name, width, dtype }) => [name, width, dtype])).toEqual([
      ["params", 13, "float64"],
      ["fa", 1, "float64"],
      ["md", 1, "float64"],
      ["f", 1, "float64"],
      ["s0", 1, "float64"],
      ["evaluations", 1, "uint16"],
      ["status", 1, "uint8"],
    ]);
    expect(model.files.map(({ file }) => file)).toEqual(
      ["params", "fa", "md", "f", "s0", "evaluations", "status"].map((name) => `freewater_${name}`),
    );
    expect(structuredClone(model.kernel)).toEqual(model.kernel);
  });

  it("predicts 0 where a voxel was not fitted, and water where f is 1", () => {
    const water = Array.from(double.bvals, (b) => 250 * Math.exp(-b * 3e-3));
    const nothing = water.map(() => Number.NaN);
    const dwi = dwiOf([...water, ...nothing], double);
    const predicted = fitModel(freeWater(dwi), createFreeWaterKernel).extras.predict();
    water.forEach((value, i) => {
      near(predicted[i], value, 6);
      expect(predicted[water.length + i]).toBe(0);
    });
  });

  it("predicts noisy data as well as its residual says", () => {
    const { data } = readReferenceImage("freewater_real_101dir/dwi.nii.gz");
    const dwi = dwiOf(data, readReferenceGradients("freewater_real_101dir"));
    const predicted = fitModel(freeWater(dwi), createFreeWaterKernel).extras.predict();
    let left = 0;
    let whole = 0;
    data.forEach((value, i) => {
      left += (value - predicted[i]) ** 2;
      whole += value ** 2;
    });
    expect(left / whole).toBeLessThan(0.01);
  });

  it("gives DIPY's f for files that openDwi reads, whose b0 volume has b = 15", async () => {
    const folder = new URL(
      "../../../test/fixtures/reference/freewater_real_101dir/",
      import.meta.url,
    );
    const path = (file: string) => fileURLToPath(new URL(file, folder));
    const dwi = await openDwi({
      dwi: path("dwi.nii.gz"),
      bval: path("dwi.bval"),
      bvec: path("dwi.bvec"),
    });
    const model = freeWater(dwi);
    const { voxelCount, dtype, slabs, voxelsPerSlab } = model.signals;
    expect(voxelsPerSlab).toBeGreaterThanOrEqual(voxelCount);
    const rows = dtype === "float32" ? new Float32Array(slabs[0]) : new Float64Array(slabs[0]);
    const views = model.outputs.map(({ width }) => new Float64Array(voxelCount * width));
    createKernel(model.kernel.name, model.kernel.parameters).fit(rows, 0, voxelCount, views, 0);
    const expected = readReferenceImage("freewater_real_101dir/expected_nls_params.nii.gz").data;
    dwi.voxels.forEach((index, v) => {
      expect(Math.abs(views[0][13 * v + 12] - expected[13 * index + 12])).toBeLessThan(1e-5);
    });
    expect(voxelCount).toBeGreaterThan(500);
  });

  it("refuses one shell, no b0, flat directions and unknown methods in one sentence", () => {
    const one = dwiOf(
      Array.from(single.bvals, () => 100),
      single,
    );
    expect(() => freeWater(one)).toThrow(InputError);
    expect(() => freeWater(one)).toThrow(/one b-value above b0 \(about 1000 s\/mm²\)/);
    const narrow = gradientTable(
      Array.from(single.bvals, (b, i) => (b > 0 ? 987 + (i % 12) : 0)),
      [...single.bvecs],
    );
    expect(() =>
      freeWater(
        dwiOf(
          Array.from(single.bvals, () => 100),
          narrow,
        ),
      ),
    ).toThrow(/one b-value/);
    const noB0 = gradientTable(
      Array.from(double.bvals, (b, i) => (b > 0 ? b : 500 + i)),
      Array.from(double.bvecs, (x, j) =>
        double.isB0[Math.floor(j / 3)] ? Number(j % 3 === 0) : x,
      ),
    );
    expect(() => freeWater(dwiOf(mixture(0.3), noB0))).toThrow(/no b0 volume/);
    const flat = gradientTable(
      [...double.bvals],
      Array.from(double.bvecs, (x, j) => (j % 3 === 2 ? 0 : x)),
    );
    expect(() => freeWater(dwiOf(mixture(0.3), flat))).toThrow(/do not determine/);
    const wrong = { method: "sigma" } as unknown as { method: "nls" };
    expect(() => freeWater(dwiOf(mixture(0.3), double), wrong)).toThrow(/no method "sigma"/);
  });
});

describe("freeWater where water prevails", () => {
  const data = new URL("../../../test/fixtures/data/real_101dir_dsi", import.meta.url).pathname;

  it("finds the deeper of two valleys, as DIPY does, in a real voxel of all 102 volumes", async () => {
    const dwi = await openDwi({
      dwi: `${data}.nii.gz`,
      bval: `${data}.bval`,
      bvec: `${data}.bvec`,
    });
    const at = dwi.voxels.indexOf(0 + 6 * 2);
    const model = freeWater(dwi);
    const kernel = createFreeWaterKernel(
      model.kernel.parameters as Parameters<typeof createFreeWaterKernel>[0],
    );
    const out = model.outputs.map(({ width }) => new Float64Array(width));
    kernel.fit(new Float32Array(dwi.signals.slabs[0]), at, 1, out, 0);
    const f = out[model.outputs.findIndex(({ name }) => name === "f")][0];
    // DIPY 1.6.0's own answer; the other valley ends at 0.890 with half as much cost again.
    expect(Math.abs(f - 0.9972727)).toBeLessThan(1e-5);
  });
});
