import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  crossingSignal,
  fibre,
  fitModel,
  greatestDifference,
  greatestRelativeError,
  randomNumbers,
  small64,
  small64Dwi,
  tensorSignal,
  withRicianNoise,
} from "./csd/testing.ts";
import { autoResponse, csd, realShBasis, toScannerFrame } from "./csd.ts";
import { openDwi } from "./io/openDwi.ts";
import { temporaryDirectory } from "./io/testing.ts";
import type { CsdParameters } from "./kernels/csdParameters.ts";
import { kernelHash } from "./kernels/index.ts";
import { HEMISPHERE181 } from "./kernels/sphere.ts";
import { zonalAtPole } from "./kernels/sphericalHarmonics.ts";
import { InputError } from "./model.ts";
import { dwiOf, gradientTable, readReferenceImage } from "./tensor/testing.ts";

const real = (end: string) =>
  fileURLToPath(new URL(`../../../test/fixtures/data/real_64dir.${end}`, import.meta.url));
const openReal = () => openDwi({ dwi: real("nii"), bval: real("bval"), bvec: real("bvec") });

const given = (s0: number) => [...fibre, s0] as const;
const allVolumes = Int32Array.from(small64.isB0.keys()).filter((i) => small64.isB0[i] === 0);

/** 0.5 units in the last of k decimals and the tolerance of NumPy's almost_equal: 1.5e-k. */
const decimals = (k: number) => 1.5 * 10 ** -k;

describe("automatic response", () => {
  it("is DIPY's on real data", async () => {
    const { evals, s0, ratio, voxels } = autoResponse(await openReal(), allVolumes);
    expect(voxels).toBe(135);
    expect(evals[0] / 0.0014882744012637077).toBeCloseTo(1, 9);
    expect(evals[1] / 0.0003025621087829307).toBeCloseTo(1, 9);
    expect(evals[2]).toBe(evals[1]);
    expect(s0 / 191.53333333333333).toBeCloseTo(1, 12);
    expect(ratio).toBeCloseTo(0.20329726058986328, 9);
  });

  it("takes the single fibres alone (DIPY's case of three tissues)", () => {
    const white = [0.8 * 0.0017, 0.8 * 0.0004, 0.8 * 0.0004] as const;
    const tissues = [
      tensorSignal(small64, 1, [{ evals: white }]),
      tensorSignal(small64, 1, [{ evals: [4e-4, 4e-4, 4e-4] }]),
      tensorSignal(small64, 4, [{ evals: [3e-3, 3e-3, 3e-3] }]),
    ];
    const dwi = small64Dwi([0, 0, 2, 0, 1, 0, 0, 1, 2].map((tissue) => tissues[tissue]));
    const { evals, s0, ratio, voxels } = autoResponse(dwi, allVolumes);
    expect(voxels).toBe(5);
    expect(greatestDifference(evals, white)).toBeLessThan(decimals(6));
    expect(s0).toBe(1);
    expect(ratio).toBeCloseTo(white[1] / white[0], 7);
  });

  it("is what the model uses, to the bit", () => {
    const single = tensorSignal(small64, 100, [{ evals: fibre }]);
    const dwi = small64Dwi(Array.from({ length: 27 }, () => single));
    const estimate = autoResponse(dwi, allVolumes);
    expect(greatestDifference(estimate.evals, fibre)).toBeLessThan(decimals(6));
    expect(Math.abs(estimate.s0 - 100)).toBeLessThan(decimals(7));
    expect(Math.abs(estimate.ratio - 0.2)).toBeLessThan(decimals(7));
    expect(csd(dwi).options.response).toMatchObject({ source: "auto", ...estimate });
    const { evals, s0 } = estimate;
    const same = csd(dwi, { response: [...evals, s0] });
    expect(harmonicsOf(same)).toEqual(harmonicsOf(csd(dwi)));
  });

  it("leaves out voxels that are not finite, and other shells", () => {
    const single = tensorSignal(small64, 100, [{ evals: fibre }]);
    const dwi = small64Dwi([
      single,
      single.with(9, Number.NaN),
      single.with(0, Number.NaN),
      single,
    ]);
    expect(autoResponse(dwi, allVolumes).voxels).toBe(2);
    const doubled = gradientTable(
      [...small64.bvals, ...small64.bvals.map((b) => 3 * b)],
      [...small64.bvecs, ...small64.bvecs],
    );
    const odd = tensorSignal(doubled, 100, [{ evals: [1e-3, 1e-3, 1e-3] }]);
    const both = dwiOf(Float64Array.from([...single, ...odd.subarray(65)]), doubled);
    const { evals } = autoResponse(both, allVolumes);
    expect(greatestDifference(evals, fibre)).toBeLessThan(1e-9);
  });

  it("says what to do where there is no single fibre or no b0", () => {
    const grey = tensorSignal(small64, 100, [{ evals: [7e-4, 7e-4, 7e-4] }]);
    const isotropic = small64Dwi([grey, grey]);
    expect(() => csd(isotropic)).toThrow(InputError);
    expect(() => csd(isotropic)).toThrow(
      /None of the 2 voxels .* give the response as E1,E2,E3,S0/,
    );
    const noB0 = gradientTable(
      Array.from(small64.bvals.subarray(1)),
      Array.from(small64.bvecs.subarray(3)),
    );
    expect(() => csd(dwiOf(grey.subarray(1), noB0))).toThrow(
      /without a b0 volume; give the response/,
    );
  });
});

describe("csd", () => {
  it("fits two fibres of 60 degrees and warns of more coefficients than directions (DIPY's test_csdeconv)", () => {
    const signal = withRicianNoise(crossingSignal(1), 0.01, randomNumbers(1));
    const dwi = small64Dwi([signal]);
    const model = csd(dwi, { response: given(1) });
    expect(model.warnings).toEqual([]);
    expect(fitModel(model).maps.sh.data[0]).toBeGreaterThan(0);
    const fine = csd(dwi, { response: given(1), shOrder: 10 });
    expect(fine.warnings).toEqual([
      expect.stringContaining("66 coefficients and only 64 directions"),
    ]);
    expect(fitModel(fine).maps.status.data[0]).toBeLessThanOrEqual(1);
  });

  it("describes itself: outputs, files, kernel, resolved options", async () => {
    const model = csd(await openReal());
    expect(model.outputs).toEqual([
      { name: "sh", width: 45, dtype: "float64", units: "1" },
      { name: "gfa", width: 1, dtype: "float64", units: "1" },
      { name: "iterations", width: 1, dtype: "uint16", units: "1" },
      { name: "status", width: 1, dtype: "uint8", units: "1" },
    ]);
    expect(model.files.map(({ file, field }) => [file, field])).toEqual([
      ["csd_sh", "sh"],
      ["csd_gfa", "gfa"],
      ["csd_iterations", "iterations"],
      ["csd_status", "status"],
    ]);
    const { module, name, hash, parameters } = model.kernel;
    expect([module, name, hash]).toEqual(["@fascicle/models/kernels", "csd", kernelHash()]);
    expect(structuredClone(parameters)).toEqual(parameters);
    expect(model.options).toMatchObject({
      ...{ shOrder: 8, shBasis: "descoteaux07", lambda: 1, tau: 0.1, iterations: 50 },
      ...{ shells: [994], directions: 64, response: { source: "auto", voxels: 135 } },
    });
    expect(JSON.parse(JSON.stringify(model.options))).toEqual(model.options);
  });

  it("gives DIPY's fit of the real data, response and all", async () => {
    const dwi = await openReal();
    expect(dwi.voxels.length).toBe(1000);
    const { maps } = fitModel(csd(dwi), 300);
    const expected = readReferenceImage("csd_real_64dir/expected_sh_order8.nii.gz").data;
    expect(greatestRelativeError(maps.sh.data, expected, 45)).toBeLessThan(1e-10);
    const rounds = readReferenceImage("csd_real_64dir/expected_iterations_order8.nii.gz").data;
    expect(Array.from(maps.iterations.data)).toEqual(Array.from(rounds));
  });

  it("means by its defaults what they are (C12) and gives the same bytes in any chunks", () => {
    const random = randomNumbers(5);
    const signals = Array.from({ length: 12 }, () =>
      withRicianNoise(crossingSignal(100), 4, random),
    );
    const dwi = small64Dwi(signals);
    const plain = fitModel(csd(dwi, { response: given(100) }));
    const spelled = csd(dwi, {
      ...{ response: given(100), shOrder: 8, shell: "largest", shBasis: "descoteaux07" },
      ...{ lambda: 1, tau: 0.1, iterations: 50 },
    });
    expect(fitModel(spelled, 5)).toEqual(plain);
  });

  it("fits the chosen shell and no other volume", () => {
    const high = gradientTable(
      [...small64.bvals, ...small64.bvals.subarray(1).map((b) => b + 2000)],
      [...small64.bvecs, ...small64.bvecs.subarray(3)],
    );
    const signal = tensorSignal(high, 100, [{ evals: fibre, angles: [30, 40] }]);
    const both = dwiOf(signal, high);
    const alone = fitModel(csd(small64Dwi([signal.slice(0, 65)]), { response: given(100) }));
    const first = csd(both, { response: given(100), shell: 1000 });
    expect(fitModel(first).maps.sh.data).toEqual(alone.maps.sh.data);
    expect(csd(both, { response: given(100) }).options.shells).toEqual([2994]);
    const spoiled = dwiOf(signal.with(100, Number.NaN), high);
    expect(fitModel(csd(spoiled, { response: given(100), shell: 1000 })).maps.status.data[0]).toBe(
      0,
    );
    expect(fitModel(csd(spoiled, { response: given(100) })).maps.status.data[0]).toBe(2);
    const all = csd(both, { response: given(100), shell: "all" });
    expect([all.options.directions, all.warnings.length]).toEqual([128, 1]);
  });

  it.each([
    [{ shOrder: 7 }, /even number from 0 to 16/],
    [{ shOrder: -2 }, /even number from 0 to 16/],
    [{ shOrder: 18 }, /even number from 0 to 16/],
    [{ lambda: -1 }, /lambda is -1/],
    [{ tau: Number.NaN }, /tau is NaN/],
    [{ iterations: 0 }, /whole number from 1 to 65535/],
    [{ precision: "float16" as "float32" }, /give float64 or float32/],
    [{ precision: "float32", shOrder: 10 } as const, /too coarse for order 10/],
    [{ iterations: 1.5 }, /whole number from 1 to 65535/],
    [{ shell: -5 }, /The shell is "-5"/],
    [{ shell: 4000 }, /choose one of b = 994 \(64 volumes\)/],
    [{ shBasis: "tournier07" as "mrtrix3" }, /give descoteaux07 or mrtrix3/],
    [{ response: [0.0015, 0.0003, -0.0003, 1] as const }, /three eigenvalues in mm²\/s/],
    [{ response: [1500, 300, 300, 1] as const }, /three eigenvalues in mm²\/s/],
    [{ response: [0.0015, 0.0003, 0.0003, 0] as const }, /three eigenvalues in mm²\/s/],
  ])("refuses %o", (options, message) => {
    const dwi = small64Dwi([crossingSignal(100)]);
    const attempt = () => csd(dwi, { response: given(100), ...options });
    expect(attempt).toThrow(InputError);
    expect(attempt).toThrow(message);
  });
});

describe("csd with a response file", () => {
  const dwi = small64Dwi([crossingSignal(100)]);
  const tensor = csd(dwi, { response: given(100) });
  const zonal = Array.from(harmonicsOf(tensor), (value, k) => value * zonalAtPole(2 * k));

  it("fits as with the tensor it was written from", () => {
    using directory = temporaryDirectory();
    const file = directory.write(
      "response.txt",
      `# Shells: 0,1000\n354.5 0 0 0 0\n${zonal.join(" ")}\n`,
    );
    const model = csd(dwi, { response: file });
    expect(model.warnings).toEqual([]);
    expect(model.options.response).toMatchObject({ source: "file", file: "response.txt" });
    const [ours, expected] = [fitModel(model), fitModel(tensor)];
    expect(greatestDifference(ours.maps.sh.data, expected.maps.sh.data)).toBeLessThan(1e-10);
    // The row of b = 0 carries the b0 signal, 354.5 / sqrt(4 pi).
    const s0 = 354.5 * zonalAtPole(0);
    const scaled = model.extend(ours).predict({ s0 });
    expect(scaled[0]).toBe(s0);
    const byTensor = tensor.extend(expected).predict({ s0: 100 });
    expect(greatestDifference(scaled.subarray(1), byTensor.subarray(1))).toBeLessThan(1e-8);
  });

  it("counts what the file leaves out as 0, and says so", () => {
    using directory = temporaryDirectory();
    const file = directory.write("short.txt", `${zonal.slice(0, 3).join(" ")}\n`);
    const model = csd(dwi, { response: { file } });
    expect(model.warnings).toEqual([expect.stringContaining("ends at order 4")]);
    expect(Array.from(harmonicsOf(model).subarray(3))).toEqual([0, 0]);
    const fit = fitModel(model);
    expect(fit.maps.status.data[0]).toBeLessThanOrEqual(1);
    expect(() => model.extend(fit).predict()).toThrow(/gives no b0 signal/);
    const known = csd(dwi, { response: { file, s0: 100 } });
    expect(known.extend(fit).predict({ s0: 7 })[0]).toBe(7);
    const negative = directory.write("negative.txt", "-1 2 3\n");
    expect(() => csd(dwi, { response: negative })).toThrow(/must be above 0/);
  });
});

describe("csd's predict and odf", () => {
  const coefficients = (voxels: number) => {
    const random = randomNumbers(9);
    const data = Float64Array.from({ length: 45 * voxels }, (_, i) =>
      i % 45 === 0 ? 10 : random() - 0.5,
    );
    return { maps: { sh: { data, shape: [voxels, 45] as const, units: "1" } } };
  };

  it.each([1, 123])(
    "give back the coefficients that a signal was made of, S0 = %i (C7, C8)",
    (s0) => {
      const fit = coefficients(4);
      const model = csd(small64Dwi([crossingSignal(s0)]), { response: given(s0) });
      const signal = model.extend(fit).predict({ s0 });
      expect([signal[0], signal[65], signal[3 * 65]]).toEqual([s0, s0, s0]);
      const again = csd(dwiOf(signal, small64), { response: given(s0) });
      const refit = fitModel(again);
      expect(greatestDifference(refit.maps.sh.data, fit.maps.sh.data)).toBeLessThan(decimals(6));
      const s0OfVoxel = new Float64Array(4).fill(s0);
      const predicted = again.extend(refit).predict({ s0: s0OfVoxel });
      expect(greatestDifference(predicted, signal)).toBeLessThan(decimals(6));
      expect(predicted).toEqual(again.extend(refit).predict({ s0 }));
      expect(again.extend(refit).predict({ s0: 2 * s0 })[70]).toBeCloseTo(2 * predicted[70], 10);
      expect(() => again.extend(refit).predict({ s0: new Float64Array(3) })).toThrow(
        /3 numbers for 4 voxels/,
      );
    },
  );

  it("have 1 as S0 by default and NaN in volumes of other shells", () => {
    const table = gradientTable([...small64.bvals, 3000], [...small64.bvecs, 1, 0, 0]);
    const model = csd(dwiOf(new Float64Array(66).fill(1), table), {
      response: given(1),
      shell: 1000,
    });
    const signal = model.extend(coefficients(1)).predict();
    expect(signal[0]).toBe(1);
    expect(Number.isFinite(signal[64])).toBe(true);
    expect(signal[65]).toBeNaN();
  });

  it("sum the basis over the coefficients", () => {
    const fit = coefficients(3);
    const model = csd(small64Dwi([crossingSignal(1)]), { response: given(1) });
    const directions = Float64Array.of(0, 0, 1, 2, 0, 0, 0.3, -0.4, 0.5);
    const odf = model.extend(fit).odf(directions);
    const basis = realShBasis(8, directions);
    for (let v = 0; v < 3; v++) {
      for (let i = 0; i < 3; i++) {
        let sum = 0;
        for (let n = 0; n < 45; n++) sum += basis[45 * i + n] * fit.maps.sh.data[45 * v + n];
        expect(odf[3 * v + i]).toBeCloseTo(sum, 12);
      }
    }
    expect(() => model.extend(fit).odf(new Float64Array(4))).toThrow(/give 3 \(x, y, z\)/);
  });

  it("mean the same distribution in MRtrix3's basis, turned with the affine", () => {
    const affine = Float64Array.of(0, -2, 0, 9, 1.6, 0, -1.2, 8, 1.2, 0, 1.6, 7, 0, 0, 0, 1);
    const plain = small64Dwi([crossingSignal(100)]);
    const dwi = { ...plain, geometry: { ...plain.geometry, affine } };
    const ours = csd(dwi, { response: given(100) });
    const theirs = csd(dwi, { response: given(100), shBasis: "mrtrix3" });
    // With the watched directions turned along, the two fits are the same but for the frame.
    const regularisation = toScannerFrame(HEMISPHERE181, affine);
    const parameters = { ...(theirs.kernel.parameters as CsdParameters), regularisation };
    const turned = { ...theirs, kernel: { ...theirs.kernel, parameters } };
    const here = ours.extend(fitModel(ours));
    const there = theirs.extend(fitModel(turned));
    const amplitudes = here.odf(HEMISPHERE181);
    const size = Math.max(...amplitudes);
    const difference = greatestDifference(there.odf(regularisation), amplitudes);
    expect(difference / size).toBeLessThan(1e-6);
    const predicted = here.predict({ s0: 100 });
    expect(greatestDifference(there.predict({ s0: 100 }), predicted)).toBeLessThan(1e-6);
    // In the frame of the bvecs one fibre stands along z.
    expect(there.odf(toScannerFrame(Float64Array.of(0, 0, 1), affine))[0] / size).toBeGreaterThan(
      0.8,
    );
  });
});

function harmonicsOf(model: ReturnType<typeof csd>): Float64Array {
  return (model.kernel.parameters as CsdParameters).responseHarmonics;
}
