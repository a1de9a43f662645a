import { describe, expect, it } from "vitest";
import { VoxelStatus } from "../model.ts";
import { tensorTable } from "../tensor/table.ts";
import { readReferenceGradients, readReferenceImage } from "../tensor/testing.ts";
import {
  createFreeWaterKernel,
  FREE_WATER_OUTPUTS,
  type FreeWaterParameters,
} from "./freewater.ts";
import { createFreeWaterMemory } from "./freewaterMemory.ts";
import { createFreeWaterSearch } from "./freewaterSearch.ts";
import type { KernelEngine } from "./kernelMemory.ts";
import { createTensorDesign } from "./tensor.ts";

type Fitted = Record<(typeof FREE_WATER_OUTPUTS)[number][0], Float64Array>;

function parametersOf(
  name: string,
  changes: Partial<FreeWaterParameters> = {},
): FreeWaterParameters {
  const gradients = readReferenceGradients(name);
  return {
    width: gradients.bvals.length,
    volumes: Int32Array.from(gradients.bvals, (_, i) => i),
    ...tensorTable(gradients),
    slope: 1,
    intercept: 0,
    method: "nls",
    isB0: gradients.isB0,
    gridRounds: 3,
    ...changes,
  };
}

/** Fits in chunks of the given sizes, taken in turn, each with a kernel of its own. */
function fit(
  settings: FreeWaterParameters,
  signals: Float32Array | Float64Array,
  chunks: readonly number[] = [],
  engine?: KernelEngine,
): Fitted {
  const count = signals.length / settings.width;
  const views = FREE_WATER_OUTPUTS.map(([, size]) => new Float64Array(count * size).fill(-7));
  for (let first = 0, turn = 0; first < count; turn++) {
    const size = Math.min(count - first, chunks.length > 0 ? chunks[turn % chunks.length] : count);
    createFreeWaterKernel(settings, engine).fit(signals, first, size, views, first);
    first += size;
  }
  return Object.fromEntries(FREE_WATER_OUTPUTS.map(([name], i) => [name, views[i]])) as Fitted;
}

/**
 * Sum of squares left by parameters of 13 with the S0 that suits them best, which is linear. DIPY does
 * not keep its S0, so both answers are compared at their best S0. Only right where no eigenvalue was
 * clipped at 0.
 */
function costOf(
  signals: Float64Array,
  voxel: number,
  settings: FreeWaterParameters,
  params: Float64Array,
): number {
  const { width, bvals, bvecs } = settings;
  const row = params.subarray(13 * voxel, 13 * voxel + 13);
  const models = Array.from(bvals, (b, i) => {
    const [x, y, z] = bvecs.subarray(3 * i, 3 * i + 3);
    const exponent = [0, 1, 2].reduce(
      (sum, k) => sum + row[k] * (x * row[3 + k] + y * row[6 + k] + z * row[9 + k]) ** 2,
      0,
    );
    const water = Math.exp(-b * 3e-3 * (x * x + y * y + z * z));
    return (1 - row[12]) * Math.exp(-b * exponent) + row[12] * water;
  });
  const sample = signals.subarray(voxel * width, (voxel + 1) * width);
  const product = models.reduce((sum, model, i) => sum + model * sample[i], 0);
  const s0 = product / models.reduce((sum, model) => sum + model * model, 0);
  return models.reduce((sum, model, i) => sum + (sample[i] - s0 * model) ** 2, 0);
}

const CASES = [
  "freewater_synthetic_noiseless",
  "freewater_synthetic_2shell",
  "freewater_synthetic_hcp_scheme",
  "freewater_real_101dir",
] as const;

describe("free-water kernel against DIPY", () => {
  for (const name of CASES) {
    const { data, count } = readReferenceImage(`${name}/dwi.nii.gz`);

    it(`${name}: the grid gives the same f and tensor in every voxel`, () => {
      const expected = readReferenceImage(`${name}/expected_wls_params.nii.gz`).data;
      const fitted = fit(parametersOf(name, { method: "wls" }), data);
      for (let v = 0; v < count; v++) {
        expect(Math.abs(fitted.f[v] - expected[13 * v + 12])).toBeLessThan(1e-12);
        for (let k = 0; k < 3; k++) {
          const difference = Math.abs(fitted.params[13 * v + k] - expected[13 * v + k]);
          expect(difference).toBeLessThan(1e-10 * Math.max(expected[13 * v], 1e-4));
        }
      }
      expect(fitted.evaluations.every((n) => n === 0)).toBe(true);
    });

    it(`${name}: the search gives the same f and never a greater cost`, () => {
      const settings = parametersOf(name);
      const expected = readReferenceImage(`${name}/expected_nls_params.nii.gz`).data;
      const fitted = fit(settings, data);
      let far = 0;
      let compared = 0;
      for (let v = 0; v < count; v++) {
        const difference = Math.abs(fitted.f[v] - expected[13 * v + 12]);
        expect(difference).toBeLessThanOrEqual(5e-4);
        if (difference > 1e-5) far++;
        expect(fitted.params[13 * v + 12]).toBe(fitted.f[v]);
        if (fitted.params[13 * v + 2] === 0 || expected[13 * v + 2] === 0) continue;
        compared++;
        let energy = 0;
        for (let i = v * settings.width; i < (v + 1) * settings.width; i++) energy += data[i] ** 2;
        const ours = costOf(data, v, settings, fitted.params);
        const theirs = costOf(data, v, settings, expected);
        expect(ours).toBeLessThanOrEqual(theirs * (1 + 1e-9) + 1e-18 * energy);
      }
      expect(far).toBeLessThanOrEqual(0.01 * count);
      expect(compared).toBeGreaterThan(0.5 * count);
      expect(fitted.status.every((status) => status === VoxelStatus.fitted)).toBe(true);
      expect(fitted.evaluations.every((n) => n <= 40)).toBe(true);
    });
  }

  it("searches or not as DIPY does where the grid's f is near 0.99", () => {
    const settings = parametersOf("freewater_real_101dir");
    // A floor under water, and b0 samples that are a little too low, bring f there.
    const shares = Array.from({ length: 60 }, (_, k) => 0.95 + 0.0005 * k);
    const signals = Float64Array.from(
      shares.flatMap((f) =>
        Array.from(settings.bvals, (b) => (b < 50 ? 92 : 100 * (1 - f + f * Math.exp(-b * 3e-3)))),
      ),
    );
    const grid = fit({ ...settings, method: "wls" }, signals);
    const search = fit(settings, signals);
    shares.forEach((_, v) => {
      const isSearched = grid.f[v] < 0.99;
      expect(search.evaluations[v] > 0).toBe(isSearched);
      if (!isSearched) expect(search.f[v]).toBe(grid.f[v]);
    });
    expect(grid.f.some((f) => f >= 0.99 && f < 1)).toBe(true);
    expect(grid.f.some((f) => f < 0.99)).toBe(true);
  });

  it("reaches the optimum from a coarse start in noise of a third of S0 too", () => {
    for (const name of ["freewater_synthetic_2shell", "freewater_real_101dir"] as const) {
      const settings = parametersOf(name);
      const { data } = readReferenceImage(`${name}/dwi.nii.gz`);
      const noisy = withNoise(data.subarray(0, 200 * settings.width), settings.width, 0.3);
      const fitted = fit(settings, noisy);
      const fine = fit({ ...settings, method: "wls" }, noisy);
      const restarted = searchFrom(settings, noisy, fine);
      for (let v = 0; v < 200; v++) {
        if (fitted.evaluations[v] > 0 && fitted.status[v] === VoxelStatus.fitted) {
          expect(Math.abs(fitted.f[v] - restarted[v])).toBeLessThan(1e-4);
        }
      }
    }
  });
});

describe("free-water kernel where water prevails", () => {
  it("finds the deepest of the valleys that searches from many starts find, in 98 % of the worst voxels", () => {
    const settings = parametersOf("freewater_real_101dir");
    const { width, bvals } = settings;
    const design = createTensorDesign(settings);
    const memory = createFreeWaterMemory(design);
    const search = createFreeWaterSearch(design, memory);
    const clean = Float64Array.from({ length: 300 * width }, (_, at) => {
      const f = 0.88 + 0.0004 * Math.floor(at / width);
      const b = bvals[at % width];
      return 100 * ((1 - f) * Math.exp(-b * 0.7e-3) + f * Math.exp(-b * 3e-3));
    });
    const signals = withNoise(clean, width, 0.025);
    const fitted = fit(settings, signals);
    let valleys = 0;
    let shallow = 0;
    for (let v = 0; v < 300; v++) {
      if (fitted.evaluations[v] === 0) continue;
      const row = signals.subarray(v * width, (v + 1) * width);
      memory.arrays.samples.set(row);
      const b0 = row.filter((_, i) => settings.isB0[i] === 1);
      const s0 = b0.reduce((sum, value) => sum + value, 0) / b0.length;
      const found = [0.1, 0.3, 0.8, 1.5, 2.5, 6].map((diffusivity) => {
        const d = (diffusivity * 1e-3) / design.unit;
        search.run(Float64Array.of(d, 0, d, 0, 0, d), s0);
        return { cost: search.cost, f: search.f };
      });
      found.sort((a, b) => a.cost - b.cost);
      if (found[5].cost > found[0].cost * 1.001) valleys++;
      const close = found.filter(({ cost }) => cost <= found[0].cost * (1 + 1e-6));
      if (!(Math.min(...close.map(({ f }) => Math.abs(f - fitted.f[v]))) < 1e-4)) shallow++;
    }
    expect(valleys).toBeGreaterThan(3);
    expect(shallow).toBeLessThanOrEqual(6);
  });
});

/** Repeatable Gaussian noise of a share of each voxel's first sample. */
function withNoise(data: Float64Array, width: number, share: number): Float64Array {
  let state = 77;
  const next = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  return data.map((value, i) => {
    const normal = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
    return value + share * data[i - (i % width)] * normal;
  });
}

/** The f that the search reaches from the fine grid's answers. */
function searchFrom(
  settings: FreeWaterParameters,
  signals: Float64Array,
  start: Fitted,
): Float64Array {
  const design = createTensorDesign(settings);
  const { width } = settings;
  const memory = createFreeWaterMemory(design);
  const { samples } = memory.arrays;
  const search = createFreeWaterSearch(design, memory);
  const tensor = new Float64Array(6);
  return start.f.map((f, v) => {
    if (f === 0 || f >= 0.99) return f;
    samples.set(signals.subarray(v * width, (v + 1) * width));
    const b0 = samples.subarray(0, width).filter((_, i) => settings.isB0[i] === 1);
    const s0 = b0.reduce((sum, value) => sum + value, 0) / b0.length;
    const params = start.params.subarray(13 * v, 13 * v + 13);
    let at = 0;
    for (const [row, column] of [
      [0, 0],
      [1, 0],
      [1, 1],
      [2, 0],
      [2, 1],
      [2, 2],
    ]) {
      const terms = [0, 1, 2].map(
        (k) => params[k] * params[3 + 3 * row + k] * params[3 + 3 * column + k],
      );
      tensor[at++] = (terms[0] + terms[1] + terms[2]) / design.unit;
    }
    search.run(tensor, s0);
    return search.f;
  });
}

describe("free-water kernel in odd voxels", () => {
  const name = "freewater_synthetic_2shell";
  const settings = parametersOf(name);
  const { width } = settings;
  const { data } = readReferenceImage(`${name}/dwi.nii.gz`);
  const good = data.slice(0, width);
  const b0Count = settings.isB0.filter((flag) => flag === 1).length;

  /** The first reference voxel with changes, fitted. */
  function fitChanged(change: (signals: Float64Array) => void, changes = {}): Fitted {
    const signals = good.slice();
    change(signals);
    return fit({ ...settings, ...changes }, signals);
  }

  function expectNothing(fitted: Fitted, status: number): void {
    expect(fitted.status[0]).toBe(status);
    for (const [field] of FREE_WATER_OUTPUTS) {
      if (field !== "status") expect(fitted[field].every((x) => Object.is(x, 0))).toBe(true);
    }
  }

  for (const method of ["nls", "wls"] as const) {
    it(`gives nothing for samples that are not finite or no signal (${method})`, () => {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        expectNothing(
          fitChanged((s) => s.fill(value, 20, 21), { method }),
          VoxelStatus.notFinite,
        );
      }
      expectNothing(
        fitChanged((s) => s.fill(0), { method }),
        VoxelStatus.noSignal,
      );
      expectNothing(
        fitChanged((s) => s.fill(-5), { method }),
        VoxelStatus.noSignal,
      );
      const b0Gone = (s: Float64Array, value: number) => {
        for (let i = 0; i < width; i++) if (settings.isB0[i] === 1) s[i] = value;
      };
      expectNothing(
        fitChanged((s) => b0Gone(s, -100), { method }),
        VoxelStatus.noSignal,
      );
      expectNothing(
        fitChanged((s) => b0Gone(s, 0), { method }),
        VoxelStatus.noSignal,
      );
    });

    it(`fits a voxel with one zero or negative sample, and the others as ever (${method})`, () => {
      const plain = fit({ ...settings, method }, good);
      for (const value of [0, -30]) {
        const fitted = fitChanged((s) => s.fill(value, 20, 21), { method });
        expect(fitted.status[0]).toBe(VoxelStatus.fitted);
        expect(fitted.params.every(Number.isFinite)).toBe(true);
        expect(fitted.f[0]).not.toBe(plain.f[0]);
      }
      const mixed = new Float64Array(3 * width).fill(Number.NaN);
      mixed.set(good, width);
      const amid = fit({ ...settings, method }, mixed);
      expect(amid.params.subarray(13, 26)).toEqual(plain.params);
    });
  }

  it("owes nothing to the voxel before where numbers are too large for their sums", () => {
    for (const method of ["nls", "wls"] as const) {
      const odd = data.slice(0, 40 * width);
      // From numbers that fit as ever to those whose squares are too large.
      for (let v = 0; v < 40; v += 2) {
        const scale = 10 ** (147 + v / 8);
        for (let i = v * width; i < (v + 1) * width; i++) odd[i] *= scale;
      }
      const whole = fit({ ...settings, method }, odd);
      const alone = fit({ ...settings, method }, odd, [1]);
      for (const [field] of FREE_WATER_OUTPUTS) {
        expect(whole[field]).toEqual(alone[field]);
        expect(whole[field].every(Number.isFinite)).toBe(true);
      }
      expect(new Set(whole.status)).toContain(VoxelStatus.notFinite);
    }
  });

  it("is singular where too few samples have signal", () => {
    const fitted = fitChanged((s) => s.fill(0, b0Count));
    expectNothing(fitted, VoxelStatus.singular);
  });

  it("takes a constant signal for tissue without diffusion", () => {
    const fitted = fitChanged((s) => s.fill(500));
    expect(fitted.status[0]).toBe(VoxelStatus.fitted);
    expect(fitted.f[0]).toBeLessThan(1e-6);
    expect(fitted.params[0]).toBeLessThan(1e-8);
    expect(fitted.s0[0]).toBeCloseTo(500, 4);
  });

  it("gives f = 1, no tensor and the S0 of water to pure water", () => {
    for (const method of ["nls", "wls"] as const) {
      const fitted = fitChanged(
        (s) => {
          for (let i = 0; i < width; i++) s[i] = 800 * Math.exp(-settings.bvals[i] * 3e-3);
        },
        { method },
      );
      expect([...fitted.params]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
      expect([fitted.f[0], fitted.fa[0], fitted.md[0], fitted.status[0]]).toEqual([1, 0, 0, 0]);
      expect(fitted.s0[0]).toBeCloseTo(800, 5);
    }
  });

  it("has its cliff at a mean diffusivity of 2.7e-3", () => {
    const isotropic = (diffusivity: number) =>
      fitChanged((s) => {
        for (let i = 0; i < width; i++) s[i] = 800 * Math.exp(-settings.bvals[i] * diffusivity);
      });
    expect(isotropic(2.69e-3).f[0]).toBeLessThan(1e-4);
    expect(isotropic(2.71e-3).f[0]).toBe(1);
  });

  it("does not depend on the unit of the signal", () => {
    const few = data.subarray(0, 150 * width);
    const base = fit(settings, few);
    for (const slope of [1e-5, 1e12]) {
      const scaled = fit({ ...settings, slope }, few);
      for (let v = 0; v < 150; v++) {
        expect(Math.abs(scaled.f[v] - base.f[v])).toBeLessThan(1e-6);
        expect(Math.abs(scaled.s0[v] / base.s0[v] / slope - 1)).toBeLessThan(1e-6);
      }
    }
  });

  it("gives the same bytes for any chunks and for float32 signals", () => {
    for (const method of ["nls", "wls"] as const) {
      const few = Float32Array.from(data.subarray(0, 120 * width));
      const whole = fit({ ...settings, method }, few);
      const runs = [
        ...[[1], [13, 2, 40], [119]].map((chunks) => fit({ ...settings, method }, few, chunks)),
        fit({ ...settings, method }, Float64Array.from(few)),
      ];
      for (const run of runs) {
        for (const [field] of FREE_WATER_OUTPUTS) {
          expect(Buffer.from(run[field].buffer).equals(Buffer.from(whole[field].buffer))).toBe(
            true,
          );
        }
      }
    }
  });

  it("gives the same bytes with and without WebAssembly, for odd and even numbers of volumes", () => {
    const few = data.subarray(0, 100 * width);
    for (const method of ["nls", "wls"] as const) {
      for (const count of [width, width - 1]) {
        const volumes = Int32Array.from({ length: count }, (_, i) => i);
        const [fast, plain] = (["webassembly", "plain"] as const).map((engine) =>
          fit({ ...settings, method, volumes }, few, [], engine),
        );
        for (const [field] of FREE_WATER_OUTPUTS) {
          expect(Buffer.from(fast[field].buffer).equals(Buffer.from(plain[field].buffer))).toBe(
            true,
          );
        }
      }
    }
  });

  it("uses the chosen volumes only", () => {
    const volumes = Int32Array.from(settings.volumes.filter((i) => i % 3 !== 2));
    const spoilt = good.map((x, i) => (i % 3 === 2 ? Number.NaN : x));
    const fitted = fit({ ...settings, volumes }, spoilt);
    expect(fitted.status[0]).toBe(VoxelStatus.fitted);
    expect(fitted.params).toEqual(fit({ ...settings, volumes }, good).params);
  });

  it("refuses to be made without a b0", () => {
    const isB0 = new Uint8Array(width);
    expect(() => createFreeWaterKernel({ ...settings, isB0 })).toThrow(/b0/);
  });
});
