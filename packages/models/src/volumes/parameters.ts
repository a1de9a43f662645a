/** What a driver says of the file that its signals are from, so that another host can read them by itself. */
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import type { NiftiHeader } from "../io/header.ts";
import type { InputFile } from "../io/inputFile.ts";
import type { VolumeOrigin } from "../signals.ts";
import { OriginError } from "./originError.ts";
import { bitsOf, countOfBits } from "./voxelBits.ts";

/** Module specifier of `openRows`. */
const volumesModule = "@fascicle/models/volumes";
const maxPathLength = 4096;
/** Of larger grids the mask alone would be more than a message should be (8 MiB). */
const maxGridVoxels = 2 ** 26;

export interface VolumeParameters {
  /** Absolute, without links. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Modification time in nanoseconds since 1970, decimal. */
  readonly mtimeNs: string;
  /** Of the whole file, hexadecimal. */
  readonly sha256: string;
  /** Grid size in x, y, z, and the number of volumes. */
  readonly shape: readonly number[];
  /** The number of the values' type in the header. */
  readonly datatype: number;
  /** 1 for each volume that is a column of the rows, in file order. */
  readonly kept: Uint8Array;
  /** One bit for each voxel of the grid, set for those that have a row. */
  readonly mask: Uint8Array;
}

export interface CheckedParameters extends VolumeParameters {
  readonly voxelCount: number;
  /** Columns of the rows. */
  readonly width: number;
}

/**
 * Where the rows of `voxels` in the `kept` volumes of an opened file can be read again. Undefined where the file is
 * not the one any more that was opened, so that nobody could find it, and of very large grids.
 */
export async function originOf(
  file: InputFile,
  header: NiftiHeader,
  rows: { readonly kept: Uint8Array; readonly voxels: Uint32Array; readonly sha256: string },
): Promise<VolumeOrigin | undefined> {
  const [nx, ny, nz] = header.shape;
  const gridVoxels = nx * ny * nz;
  if (gridVoxels > maxGridVoxels) return undefined;
  try {
    const path = await realpath(file.path);
    const [named, opened] = await Promise.all([
      stat(path, { bigint: true }),
      file.handle.stat({ bigint: true }),
    ]);
    const isSame = (["dev", "ino", "size", "mtimeNs"] as const).every(
      (k) => named[k] === opened[k],
    );
    if (!isSame || Number(opened.size) !== file.sizeBytes) return undefined;
    if (String(opened.mtimeNs) !== file.mtimeNs) return undefined;
    const parameters: VolumeParameters = {
      ...{ path, sizeBytes: file.sizeBytes, mtimeNs: file.mtimeNs, sha256: rows.sha256 },
      shape: [...header.shape],
      datatype: header.datatype.code,
      kept: rows.kept,
      mask: bitsOf(rows.voxels, gridVoxels),
    };
    return { module: volumesModule, parameters };
  } catch {
    // Renamed, removed: the rows are here, and only nobody else can read them.
    return undefined;
  }
}

/** Throws `OriginError` where they cannot be parameters of a volume: they come from the network. */
export function checkParameters(parameters: unknown): CheckedParameters {
  const given = (parameters ?? {}) as Record<keyof VolumeParameters, unknown>;
  const { path, sizeBytes, mtimeNs, sha256, shape, datatype, kept, mask } = given;
  const check = (isRight: boolean, what: string) => {
    if (!isRight) throw new OriginError(`The origin of the signals has no right ${what}.`);
  };
  check(typeof path === "string" && isPlainPath(path), "path");
  check(Number.isSafeInteger(sizeBytes) && (sizeBytes as number) >= 0, "size");
  check(typeof mtimeNs === "string" && /^-?\d{1,20}$/.test(mtimeNs), "modification time");
  check(typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256), "digest");
  check(Number.isInteger(datatype), "data type");
  check(isShape(shape), "shape");
  const [nx, ny, nz, volumes] = shape as readonly number[];
  check(kept instanceof Uint8Array && kept.length === volumes && kept.includes(1), "volumes");
  const count = mask instanceof Uint8Array ? countOfBits(mask, nx * ny * nz) : 0;
  check(count !== undefined && count > 0, "mask");
  const width = (kept as Uint8Array).reduce((sum, keep) => sum + (keep === 1 ? 1 : 0), 0);
  return { ...(given as unknown as VolumeParameters), voxelCount: count!, width };
}

function isPlainPath(path: string): boolean {
  return (
    path.length <= maxPathLength &&
    !path.includes("\0") &&
    isAbsolute(path) &&
    resolve(path) === path
  );
}

function isShape(shape: unknown): boolean {
  if (!Array.isArray(shape) || shape.length !== 4) return false;
  const isLength = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 1;
  return shape.every(isLength) && shape[0] * shape[1] * shape[2] <= maxGridVoxels;
}
