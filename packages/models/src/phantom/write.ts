/** Writes a phantom as the files of a scan, with the truth beside them. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { StagingDirectory } from "../io/stagingDirectory.ts";
import { type WriteNiftiOptions, writeNifti } from "../io/writeNifti.ts";
import { mostFibres } from "./anatomy.ts";
import type { PhantomOptions } from "./options.ts";
import { type Phantom, phantomSteps } from "./phantom.ts";
import type { GradientScheme } from "./scheme.ts";
import { measureSlice } from "./signal.ts";
import { phantomDirectionVolume, phantomTruthMaps } from "./truth.ts";

export interface WritePhantomOptions {
  readonly signal?: AbortSignal;
  /** Hears the share that is done, 0..1, rising. */
  readonly onProgress?: (share: number) => void;
}

/** Names of the written files, in the directory that was given. */
export const phantomFiles = {
  dwi: "dwi.nii.gz",
  bval: "dwi.bval",
  bvec: "dwi.bvec",
  mask: "mask.nii.gz",
  fa: "true_fa.nii.gz",
  md: "true_md.nii.gz",
  f: "true_f.nii.gz",
  fibres: "true_fibres.nii.gz",
  /**
   * 9 volumes: x, y, z of each of three vectors along the axes of the grid, as in dwi.bvec, as long as
   * the fibre's share of the tissue times its coherence.
   */
  directions: "true_directions.nii.gz",
  /** Size, scheme, SNR and seed. */
  options: "phantom.json",
} as const;

/** Share of the time that goes into the anatomy, before the first volume. */
const anatomyShare = 0.05;

/**
 * Makes a phantom and writes its files (`phantomFiles`) into `directory`, which is made where it is
 * missing. The scan is int16, made and written volume by volume. All files appear together at the
 * end; on failure or abort nothing is left. Gives back the phantom. Throws `InputError` for options
 * that cannot be used or a directory that takes no files, and the signal's reason on abort.
 */
export async function writePhantom(
  directory: string,
  options: PhantomOptions = {},
  { signal, onProgress }: WritePhantomOptions = {},
): Promise<Phantom> {
  signal?.throwIfAborted();
  const phantom = await build(options, signal, onProgress);
  const staging = await StagingDirectory.open(directory);
  try {
    const at = (name: string) => join(staging.path, name);
    await writeScan(at(phantomFiles.dwi), phantom, signal, onProgress);
    await writeTruth(at, phantom, signal);
    const { bvals } = phantom.gradients;
    await writeFile(at(phantomFiles.bval), `${[...bvals].join(" ")}\n`);
    await writeFile(at(phantomFiles.bvec), bvecText(phantom.gradients));
    // JSON knows no infinity; without noise the SNR is null.
    await writeFile(at(phantomFiles.options), `${JSON.stringify(phantom.options, null, 2)}\n`);
    signal?.throwIfAborted();
    await staging.commit(Object.values(phantomFiles), []);
  } catch (error) {
    await staging.discard();
    throw error;
  }
  onProgress?.(1);
  return phantom;
}

async function build(
  options: PhantomOptions,
  signal: AbortSignal | undefined,
  onProgress: ((share: number) => void) | undefined,
): Promise<Phantom> {
  const steps = phantomSteps(options);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    onProgress?.(anatomyShare * step.value);
    await setImmediate(undefined, { signal });
  }
}

async function writeScan(
  path: string,
  phantom: Phantom,
  signal: AbortSignal | undefined,
  onProgress: ((share: number) => void) | undefined,
): Promise<void> {
  const [nx, ny, nz] = phantom.shape;
  const volumes = phantom.gradients.bvals.length;
  const samples = new Int16Array(nx * ny * nz);
  await writeNifti(path, {
    shape: [nx, ny, nz, volumes],
    dtype: "int16",
    affine: phantom.affine,
    signal,
    volume: async (index) => {
      for (let z = 0; z < nz; z++) {
        measureSlice(phantom, index, z, samples, z * nx * ny);
        // Big slices take long enough that an abort should be heard between them.
        if (nx * ny >= 1 << 14) await setImmediate(undefined, { signal });
      }
      onProgress?.(anatomyShare + ((1 - anatomyShare) * (index + 1)) / (volumes + 1));
      return samples;
    },
  });
}

async function writeTruth(
  at: (name: string) => string,
  phantom: Phantom,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { shape, affine, voxels } = phantom;
  const maps = phantomTruthMaps(phantom);
  const mask = new Uint8Array(shape[0] * shape[1] * shape[2]);
  for (const index of voxels) mask[index] = 1;
  const write = (name: string, options: Pick<WriteNiftiOptions, "dtype" | "data">) =>
    writeNifti(at(name), { shape, affine, signal, ...options });
  await write(phantomFiles.mask, { dtype: "uint8", data: mask });
  await write(phantomFiles.fa, { dtype: "float32", data: maps.fa });
  await write(phantomFiles.md, { dtype: "float32", data: maps.md });
  await write(phantomFiles.f, { dtype: "float32", data: maps.f });
  await write(phantomFiles.fibres, { dtype: "uint8", data: maps.fibres });
  await writeNifti(at(phantomFiles.directions), {
    shape: [...shape, 3 * mostFibres],
    dtype: "float32",
    affine,
    signal,
    volume: (index) => phantomDirectionVolume(phantom, index),
  });
}

/** Three lines, x, y and z of every volume's direction. */
function bvecText({ bvals, bvecs }: GradientScheme): string {
  const line = (axis: number) =>
    Array.from(bvals, (_, volume) => bvecs[3 * volume + axis].toFixed(8)).join(" ");
  return `${[0, 1, 2].map(line).join("\n")}\n`;
}
