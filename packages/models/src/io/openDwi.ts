/** Opens a diffusion-weighted volume with its gradient table and mask. */
import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { counted } from "../counted.ts";
import { InputError } from "../model.ts";
import type { ScratchSpace } from "../signals.ts";
import { originOf } from "../volumes/parameters.ts";
import type { B0Guess } from "./b0Guess.ts";
import type { Dwi, GradientTable } from "./dwi.ts";
import {
  gradientTable,
  gradientWarnings,
  parseBvals,
  parseBvecs,
  readTableText,
  selectVolumes,
} from "./gradients.ts";
import type { NiftiHeader } from "./header.ts";
import { geometryOf } from "./header.ts";
import type { InputFile } from "./inputFile.ts";
import { inputName, openInput } from "./inputFile.ts";
import { readMask } from "./mask.ts";
import { ReadProgress } from "./readProgress.ts";
import { readB0Voxels, readRows } from "./scanRows.ts";
import { openVolumes } from "./volumeReader.ts";
import type { Allocate } from "./voxelMatrix.ts";

const defaultB0Threshold = 50;
/** Grid indices are kept as unsigned 32-bit integers. */
const maxGridVoxels = 2 ** 32;

export interface OpenDwiOptions {
  /** 4-D NIfTI file (.nii or .nii.gz). */
  readonly dwi: string;
  /** FSL text files. */
  readonly bval: string;
  readonly bvec: string;
  /** NIfTI file on the dwi's grid; without it, voxels whose mean b0 signal is above zero. */
  readonly mask?: string;
  /** Volumes with b at or below this (s/mm²) are b0. Default 50. */
  readonly b0Threshold?: number;
  /** Volumes with b above this (s/mm²) are left out. */
  readonly maxB?: number;
  /** Where the voxels' memory comes from. Default: a new SharedArrayBuffer. */
  readonly allocate?: Allocate;
  /** Where the voxels go when they are more than `memoryBytes`; without it they stay in memory. */
  readonly scratch?: ScratchSpace;
  /** What the voxels may take of memory before they go to `scratch`. Default: no limit. */
  readonly memoryBytes?: number;
  readonly signal?: AbortSignal;
  /** Hears the fraction of bytes read, from 0 to 1. */
  readonly onProgress?: (fractionOfBytes: number) => void;
}

type Inputs = { dwi: InputFile; bval: InputFile; bvec: InputFile; mask?: InputFile };

/**
 * Reads the masked voxels of a 4-D NIfTI volume into shared memory, or into a scratch file, voxel after
 * voxel, and what belongs to them. The file is streamed: memory is the masked voxels (`memoryBytes` where
 * they are on disk) plus less than 200 MB. `close` removes the scratch file; on failure there is none.
 * Throws InputError on bad input, and the signal's reason when it is aborted.
 */
export async function openDwi(options: OpenDwiOptions): Promise<Dwi> {
  options.signal?.throwIfAborted();
  const opened: InputFile[] = [];
  const open = async (path: string, role: string) => {
    const file = await openInput(path, role);
    opened.push(file);
    return file;
  };
  try {
    const inputs: Inputs = {
      dwi: await open(options.dwi, "dwi"),
      bval: await open(options.bval, "bval"),
      bvec: await open(options.bvec, "bvec"),
      mask: options.mask === undefined ? undefined : await open(options.mask, "mask"),
    };
    return await readDwi(inputs, options);
  } finally {
    await Promise.all(opened.map((file) => file.handle.close()));
  }
}

async function readDwi(inputs: Inputs, options: OpenDwiOptions): Promise<Dwi> {
  const { signal } = options;
  const digests = new Digests();
  const header = await openVolumes(inputs.dwi, signal);
  const volumes = volumeCountOf(header, inputs.dwi);
  const table = await readTable(inputs, volumes, digests, options);
  const kept = keptVolumes(table, options.maxB, inputs.bval);
  const scan = { file: inputs.dwi, header, kept, progress: new ReadProgress(options.onProgress) };
  const gradients = selectVolumes(table, kept);
  const { progress } = scan;
  const scale = { slope: header.slope, intercept: header.intercept };
  const geometry = geometryOf(header);
  const read = (voxels: Uint32Array, guess?: B0Guess) =>
    readRows(scan, voxels, guess, digests.start("dwi"), options, signal);
  const { mask } = inputs;
  const taken =
    mask === undefined
      ? await readB0Voxels(scan, table, read, signal)
      : await read(await readMask(mask, header, digests.start("mask"), signal));
  const { voxels, rows, signals, centre, surplusBytes } = taken;
  progress.done();
  if (inputs.mask !== undefined) centre.keepOnly(voxels);
  const listed = digests.listed(inputs);
  const { sha256 } = listed.find(({ role }) => role === "dwi")!;
  return {
    signals: { ...signals, origin: await originOf(inputs.dwi, header, { kept, voxels, sha256 }) },
    close: () => rows.close(),
    scale,
    gradients,
    geometry,
    voxels,
    centre: centre.roi,
    selection: {
      b0Threshold: table.b0Threshold,
      maxB: options.maxB ?? null,
      volumes: gradients.bvals.length,
      mask: inputs.mask === undefined ? "mean b0 signal above zero" : "file",
    },
    inputs: listed,
    warnings: [...gradientWarnings(gradients), ...fileWarnings(inputs.dwi, header, surplusBytes)],
  };
}

/** Running sha256 of each input. */
class Digests {
  readonly #hashes = new Map<string, Hash>();

  start(role: string): Hash {
    const hash = createHash("sha256");
    this.#hashes.set(role, hash);
    return hash;
  }

  listed(inputs: Inputs): { role: string; file: string; sha256: string }[] {
    return Object.values(inputs)
      .filter((file) => file !== undefined)
      .map((file) => ({
        role: file.role,
        file: inputName(file),
        sha256: this.#hashes.get(file.role)!.digest("hex"),
      }));
  }
}

function volumeCountOf(header: NiftiHeader, file: InputFile): number {
  const [nx, ny, nz, volumes = 1, ...more] = header.shape;
  if (volumes === 1 || more.length > 0) {
    throw new InputError(
      `${file.subject} is ${volumes === 1 ? "a single 3-D volume" : `${header.shape.length}-D`}; give a 4-D file of diffusion-weighted volumes.`,
    );
  }
  if (nx * ny * nz >= maxGridVoxels) {
    throw new InputError(
      `${file.subject} has ${nx * ny * nz} voxels in a volume, which is too many.`,
    );
  }
  return volumes;
}

async function readTable(
  inputs: Inputs,
  volumes: number,
  digests: Digests,
  options: OpenDwiOptions,
): Promise<GradientTable> {
  const { bval, bvec, dwi } = inputs;
  const bvalText = await readTableText(bval, digests.start("bval"), options.signal);
  const bvals = parseBvals(bvalText, bval.subject);
  if (bvals.length !== volumes) {
    throw new InputError(
      `${bval.subject} has ${counted(bvals.length, "b-value")} and "${dwi.path}" ${counted(volumes, "volume")}; give the table of this dwi.`,
    );
  }
  const bvecText = await readTableText(bvec, digests.start("bvec"), options.signal);
  const bvecs = parseBvecs(bvecText, bvec.subject);
  if (bvecs.length !== 3 * volumes) {
    throw new InputError(
      `${bvec.subject} has ${counted(bvecs.length / 3, "direction")} and "${dwi.path}" ${counted(volumes, "volume")}; give the table of this dwi.`,
    );
  }
  const b0Threshold = options.b0Threshold ?? defaultB0Threshold;
  return gradientTable(bvals, bvecs, b0Threshold, { bval: bval.subject, bvec: bvec.subject });
}

function keptVolumes(table: GradientTable, maxB: number | undefined, bval: InputFile): Uint8Array {
  if (maxB === undefined) return new Uint8Array(table.bvals.length).fill(1);
  if (!(maxB >= 0)) throw new InputError(`The largest b-value is ${maxB}; give a number above 0.`);
  const kept = Uint8Array.from(table.bvals, (b) => (b <= maxB ? 1 : 0));
  if (!kept.includes(1)) {
    throw new InputError(
      `${bval.subject} has no volume at or below b = ${maxB}; raise that limit.`,
    );
  }
  return kept;
}

const unitNames: Readonly<Record<number, string>> = { 1: "metres", 3: "micrometres" };

function fileWarnings(file: InputFile, header: NiftiHeader, surplusBytes: number): string[] {
  const warnings: string[] = [];
  if (surplusBytes > 0) {
    warnings.push(
      `${file.subject} has ${surplusBytes} bytes more than its header promises; they were ignored.`,
    );
  }
  const unit = unitNames[header.spaceUnit];
  if (unit !== undefined) {
    warnings.push(`${file.subject} gives its voxel size in ${unit}; it is taken as millimetres.`);
  }
  return warnings;
}
