/** Writes a NIfTI file, volume by volume. */
import type { FileHandle } from "node:fs/promises";
import { open, rename, rm } from "node:fs/promises";
import { threadId } from "node:worker_threads";
import { InputError } from "../model.ts";
import { fieldsFromAffine } from "./affine.ts";
import type { ByteSink } from "./byteSink.ts";
import { floatDeflation, GzipSink, integerDeflation, PlainSink } from "./byteSink.ts";
import type { NiftiDtype } from "./datatype.ts";
import { allocateDecoded, datatypeOf, matchByteOrder } from "./datatype.ts";
import type { Geometry } from "./dwi.ts";
import { encodeHeader } from "./headerWriter.ts";
import { softwareName } from "./software.ts";

/** Types that are written; 64-bit integers are only read. */
export type WrittenDtype = Exclude<NiftiDtype, "uint64" | "int64">;
export type WrittenArray = ReturnType<typeof allocateDecoded>;

export interface WriteNiftiOptions {
  /** Axis lengths, x first; 3 to 7 of them. */
  readonly shape: readonly number[];
  readonly dtype: WrittenDtype;
  /** All values, x fastest; or else `volume`. */
  readonly data?: ArrayLike<number>;
  /** The values of volume `index` (the 4th axis and beyond, flat); asked for in ascending order. */
  readonly volume?: (index: number) => ArrayLike<number> | Promise<ArrayLike<number>>;
  /** Voxel index to scanner millimetres, 4x4 by rows; or else `geometry`. */
  readonly affine?: ArrayLike<number>;
  /** The geometry of another file, taken over to the bit. */
  readonly geometry?: Geometry;
  /** Default: whether the path ends in .gz. */
  readonly gz?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Writes the file under a temporary name beside `path` and renames it when it is whole. Values for
 * integer types are rounded; one that does not fit its type is an InputError.
 */
export async function writeNifti(path: string, options: WriteNiftiOptions): Promise<void> {
  const { shape, dtype, signal } = options;
  const source = volumeSource(options);
  const geometry = options.geometry ?? (options.affine && fieldsFromAffine(options.affine));
  if (geometry === undefined) throw new InputError(`"${path}" needs an affine or a geometry.`);
  const [nx, ny, nz, ...rest] = shape;
  const values = allocateDecoded(dtype, nx * ny * nz);
  const volumes = rest.reduce((product, length) => product * length, 1);
  const header = encodeHeader({ shape, dtype, geometry, description: softwareName });
  const temporary = `${path}.${process.pid}-${threadId}.part`;
  try {
    const handle = await open(temporary, "w");
    try {
      const sink = sinkFor(handle, dtype, options.gz ?? path.endsWith(".gz"), signal);
      await sink.write(header);
      for (let index = 0; index < volumes; index++) {
        fill(values, await source(index), dtype, path);
        await writeValues(sink, values);
      }
      await sink.end();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Gzip or not, with the deflation that suits the type. */
export function sinkFor(
  handle: FileHandle,
  dtype: NiftiDtype,
  gz: boolean,
  signal?: AbortSignal,
): ByteSink {
  if (!gz) return new PlainSink(handle, signal);
  const deflation = dtype.startsWith("float") ? floatDeflation : integerDeflation;
  return new GzipSink(handle, deflation, signal);
}

/** Writes the values little endian; on a big-endian host they are turned there and back. */
export async function writeValues(sink: ByteSink, values: WrittenArray): Promise<void> {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  matchByteOrder(bytes, values.BYTES_PER_ELEMENT, true);
  await sink.write(bytes);
  matchByteOrder(bytes, values.BYTES_PER_ELEMENT, true);
}

function volumeSource(
  options: WriteNiftiOptions,
): (index: number) => ArrayLike<number> | Promise<ArrayLike<number>> {
  const { data, volume, shape } = options;
  if (volume !== undefined) return volume;
  const length = shape[0] * shape[1] * shape[2];
  const total = shape.reduce((product, axis) => product * axis, 1);
  if (data === undefined || data.length !== total) {
    throw new InputError(
      `The shape ${shape.join(" x ")} needs ${total} values; ${data?.length ?? 0} were given.`,
    );
  }
  return (index) => Array.prototype.slice.call(data, index * length, (index + 1) * length);
}

function fill(
  values: WrittenArray,
  source: ArrayLike<number>,
  dtype: WrittenDtype,
  path: string,
): void {
  if (source.length !== values.length) {
    throw new InputError(
      `A volume of "${path}" needs ${values.length} values; ${source.length} were given.`,
    );
  }
  if (dtype === "float32" || dtype === "float64") {
    for (let i = 0; i < values.length; i++) {
      values[i] = Number.isNaN(source[i]) ? Number.NaN : source[i];
    }
    return;
  }
  for (let i = 0; i < values.length; i++) {
    const rounded = Math.round(source[i]);
    values[i] = rounded;
    if (values[i] !== rounded) {
      throw new InputError(
        `The value ${source[i]} does not fit ${dtype}, the type of "${path}" (${8 * datatypeOf(dtype).bytes} bits).`,
      );
    }
  }
}
