/** For tests only: NIfTI bytes composed without the code under test, and temporary directories. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, gzipSync } from "node:zlib";
import type { ScratchFile, ScratchPiece, ScratchSpace, VoxelSignals } from "../signals.ts";
import type { NiftiDtype } from "./datatype.ts";
import type { Dwi } from "./dwi.ts";

export interface TestImage {
  readonly shape: readonly number[];
  readonly dtype?: NiftiDtype;
  readonly littleEndian?: boolean;
  readonly version?: 1 | 2;
  /** Raw values, x fastest; 0 where there are none. */
  readonly values?: readonly (number | bigint)[];
  readonly slope?: number;
  readonly intercept?: number;
  readonly pixdim?: readonly number[];
  readonly qformCode?: number;
  readonly sformCode?: number;
  /** quatern_b, c, d, qoffset_x, y, z. */
  readonly qform?: readonly number[];
  /** 12 numbers. */
  readonly srow?: readonly number[];
  readonly units?: number;
  /** Bytes of an extension between header and values, a multiple of 16. */
  readonly extensionBytes?: number;
}

const codes: Record<NiftiDtype, [code: number, bytes: number]> = {
  uint8: [2, 1],
  int8: [256, 1],
  int16: [4, 2],
  uint16: [512, 2],
  int32: [8, 4],
  uint32: [768, 4],
  int64: [1024, 8],
  uint64: [1280, 8],
  float32: [16, 4],
  float64: [64, 8],
};

function put(view: DataView, at: number, dtype: NiftiDtype, value: number | bigint, le: boolean) {
  if (dtype === "uint8") view.setUint8(at, Number(value));
  else if (dtype === "int8") view.setInt8(at, Number(value));
  else if (dtype === "uint16") view.setUint16(at, Number(value), le);
  else if (dtype === "int16") view.setInt16(at, Number(value), le);
  else if (dtype === "uint32") view.setUint32(at, Number(value), le);
  else if (dtype === "int32") view.setInt32(at, Number(value), le);
  else if (dtype === "uint64") view.setBigUint64(at, BigInt(value), le);
  else if (dtype === "int64") view.setBigInt64(at, BigInt(value), le);
  else if (dtype === "float32") view.setFloat32(at, Number(value), le);
  else view.setFloat64(at, Number(value), le);
}

/** The bytes of a whole NIfTI file. */
export function niftiBytes(image: TestImage): Buffer {
  const { shape, dtype = "float32", littleEndian: le = true, version = 1 } = image;
  const [code, itemBytes] = codes[dtype];
  const count = shape.reduce((product, length) => product * length, 1);
  const headerBytes = (version === 1 ? 352 : 544) + (image.extensionBytes ?? 0);
  const bytes = Buffer.alloc(headerBytes + count * itemBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dim = [shape.length, ...shape, 1, 1, 1, 1, 1, 1].slice(0, 8);
  const pixdim = image.pixdim ?? [1, 2, 2, 2, 1, 1, 1, 1];
  const reals = [
    ...(image.qform ?? [0, 0, 0, 0, 0, 0]),
    ...(image.srow ?? [2, 0, 0, -9, 0, 2, 0, -8, 0, 0, 2, -7]),
  ];
  const [slope, intercept] = [image.slope ?? 0, image.intercept ?? 0];
  const [qformCode, sformCode] = [image.qformCode ?? 0, image.sformCode ?? 1];
  const units = image.units ?? 10;
  if (version === 1) {
    put(view, 0, "int32", 348, le);
    dim.forEach((n, i) => {
      put(view, 40 + 2 * i, "int16", n, le);
    });
    put(view, 70, "int16", code, le);
    put(view, 72, "int16", 8 * itemBytes, le);
    pixdim.forEach((x, i) => {
      put(view, 76 + 4 * i, "float32", x, le);
    });
    put(view, 108, "float32", headerBytes, le);
    put(view, 112, "float32", slope, le);
    put(view, 116, "float32", intercept, le);
    bytes[123] = units;
    put(view, 252, "int16", qformCode, le);
    put(view, 254, "int16", sformCode, le);
    reals.forEach((x, i) => {
      put(view, 256 + 4 * i, "float32", x, le);
    });
    bytes.write("n+1\0", 344, "latin1");
  } else {
    put(view, 0, "int32", 540, le);
    bytes.write("n+2\0\r\n\x1a\n", 4, "latin1");
    put(view, 12, "int16", code, le);
    put(view, 14, "int16", 8 * itemBytes, le);
    dim.forEach((n, i) => {
      put(view, 16 + 8 * i, "int64", n, le);
    });
    pixdim.forEach((x, i) => {
      put(view, 104 + 8 * i, "float64", x, le);
    });
    put(view, 168, "int64", headerBytes, le);
    put(view, 176, "float64", slope, le);
    put(view, 184, "float64", intercept, le);
    put(view, 344, "int32", qformCode, le);
    put(view, 348, "int32", sformCode, le);
    reals.forEach((x, i) => {
      put(view, 352 + 8 * i, "float64", x, le);
    });
    put(view, 500, "int32", units, le);
  }
  if (image.extensionBytes) {
    bytes[version === 1 ? 348 : 540] = 1;
    put(view, version === 1 ? 352 : 544, "int32", image.extensionBytes, le);
    put(view, version === 1 ? 356 : 548, "int32", 6, le);
  }
  image.values?.forEach((value, i) => {
    put(view, headerBytes + i * itemBytes, dtype, value, le);
  });
  return bytes;
}

/** A temporary directory that goes when the scope ends (`using`). */
export function temporaryDirectory(): Disposable & {
  readonly path: string;
  write(name: string, content: string | Uint8Array): string;
  image(name: string, image: TestImage): string;
} {
  const path = mkdtempSync(join(tmpdir(), "fascicle-io-"));
  const write = (name: string, content: string | Uint8Array) => {
    const file = join(path, name);
    writeFileSync(file, content);
    return file;
  };
  return {
    path,
    write,
    image: (name, image) => {
      const bytes = niftiBytes(image);
      return write(name, name.endsWith(".gz") ? gzipSync(bytes) : bytes);
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A bval and a bvec text for the given b-values: unit vectors, 0 0 0 for b = 0. */
export function gradientTexts(bvals: readonly number[]): { bval: string; bvec: string } {
  const rows = [0, 1, 2].map((axis) =>
    bvals.map((b, i) => (b > 50 && i % 3 === axis ? 1 : 0)).join(" "),
  );
  return { bval: `${bvals.join(" ")}\n`, bvec: `${rows.join("\n")}\n` };
}

/** Writes an image and a gradient table of these b-values; gives the paths that `openDwi` takes. */
export function writeDwi(
  directory: ReturnType<typeof temporaryDirectory>,
  image: TestImage,
  bvals: readonly number[],
  name = "dwi.nii",
) {
  const texts = gradientTexts(bvals);
  return {
    dwi: directory.image(name, image),
    bval: directory.write("dwi.bval", texts.bval),
    bvec: directory.write("dwi.bvec", texts.bvec),
  };
}

/** Scratch files in a directory, with what is asked of those of the object store. */
export class TestScratch implements ScratchSpace {
  readonly directory: string;
  limitBytes: number | undefined;
  writtenBytes = 0;
  readBytes = 0;
  /** Called before each write; what it throws is the write's failure. */
  onWrite: () => Promise<void> | void = () => undefined;
  #count = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Names of the files that are there. */
  get files(): string[] {
    return readdirSync(this.directory).filter((name) => name.endsWith(".scratch"));
  }

  async create(name: string): Promise<ScratchFile> {
    const path = join(this.directory, `${name}-${this.#count++}.scratch`);
    const handle = await open(path, "wx+");
    let end = 0;
    return {
      write: async (parts) => {
        const pieces: ScratchPiece[] = [];
        for (const part of parts) {
          pieces.push({ offset: end, bytes: part.length, crc: sumOf(part) });
          end += part.length;
        }
        const offset = end - parts.reduce((sum, part) => sum + part.length, 0);
        await this.onWrite();
        const { bytesWritten } = await handle.writev([...parts], offset);
        this.writtenBytes += bytesWritten;
        return pieces;
      },
      read: async (piece, into) => {
        if (piece.bytes !== into.length) throw new Error("The piece has another length.");
        await handle.read(into, 0, piece.bytes, piece.offset);
        this.readBytes += piece.bytes;
        if (sumOf(into) !== piece.crc) throw new Error(`"${path}" is damaged.`);
      },
      free: () => undefined,
      remove: async () => {
        await handle.close();
        await rm(path);
      },
    };
  }
}

/** Row-major values of rows `start .. end-1` that are not in memory. */
export async function readRows(signals: VoxelSignals, start = 0, end = signals.voxelCount) {
  const room = { float32: Float32Array, float64: Float64Array }[signals.dtype];
  const rows = new room((end - start) * signals.width);
  await signals.source!.read(start, end, new Uint8Array(rows.buffer));
  return [...rows];
}

/** Row-major values of a dwi in memory, whatever its slabs. */
export function rowsOf({ signals }: Dwi): number[] {
  return signals.slabs.flatMap((slab) => [
    ...(signals.dtype === "float32" ? new Float32Array(slab) : new Float64Array(slab)),
  ]);
}

/** As wide as the sums of a real scratch space: whole numbers, not always of 32 bits. */
const sumOf = (bytes: Uint8Array) => 2 ** 47 + crc32(bytes);
