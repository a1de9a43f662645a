/** Opens the rows of a fit in a file that this host shares with the driver. */
import { createHash } from "node:crypto";
import { exactFloatOf } from "../io/datatype.ts";
import type { NiftiHeader } from "../io/header.ts";
import { Turns } from "../io/turns.ts";
import { openVolumes, readVolumes } from "../io/volumeReader.ts";
import { collectRows } from "../io/voxelRows.ts";
import type { OpenedRows, ScratchSpace, VoxelSignals } from "../signals.ts";
import { digestOf, keepDigest, knownDigest } from "./digests.ts";
import { OriginError } from "./originError.ts";
import type { CheckedParameters } from "./parameters.ts";
import { checkParameters } from "./parameters.ts";
import { RowsInPlace } from "./rowsInPlace.ts";
import { refusal, SameFile } from "./sameFile.ts";
import { voxelsOfBits } from "./voxelBits.ts";

/** Where rows that cannot be read in place may lie. */
interface Room {
  readonly scratch: ScratchSpace;
  readonly memoryBytes: number;
}

/** Rows are copied in pieces of this size, and others get their turn in between. */
const copiedBytes = 4 * 1024 * 1024;

/**
 * The rows of `VolumeParameters`, the same to the bit as the driver's. An uncompressed file is read in place; one
 * that is compressed is inflated once, into memory where `room.memoryBytes` holds the rows, else into a scratch file.
 * Throws `OriginError` with the reason where this host has not the very same file (path, size, modification time,
 * sha256), and what scratch throws. A file that is changed later makes `read` throw `OriginError`.
 */
export async function openRows(
  parameters: unknown,
  room: Room,
  signal?: AbortSignal,
): Promise<OpenedRows> {
  const wanted = checkParameters(parameters);
  const file = await SameFile.open(wanted);
  let opened: OpenedRows | undefined;
  try {
    const header = await openVolumes(file.input, signal);
    checkHeader(header, wanted);
    const voxels = voxelsWithin(wanted, room.memoryBytes);
    if (file.input.gzip) return await inflateRows(file, header, wanted, voxels, room, signal);
    checkDigest(await digestOf(file, signal), wanted);
    const volumes = [...wanted.kept.keys()].filter((volume) => wanted.kept[volume] === 1);
    const dtype = exactFloatOf(header.datatype.dtype);
    opened = new RowsInPlace(file, header, { volumes, voxels, dtype });
    return opened;
  } catch (error) {
    throw refusal(error, wanted.path);
  } finally {
    if (opened === undefined) await file.close();
  }
}

/** The same digest would say so too, but only after the whole file has been read. */
function checkHeader(header: NiftiHeader, { shape, datatype, path }: CheckedParameters): void {
  const isSame =
    header.datatype.code === datatype &&
    header.shape.length === shape.length &&
    header.shape.every((length, axis) => length === shape[axis]);
  if (!isSame) throw new OriginError(`"${path}" has another header on this host.`);
}

function checkDigest(sha256: string, wanted: CheckedParameters): void {
  if (sha256 === wanted.sha256) return;
  throw new OriginError(`"${wanted.path}" has another content (sha256) on this host.`);
}

/** Grid indices of the rows, where memory is enough for these alone. */
function voxelsWithin({ mask, voxelCount }: CheckedParameters, memoryBytes: number): Uint32Array {
  const neededBytes = voxelCount * Uint32Array.BYTES_PER_ELEMENT;
  if (neededBytes <= memoryBytes) return voxelsOfBits(mask, voxelCount);
  throw new OriginError(
    `The places of ${voxelCount} voxels need ${neededBytes} bytes and this host gives ${memoryBytes}.`,
  );
}

async function inflateRows(
  file: SameFile,
  header: NiftiHeader,
  wanted: CheckedParameters,
  voxels: Uint32Array,
  room: Room,
  signal: AbortSignal | undefined,
): Promise<OpenedRows> {
  const [nx, ny, nz] = header.shape;
  const { kept, width } = wanted;
  const rows = await collectRows([nx, ny, nz], voxels, width, header.datatype.dtype, room);
  try {
    let column = -1;
    let latest = -1;
    const known = knownDigest(file);
    const hash = known === undefined ? createHash("sha256") : undefined;
    await readVolumes(
      file.input,
      header,
      { wanted: kept, stopEarly: false },
      (volume, first, values) => {
        if (volume !== latest) column++;
        latest = volume;
        return rows.take(column, first, values);
      },
      { hash, signal },
    );
    await file.confirm();
    const sha256 = known ?? hash!.digest("hex");
    keepDigest(file, sha256);
    checkDigest(sha256, wanted);
    const signals = await rows.finish();
    const source = signals.source ?? sourceInMemory(signals);
    return { read: (start, end, into) => source.read(start, end, into), close: () => rows.close() };
  } catch (error) {
    await rows.close().catch(() => undefined);
    throw error;
  }
}

function sourceInMemory({ slabs, voxelsPerSlab, width, dtype }: VoxelSignals) {
  const rowBytes = width * (dtype === "float32" ? 4 : 8);
  const perPiece = Math.max(1, Math.floor(copiedBytes / rowBytes));
  return {
    async read(start: number, end: number, into: Uint8Array): Promise<void> {
      const turns = new Turns();
      for (let voxel = start; voxel < end; ) {
        const slab = Math.floor(voxel / voxelsPerSlab);
        const stop = Math.min(end, voxel + perPiece, (slab + 1) * voxelsPerSlab);
        const row = voxel - slab * voxelsPerSlab;
        const bytes = new Uint8Array(slabs[slab], row * rowBytes, (stop - voxel) * rowBytes);
        into.set(bytes, (voxel - start) * rowBytes);
        voxel = stop;
        await turns.pause();
      }
    },
  };
}
