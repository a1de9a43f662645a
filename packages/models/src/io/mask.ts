/** Which voxels of the grid are fitted: those of a mask file, or those with signal without diffusion weighting. */
import type { Hash } from "node:crypto";
import { InputError } from "../model.ts";
import { affineDifference, affineOf } from "./affine.ts";
import type { NumericView } from "./datatype.ts";
import type { NiftiHeader } from "./header.ts";
import type { InputFile, ReadOptions } from "./inputFile.ts";
import type { PieceSink } from "./volumeReader.ts";
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

/** Adds up these volumes, and reads no further than the last of them. */
export async function sumB0(
  file: InputFile,
  header: NiftiHeader,
  isB0: Uint8Array,
  options: ReadOptions,
): Promise<B0Sum> {
  const b0 = new B0Sum(header);
  const take: PieceSink = (_volume, first, values) => b0.take(first, values);
  await readVolumes(file, header, { wanted: isB0, stopEarly: true }, take, options);
  return b0;
}

/** The b0 signals (scaled) of every voxel of the grid, added up. */
export class B0Sum {
  readonly #sums: Float64Array;
  readonly #slope: number;
  readonly #intercept: number;

  constructor({ shape: [nx, ny, nz], slope, intercept }: NiftiHeader) {
    this.#sums = new Float64Array(nx * ny * nz);
    this.#slope = slope;
    this.#intercept = intercept;
  }

  /** Adds the values from grid index `first` on of a b0 volume. */
  take(first: number, values: NumericView): undefined {
    for (let i = 0; i < values.length; i++) {
      this.#sums[first + i] += this.#slope * values[i] + this.#intercept;
    }
  }

  /** Whether the mean is above zero; also where it is not a number, so that the voxel's status tells. */
  isInside(voxel: number): boolean {
    return !(this.#sums[voxel] <= 0);
  }

  /** Ascending grid indices of the voxels inside; the mean has the sign of the sum. */
  voxels(): Uint32Array {
    const inside = new Uint8Array(this.#sums.length);
    for (let i = 0; i < inside.length; i++) if (this.isInside(i)) inside[i] = 1;
    return indicesOf(inside);
  }
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
