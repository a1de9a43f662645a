import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { InputError } from "../model.ts";
import {
  makePhantom,
  measureSlice,
  measureVolume,
  type Phantom,
  phantomSignal,
  phantomTruthMaps,
} from "./index.ts";
import { threefry2x32 } from "./random.ts";

const small = { size: [20, 24, 16], scheme: "2shell", seed: 7 } as const;

function digest(phantom: Phantom, sliceOrder: readonly number[]): string {
  const [nx, ny, nz] = phantom.shape;
  const hash = createHash("sha256");
  for (let volume = 0; volume < phantom.gradients.bvals.length; volume++) {
    const samples = new Int16Array(nx * ny * nz);
    for (const z of sliceOrder) measureSlice(phantom, volume, z, samples, z * nx * ny);
    hash.update(samples);
  }
  return hash.digest("hex").slice(0, 16);
}

describe("random numbers by place", () => {
  it("are Threefry-2x32-20: the known answers of its authors", () => {
    const out = new Uint32Array(2);
    threefry2x32(0, 0, 0, 0, out);
    expect([...out]).toEqual([0x6b200159, 0x99ba4efe]);
    threefry2x32(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, out);
    expect([...out]).toEqual([0x1cb996fc, 0xbb002be7]);
    threefry2x32(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, out);
    expect([...out]).toEqual([0xc4923a9c, 0x483df7a0]);
  });
});

describe("the phantom's signal", () => {
  it("is the same bytes on every machine and in any order of slices", () => {
    const phantom = makePhantom(small);
    const up = Array.from({ length: phantom.shape[2] }, (_, z) => z);
    const scattered = up.map((z) => (7 * z + 3) % up.length);
    expect(new Set(scattered).size).toBe(up.length);
    expect(digest(phantom, up)).toBe("f611c0b7f08a3400");
    expect(digest(makePhantom(small), scattered)).toBe(digest(phantom, up));
  });

  it("changes with the seed in its noise alone", () => {
    const one = makePhantom(small);
    const other = makePhantom({ ...small, seed: 8 });
    expect(other.truth).toEqual(one.truth);
    expect(measureVolume(other, 3)).not.toEqual(measureVolume(one, 3));
  });

  it("has Rician noise: Rayleigh in the air, the right spread and bias in tissue", () => {
    const phantom = makePhantom({ size: [24, 28, 20], scheme: "64dir", snr: 10 });
    const inHead = new Int32Array(24 * 28 * 20).fill(-1);
    phantom.voxels.forEach((at, v) => {
      inHead[at] = v;
    });
    let air = 0;
    let airSquares = 0;
    let airCount = 0;
    let tissue = 0;
    let tissueSquares = 0;
    let tissueCount = 0;
    for (let volume = 0; volume < 12; volume++) {
      measureVolume(phantom, volume).forEach((sample, at) => {
        if (inHead[at] < 0) {
          air += sample;
          airSquares += sample * sample;
          airCount++;
          return;
        }
        const signal = phantomSignal(phantom, inHead[at], volume);
        if (signal < 4 * phantom.sigma) return;
        // The expected magnitude where the signal is well above the noise, to third order.
        const expected =
          signal + phantom.sigma ** 2 / (2 * signal) + phantom.sigma ** 4 / (8 * signal ** 3);
        tissue += sample - expected;
        tissueSquares += (sample - expected) ** 2;
        tissueCount++;
      });
    }
    expect(phantom.sigma).toBe(100);
    expect(airCount).toBeGreaterThan(50_000);
    expect(air / airCount / (phantom.sigma * Math.sqrt(Math.PI / 2))).toBeCloseTo(1, 2);
    expect(airSquares / airCount / (2 * phantom.sigma ** 2)).toBeCloseTo(1, 1);
    expect(tissueCount).toBeGreaterThan(20_000);
    expect(Math.abs(tissue / tissueCount)).toBeLessThan(0.025 * phantom.sigma);
    expect(Math.sqrt(tissueSquares / tissueCount) / phantom.sigma).toBeCloseTo(0.985, 1);
  });

  it("is noise-free and S0 at b0 when the SNR is infinite", () => {
    const phantom = makePhantom({ ...small, snr: Number.POSITIVE_INFINITY });
    const volume = measureVolume(phantom, 0);
    phantom.voxels.forEach((at, v) => {
      expect(volume[at]).toBe(Math.round(phantom.truth.s0[v]));
    });
    expect(volume[0]).toBe(0);
  });
});

describe("the phantom's truth", () => {
  const phantom = makePhantom();
  const { truth, voxels } = phantom;

  it("holds shares that add up and unit vectors", () => {
    for (let v = 0; v < voxels.length; v++) {
      let sum = 0;
      for (let n = 0; n < 3; n++) {
        const share = truth.fractions[3 * v + n];
        const [x, y, z] = truth.directions.subarray(9 * v + 3 * n, 9 * v + 3 * n + 3);
        const present = n < truth.fibres[v];
        expect(share > 0).toBe(present);
        expect(Math.abs(x * x + y * y + z * z - (present ? 1 : 0))).toBeLessThan(1e-6);
        sum += share;
      }
      expect(sum).toBeLessThanOrEqual(1 + 1e-6);
      expect(truth.water[v]).toBeGreaterThanOrEqual(0);
      expect(truth.water[v]).toBeLessThanOrEqual(1);
    }
  });

  it("has voxels of every kind in numbers", () => {
    const byFibres = [0, 0, 0, 0];
    let water = 0;
    let partly = 0;
    for (let v = 0; v < voxels.length; v++) {
      if (truth.water[v] === 1) water++;
      else if (truth.water[v] > 0) partly++;
      else byFibres[truth.fibres[v]]++;
    }
    expect(Math.min(...byFibres)).toBeGreaterThan(150);
    expect(byFibres[2]).toBeGreaterThan(1000);
    expect(water).toBeGreaterThan(1000);
    expect(partly).toBeGreaterThan(2000);
  });

  it("has crossings near 90 and near 60 degrees, and none that no method could see", () => {
    let right = 0;
    let sixty = 0;
    let narrowest = 90;
    for (let v = 0; v < voxels.length; v++) {
      if (truth.fibres[v] < 2 || truth.water[v] > 0.05) continue;
      const [a, b, c, d, e, f] = truth.directions.subarray(9 * v, 9 * v + 6);
      const angle = (Math.acos(Math.min(1, Math.abs(a * d + b * e + c * f))) * 180) / Math.PI;
      narrowest = Math.min(narrowest, angle);
      if (angle > 80) right++;
      if (angle > 52 && angle < 68) sixty++;
    }
    expect(right).toBeGreaterThan(200);
    expect(sixty).toBeGreaterThan(100);
    expect(narrowest).toBeGreaterThan(38);
  });

  it("mirrors left and right", () => {
    const [nx, ny, nz] = phantom.shape;
    const { f } = phantomTruthMaps(
      makePhantom({ size: [nx, ny, nz], snr: Number.POSITIVE_INFINITY }),
    );
    // The furrows of the cortex are free to differ; the ventricles in the middle are not.
    const z = nz / 2 + 1;
    for (let y = 12; y < ny - 12; y++) {
      for (let x = 12; x < nx / 2; x++) {
        const row = nx * (y + ny * z);
        expect(f[row + x]).toBe(f[row + nx - 1 - x]);
      }
    }
  });

  it("gives single fibres of high FA around the centre, enough for an automatic response", () => {
    const { fa, f, fibres } = phantomTruthMaps(phantom);
    const [nx, ny, nz] = phantom.shape;
    let count = 0;
    for (let z = nz / 2 - 10; z <= nz / 2 + 10; z++) {
      for (let y = ny / 2 - 10; y <= ny / 2 + 10; y++) {
        for (let x = nx / 2 - 10; x <= nx / 2 + 10; x++) {
          const at = x + nx * (y + ny * z);
          if (fibres[at] === 1 && fa[at] > 0.75 && f[at] < 0.02) count++;
        }
      }
    }
    expect(count).toBeGreaterThan(400);
  });

  it("is what it says in the pure tissues", () => {
    const maps = phantomTruthMaps(phantom);
    const pure = { water: 0, grey: 0, fibre: 0 };
    voxels.forEach((at, v) => {
      if (truth.water[v] === 1) {
        pure.water++;
        expect([maps.fa[at], maps.md[at], maps.f[at], maps.fibres[at]]).toEqual([0, 0, 1, 0]);
      } else if (truth.fibres[v] === 0) {
        pure.grey++;
        expect(maps.fa[at]).toBeLessThan(1e-6);
        expect(maps.md[at]).toBeCloseTo(0.8e-3, 9);
      } else if (truth.fractions[3 * v] * truth.coherence[v] > 0.9999) {
        pure.fibre++;
        expect(maps.fa[at]).toBeCloseTo(0.79897, 3);
        expect(maps.md[at]).toBeCloseTo(2.3e-3 / 3, 6);
      }
    });
    expect(Math.min(pure.water, pure.grey, pure.fibre)).toBeGreaterThan(300);
  });
});

describe("the phantom's options", () => {
  it.each([
    [{ size: [40, 48] }, /three whole numbers from 8 to 512/],
    [{ size: [7, 48, 32] }, /7,48,32/],
    [{ size: [40, 48, 513] }, /40,48,513/],
    [{ size: [40, 48.5, 32] }, /whole numbers/],
    [{ size: [40, Number.NaN, 32] }, /whole numbers/],
    [{ scheme: "dsi" }, /"dsi"; use one of hcp, 64dir, 2shell/],
    [{ snr: 0 }, /SNR is 0/],
    [{ snr: Number.NaN }, /SNR is NaN/],
    [{ seed: -1 }, /seed is -1/],
    [{ seed: 1.5 }, /seed is 1.5/],
  ])("refuses %j in one sentence", (options, sentence) => {
    expect(() => makePhantom(options)).toThrow(InputError);
    expect(() => makePhantom(options)).toThrow(sentence);
  });

  it("takes the smallest size", () => {
    expect(makePhantom({ size: [8, 8, 8], scheme: "64dir" }).voxels.length).toBeGreaterThan(100);
  });
});
