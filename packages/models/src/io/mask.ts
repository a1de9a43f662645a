/** Which voxels of the grid are fitted: those of a mask file, or those with signal without diffusion weighting. */
import type { Hash } from "node:crypto";
import { InputError } from "../model.ts";
import { affineDifference, affineOf } from "./affine.ts";
import type { NiftiHeader } from "./header.ts";
import type { InputFile, ReadOptions } from "./inputFile.ts";
import { openVolumes, readVolumes } from "./volumeReader.ts";

/** How far entries of the affines may differ, in voxels. */
const affineTolerance = 1e-3;

/** Ascending grid indices of the mask's voxels: values other than 0 and NaN. Throws InputError. */
export async function readMask(
  file: InputFile,
  dwi: NiftiHeader,
  hash: Hash,
  signal?: AbortSignal,
): Promise<Uint32Array> {
  const header = await openVolumes(file, signal);
  checkSameGrid(file, header, dwi);
  const [nx, ny, nz] = header.shape;
  const inside = new Uint8Array(nx * ny * nz);
  const { slope, intercept } = header;
  await readVolumes(
    file,
    header,
    { wanted: Uint8Array.of(1), stopEarly: false },
    (_volume, first, values) => {
      for (let i = 0; i < values.length; i++) {
        const value = slope * values[i] + intercept;
        if (value !== 0 && !Number.isNaN(value)) inside[first + i] = 1;
      }
    },
    { hash, signal },
  );
  const voxels = indicesOf(inside);
  if (voxels.length === 0) {
    throw new InputError(`${file.subject} is empty: no voxel in it is above zero.`);
  }
  return voxels;
}

function checkSameGrid(file: InputFile, mask: NiftiHeader, dwi: NiftiHeader): void {
  const grid = dwi.shape.slice(0, 3).join(" x ");
  if (mask.shape.join(" x ") !== grid) {
    throw new InputError(
      `${file.subject} has the shape ${mask.shape.join(" x ")} and the dwi the grid ${grid}; give a mask made on this dwi.`,
    );
  }
  const difference = affineDifference(affineOf(dwi.fields), affineOf(mask.fields), affineTolerance);
  if (difference !== undefined) {
    throw new InputError(
      `${file.subject} does not lie where the dwi lies: its affine has the ${difference}; resample it to the dwi or copy the dwi's geometry to it.`,
    );
  }
}

/** Ascending grid indices of voxels whose mean b0 signal (scaled) is above zero. Throws InputError. */
export async function maskFromB0(
  file: InputFile,
  header: NiftiHeader,
  isB0: Uint8Array,
  b0Threshold: number,
  options: ReadOptions,
): Promise<Uint32Array> {
  if (!isB0.includes(1)) {
    throw new InputError(
      `${file.subject} has no volume at or below b = ${b0Threshold} to make a mask from; give a mask file.`,
    );
  }
  const [nx, ny, nz] = header.shape;
  const sums = new Float64Array(nx * ny * nz);
  const { slope, intercept } = header;
  await readVolumes(
    file,
    header,
    { wanted: isB0, stopEarly: true },
    (_volume, first, values) => {
      for (let i = 0; i < values.length; i++) sums[first + i] += slope * values[i] + intercept;
    },
    options,
  );
  // The mean has the sign of the sum. A voxel whose b0 is not a number is taken in, so that its status tells.
  const inside = new Uint8Array(sums.length);
  for (let i = 0; i < sums.length; i++) if (!(sums[i] <= 0)) inside[i] = 1;
  const voxels = indicesOf(inside);
  if (voxels.length === 0) {
    throw new InputError(`${file.subject} has no voxel with a mean b0 signal above zero.`);
  }
  return voxels;
}

function indicesOf(inside: Uint8Array): Uint32Array {
  let count = 0;
  for (let i = 0; i < inside.length; i++) count += inside[i];
  const voxels = new Uint32Array(count);
  let next = 0;
  for (let i = 0; i < inside.length; i++) {
    if (inside[i] === 1) voxels[next++] = i;
  }
  return voxels;
}
