import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { csd } from "../csd.ts";
import type { Dwi } from "../io/dwi.ts";
import { openDwi } from "../io/openDwi.ts";
import { readNifti } from "../io/readNifti.ts";
import { temporaryDirectory } from "../io/testing.ts";
import { writeNifti } from "../io/writeNifti.ts";
import type { CsdParameters } from "../kernels/csdParameters.ts";
import { HEMISPHERE181 } from "../kernels/sphere.ts";
import { zonalAtPole } from "../kernels/sphericalHarmonics.ts";
import { toScannerFrame } from "./scannerFrame.ts";
import { fitModel } from "./testing.ts";

const real = (end: string) =>
  fileURLToPath(new URL(`../../../../test/fixtures/data/real_64dir.${end}`, import.meta.url));

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, ["-quiet", "-force", "-nthreads", "1", ...args]);
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
}
const hasMrtrix = spawnSync("dwi2fod", ["-version"]).status === 0;

/** The tensor of the response; its eigenvalues and b0 signal are those of the real data. */
const response = [
  0.0014882744012637077, 0.0003025621087829307, 0.0003025621087829307, 191.53333333333333,
] as const;

/** MRtrix weighs its constraint by 50 response[0] / directions, DIPY by 45 r0 / sqrt(181 * 362). */
const matchedLambda = 50 / 181 / ((45 * Math.sqrt(4 * Math.PI)) / Math.sqrt(181 * 362));

/** Rows of affines for the real data; none means its own. */
const affines: [string, number[] | undefined][] = [
  ["the scan's own oblique affine", undefined],
  ["a turned affine of negative determinant", [-1.6, 0, -1.2, 3, 0, 2, 0, 4, -1.2, 0, 1.6, 5]],
  ["a turned affine of positive determinant", [0, -2, 0, 3, 1.2, 0, -1.6, 4, 1.6, 0, 1.2, 5]],
];

describe.skipIf(!hasMrtrix)("csd beside MRtrix3 (skipped where it is not installed)", () => {
  it.each(affines)("gives dwi2fod's coefficients and sh2amp's amplitudes: %s", async (_, srow) => {
    using directory = temporaryDirectory();
    const dwiFile = `${directory.path}/dwi.nii`;
    const image = await readNifti(real("nii"));
    const affine = srow ? Float64Array.from([...srow, 0, 0, 0, 1]) : image.affine;
    await writeNifti(dwiFile, { shape: image.shape, dtype: "int16", data: image.data, affine });
    const bvec = directory.write(
      "dwi.bvec",
      readFileSync(real("bvec"), "utf8").replaceAll("nan", "0"),
    );
    const mask = directory.image("mask.nii", {
      shape: [10, 10, 10],
      dtype: "uint8",
      values: new Array(1000).fill(1),
      srow: Array.from(affine.subarray(0, 12)),
    });
    const dwi = await openDwi({ dwi: dwiFile, bval: real("bval"), bvec, mask });

    const model = csd(dwi, { shBasis: "mrtrix3", response, tau: 0, lambda: matchedLambda });
    const fit = fitModel(model);
    const sh = fit.maps.sh.data as Float64Array;
    const gradients = ["-fslgrad", bvec, real("bval")];
    const { responseHarmonics } = model.kernel.parameters as CsdParameters;
    const rows = Array.from(responseHarmonics, (value, k) => value * zonalAtPole(2 * k));
    const settings = [
      "-lmax",
      "8",
      "-norm_lambda",
      "0",
      "-directions",
      directory.write(
        "watched.txt",
        angles(toScannerFrame(HEMISPHERE181, model.dwi.geometry.affine)),
      ),
    ];
    const theirs = `${directory.path}/theirs.nii`;
    run(
      "dwi2fod",
      "csd",
      dwiFile,
      directory.write("response.txt", rows.join(" ")),
      theirs,
      ...gradients,
      ...settings,
    );
    const errors = relativeErrors(sh, await voxelMajor(theirs, 45));
    // dwi2fod writes float32; the oblique affine is at right angles to 1e-6 only.
    expect(Math.max(...errors)).toBeLessThan(5e-6);
    expect(errors.sort((a, b) => a - b)[500]).toBeLessThan(5e-7);

    const written = `${directory.path}/sh.nii`;
    await writeNifti(written, {
      shape: [...dwi.geometry.shape, 45],
      dtype: "float64",
      affine,
      data: volumeMajor(dwi, sh, 45),
    });
    const amplitudes = `${directory.path}/amplitudes.nii`;
    run("sh2amp", written, directory.write("directions.txt", angles(HEMISPHERE181)), amplitudes);
    const odf = model.extend(fit).odf(HEMISPHERE181);
    const size = odf.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const sampled = await voxelMajor(amplitudes, 181);
    let greatest = 0;
    for (let i = 0; i < odf.length; i++)
      greatest = Math.max(greatest, Math.abs(odf[i] - sampled[i]));
    expect(greatest / size).toBeLessThan(1e-6);
  });
});

/** Azimuth and angle from z, a line for each direction. */
function angles(directions: Float64Array): string {
  const lines: string[] = [];
  for (let i = 0; i < directions.length; i += 3) {
    const [x, y, z] = directions.subarray(i, i + 3);
    lines.push(`${Math.atan2(y, x)} ${Math.atan2(Math.sqrt(x * x + y * y), z)}`);
  }
  return `${lines.join("\n")}\n`;
}

function volumeMajor(dwi: Dwi, data: Float64Array, width: number): Float64Array {
  const voxels = dwi.geometry.shape[0] * dwi.geometry.shape[1] * dwi.geometry.shape[2];
  const image = new Float64Array(voxels * width);
  dwi.voxels.forEach((voxel, v) => {
    for (let i = 0; i < width; i++) image[i * voxels + voxel] = data[v * width + i];
  });
  return image;
}

/** All voxels of the file, `width` numbers each. */
async function voxelMajor(file: string, width: number): Promise<Float64Array> {
  const { data } = await readNifti(file);
  const voxels = data.length / width;
  return data.map((_, i) => data[(i % width) * voxels + Math.floor(i / width)]);
}

/** |ours - theirs| / |ours| of each voxel. */
function relativeErrors(ours: Float64Array, theirs: Float64Array): number[] {
  const errors: number[] = [];
  for (let start = 0; start < ours.length; start += 45) {
    let error = 0;
    let size = 0;
    for (let i = start; i < start + 45; i++) {
      error += (ours[i] - theirs[i]) ** 2;
      size += ours[i] ** 2;
    }
    errors.push(Math.sqrt(error / size));
  }
  return errors;
}
