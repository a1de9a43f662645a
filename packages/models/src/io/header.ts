/**
 * NIfTI-1 and NIfTI-2 headers (nifti1.h, nifti2.h of the NIfTI Data Format Working Group).
 *
 * Why a reader of our own and not nifti-reader-js 0.8.0: that one takes the affine from the qform
 * whenever qform_code exceeds sform_code (the field's tools, and our contract, prefer any sform);
 * a quaternion of a half turn that rounding left longer than 1 gives it an affine of NaN; it looks
 * at three bytes of the magic, at no dimension, type or offset, and parses extensions that we skip.
 */
import { InputError } from "../model.ts";
import type { GeometryFields } from "./affine.ts";
import { affineOf, voxelSizeOf } from "./affine.ts";
import type { Datatype } from "./datatype.ts";
import { datatypeFromCode } from "./datatype.ts";
import type { Geometry } from "./dwi.ts";

/** As many bytes as any header needs. */
export const maxHeaderBytes = 540;

export interface NiftiHeader {
  readonly niftiVersion: 1 | 2;
  readonly littleEndian: boolean;
  /** The header's own bytes, 348 or 540. */
  readonly bytes: Uint8Array;
  /** Grid size, then the number of volumes where the file is 4-D; trailing axes of length 1 are gone. */
  readonly shape: readonly number[];
  readonly datatype: Datatype;
  /** Where the values begin, in bytes. */
  readonly voxOffset: number;
  /** 1 and 0 where the header asks for no scaling. */
  readonly slope: number;
  readonly intercept: number;
  readonly fields: GeometryFields;
  /** 1 metre, 2 millimetre, 3 micrometre, 0 unknown. */
  readonly spaceUnit: number;
}

/** Byte offsets of the fields that differ between the versions. */
const layouts = {
  1: { size: 348, dim: 40, datatype: 70, pixdim: 76, voxOffset: 108, slope: 112, units: 123 },
  2: { size: 540, dim: 16, datatype: 12, pixdim: 104, voxOffset: 168, slope: 176, units: 500 },
} as const;

/**
 * Reads a header from the first bytes of a file. `subject` begins the sentence of an error, e.g.
 * `The dwi file "x.nii"`. Throws InputError on anything that cannot be read as one NIfTI volume.
 */
export function parseHeader(bytes: Uint8Array, subject: string): NiftiHeader {
  const { niftiVersion, littleEndian } = identify(bytes, subject);
  const layout = layouts[niftiVersion];
  const own = bytes.slice(0, layout.size);
  const view = new DataView(own.buffer, own.byteOffset, own.byteLength);
  const shape = readShape(view, niftiVersion, littleEndian, subject);
  const datatype = datatypeFromCode(view.getInt16(layout.datatype, littleEndian), subject);
  const voxOffset =
    niftiVersion === 1
      ? view.getFloat32(layout.voxOffset, littleEndian)
      : Number(view.getBigInt64(layout.voxOffset, littleEndian));
  // Some writers leave the offset 0 in a single file; it means right behind header and flag.
  const firstByte = voxOffset === 0 ? layout.size + 4 : voxOffset;
  if (!Number.isSafeInteger(firstByte) || firstByte < layout.size) {
    throw new InputError(
      `${subject} is damaged: its header says that the values begin at byte ${voxOffset}.`,
    );
  }
  return {
    niftiVersion,
    littleEndian,
    bytes: own,
    shape,
    datatype,
    voxOffset: firstByte,
    ...readScaling(view, niftiVersion, littleEndian),
    fields: readGeometryFields(own, niftiVersion, littleEndian),
    spaceUnit: own[layout.units + (niftiVersion === 2 && !littleEndian ? 3 : 0)] & 7,
  };
}

function identify(
  bytes: Uint8Array,
  subject: string,
): { niftiVersion: 1 | 2; littleEndian: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const niftiVersion of [1, 2] as const) {
    const { size } = layouts[niftiVersion];
    for (const littleEndian of [true, false]) {
      if (bytes.length < 4 || view.getInt32(0, littleEndian) !== size) continue;
      if (bytes.length < size) {
        throw new InputError(
          `${subject} is cut short: it has ${bytes.length} bytes, less than a NIfTI header of ${size}.`,
        );
      }
      checkMagic(bytes, niftiVersion, subject);
      return { niftiVersion, littleEndian };
    }
  }
  throw new InputError(
    bytes.length === 0
      ? `${subject} is empty.`
      : `${subject} is not a NIfTI file; convert it to .nii or .nii.gz first.`,
  );
}

function checkMagic(bytes: Uint8Array, niftiVersion: 1 | 2, subject: string): void {
  const at = niftiVersion === 1 ? 344 : 4;
  const magic = String.fromCharCode(...bytes.subarray(at, at + (niftiVersion === 1 ? 4 : 8)));
  const tail = niftiVersion === 1 ? "\0" : "\0\r\n\x1a\n";
  if (magic === `n+${niftiVersion}${tail}`) return;
  if (magic === `ni${niftiVersion}${tail}`) {
    throw new InputError(
      `${subject} is the header of a .hdr/.img pair; convert the pair to one .nii or .nii.gz file.`,
    );
  }
  throw new InputError(
    `${subject} is not a NIfTI file (wrong magic bytes); convert it to .nii or .nii.gz first.`,
  );
}

function readShape(
  view: DataView,
  niftiVersion: 1 | 2,
  littleEndian: boolean,
  subject: string,
): number[] {
  const { dim } = layouts[niftiVersion];
  const read = (index: number) =>
    niftiVersion === 1
      ? view.getInt16(dim + 2 * index, littleEndian)
      : Number(view.getBigInt64(dim + 8 * index, littleEndian));
  const rank = read(0);
  const shape = Array.from({ length: 7 }, (_, i) => (i < rank ? read(i + 1) : 1));
  const total = shape.reduce((product, length) => product * length, 1);
  const sound = rank >= 1 && rank <= 7 && shape.every((length) => length >= 1);
  if (!sound || !Number.isSafeInteger(total * 8)) {
    throw new InputError(
      `${subject} is damaged: its header gives the dimensions ${shape.slice(0, Math.max(1, Math.min(rank, 7))).join(" x ")}.`,
    );
  }
  while (shape.length > 3 && shape[shape.length - 1] === 1) shape.pop();
  return shape;
}

function readScaling(
  view: DataView,
  niftiVersion: 1 | 2,
  littleEndian: boolean,
): { slope: number; intercept: number } {
  const at = layouts[niftiVersion].slope;
  const [slope, intercept] =
    niftiVersion === 1
      ? [view.getFloat32(at, littleEndian), view.getFloat32(at + 4, littleEndian)]
      : [view.getFloat64(at, littleEndian), view.getFloat64(at + 8, littleEndian)];
  if (slope === 0 || !Number.isFinite(slope)) return { slope: 1, intercept: 0 };
  return { slope, intercept: Number.isFinite(intercept) ? intercept : 0 };
}

/** The geometry of a header's bytes as numbers. */
export function readGeometryFields(
  bytes: Uint8Array,
  niftiVersion: 1 | 2,
  littleEndian: boolean,
): GeometryFields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = niftiVersion === 1;
  const codes = first ? 252 : 344;
  const code = (index: number) =>
    first
      ? view.getInt16(codes + 2 * index, littleEndian)
      : view.getInt32(codes + 4 * index, littleEndian);
  const real = (at: number, index: number) =>
    first
      ? view.getFloat32(at + 4 * index, littleEndian)
      : view.getFloat64(at + 8 * index, littleEndian);
  const reals = (at: number, count: number) =>
    Float64Array.from({ length: count }, (_, i) => real(at, i));
  const quaternion = first ? 256 : 352;
  const offset = first ? 268 : 376;
  return {
    pixdim: reals(layouts[niftiVersion].pixdim, 8),
    qformCode: code(0),
    sformCode: code(1),
    quaternion: [real(quaternion, 0), real(quaternion, 1), real(quaternion, 2)],
    offset: [real(offset, 0), real(offset, 1), real(offset, 2)],
    srow: reals(first ? 280 : 400, 12),
  };
}

/** Bytes that the header promises for the values of the whole file. */
export function dataBytesOf(header: NiftiHeader): number {
  return header.shape.reduce((product, length) => product * length, header.datatype.bytes);
}

export function geometryOf(header: NiftiHeader): Geometry {
  const [nx, ny, nz] = header.shape;
  return {
    shape: [nx, ny, nz],
    voxelSize: voxelSizeOf(header.fields),
    affine: affineOf(header.fields),
    header: header.bytes,
    littleEndian: header.littleEndian,
    niftiVersion: header.niftiVersion,
  };
}
