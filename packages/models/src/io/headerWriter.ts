/** Headers of written files: geometry to the bit as in the input, all else clean. */
import { InputError } from "../model.ts";
import type { GeometryFields } from "./affine.ts";
import type { NiftiDtype } from "./datatype.ts";
import { datatypeOf } from "./datatype.ts";
import type { Geometry } from "./dwi.ts";
import { readGeometryFields } from "./header.ts";

const maxShortDimension = 32767;
const millimetres = 2;

/** Where the geometry stands, in bytes; the 18 reals are the quaternion, the offsets and the srows. */
const layouts = {
  1: { size: 348, real: 4, code: 2, unit: 1, pixdim: 76, units: 123, codes: 252, reals: 256 },
  2: { size: 540, real: 8, code: 4, unit: 4, pixdim: 104, units: 500, codes: 344, reals: 352 },
} as const;

export interface HeaderContent {
  /** Axis lengths, 3 to 7 of them. */
  readonly shape: readonly number[];
  readonly dtype: NiftiDtype;
  /** Taken over to the bit from another file, or derived from an affine. */
  readonly geometry: Geometry | GeometryFields;
  readonly description: string;
}

/**
 * Header and extension flag, little endian. NIfTI-1; NIfTI-2 only where a dimension exceeds 32767 or
 * where the geometry of a NIfTI-2 input is not exact in float32.
 */
export function encodeHeader(content: HeaderContent): Uint8Array {
  const { shape, geometry } = content;
  if (
    shape.length < 3 ||
    shape.length > 7 ||
    !shape.every((n) => Number.isSafeInteger(n) && n > 0)
  ) {
    throw new InputError(`A NIfTI file cannot have the shape ${shape.join(" x ")}.`);
  }
  const short = shape.every((length) => length <= maxShortDimension) && fitsVersion1(geometry);
  const version = short ? 1 : 2;
  const bytes = version === 1 ? encodeVersion1(content) : encodeVersion2(content);
  if ("header" in geometry && geometry.niftiVersion === version) {
    copyGeometry(geometry, bytes);
  } else {
    writeGeometry(geometry, bytes, version);
  }
  return bytes;
}

function fieldsOf(geometry: Geometry | GeometryFields): GeometryFields {
  if (!("header" in geometry)) return geometry;
  return readGeometryFields(geometry.header, geometry.niftiVersion, geometry.littleEndian);
}

function unitsOf(geometry: Geometry | GeometryFields): number {
  if (!("header" in geometry)) return millimetres;
  const { header, littleEndian, niftiVersion } = geometry;
  if (niftiVersion === 1) return header[layouts[1].units];
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  return view.getInt32(layouts[2].units, littleEndian);
}

function fitsVersion1(geometry: Geometry | GeometryFields): boolean {
  const { pixdim, quaternion, offset, srow, qformCode, sformCode } = fieldsOf(geometry);
  if (!("header" in geometry) || geometry.niftiVersion === 1) return true;
  const exact = [...pixdim, ...quaternion, ...offset, ...srow].every((x) =>
    Object.is(Math.fround(x), x),
  );
  const codes = [qformCode, sformCode].every((code) => Math.abs(code) <= maxShortDimension);
  const units = unitsOf(geometry);
  return exact && codes && units >= 0 && units <= 255;
}

/** Same version: bytes, turned to little endian where they are not. */
function copyGeometry(geometry: Geometry, bytes: Uint8Array): void {
  const layout = layouts[geometry.niftiVersion];
  const copy = (at: number, itemBytes: number, count: number) => {
    for (let item = at; item < at + itemBytes * count; item += itemBytes) {
      for (let i = 0; i < itemBytes; i++) {
        bytes[item + i] = geometry.header[item + (geometry.littleEndian ? i : itemBytes - 1 - i)];
      }
    }
  };
  copy(layout.pixdim, layout.real, 8);
  copy(layout.units, layout.unit, 1);
  copy(layout.codes, layout.code, 2);
  copy(layout.reals, layout.real, 18);
}

function writeGeometry(
  geometry: Geometry | GeometryFields,
  bytes: Uint8Array,
  version: 1 | 2,
): void {
  const { pixdim, quaternion, offset, srow, qformCode, sformCode } = fieldsOf(geometry);
  const layout = layouts[version];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reals = (at: number, values: readonly number[]) => {
    for (const [i, value] of values.entries()) {
      if (version === 1) view.setFloat32(at + 4 * i, value, true);
      else view.setFloat64(at + 8 * i, value, true);
    }
  };
  reals(layout.pixdim, [...pixdim]);
  reals(layout.reals, [...quaternion, ...offset, ...srow]);
  const units = unitsOf(geometry);
  if (version === 1) {
    view.setInt16(layout.codes, qformCode, true);
    view.setInt16(layout.codes + 2, sformCode, true);
    view.setUint8(layout.units, units);
  } else {
    view.setInt32(layout.codes, qformCode, true);
    view.setInt32(layout.codes + 4, sformCode, true);
    view.setInt32(layout.units, units, true);
  }
}

/** All fields but the geometry; 4 zero bytes behind it say that no extension follows. */
function encodeVersion1(content: HeaderContent): Uint8Array {
  const bytes = new Uint8Array(layouts[1].size + 4);
  const view = new DataView(bytes.buffer);
  const { code, bytes: itemBytes } = datatypeOf(content.dtype);
  view.setInt32(0, layouts[1].size, true);
  view.setUint8(38, "r".charCodeAt(0));
  for (const [i, length] of dimensions(content.shape).entries()) {
    view.setInt16(40 + 2 * i, length, true);
  }
  view.setInt16(70, code, true);
  view.setInt16(72, 8 * itemBytes, true);
  view.setFloat32(108, bytes.length, true);
  view.setFloat32(112, 1, true);
  writeText(bytes, 148, 79, content.description);
  writeText(bytes, 344, 4, "n+1\0");
  return bytes;
}

function encodeVersion2(content: HeaderContent): Uint8Array {
  const bytes = new Uint8Array(layouts[2].size + 4);
  const view = new DataView(bytes.buffer);
  const { code, bytes: itemBytes } = datatypeOf(content.dtype);
  view.setInt32(0, layouts[2].size, true);
  writeText(bytes, 4, 8, "n+2\0\r\n\x1a\n");
  view.setInt16(12, code, true);
  view.setInt16(14, 8 * itemBytes, true);
  for (const [i, length] of dimensions(content.shape).entries()) {
    view.setBigInt64(16 + 8 * i, BigInt(length), true);
  }
  view.setBigInt64(168, BigInt(bytes.length), true);
  view.setFloat64(176, 1, true);
  writeText(bytes, 240, 79, content.description);
  return bytes;
}

/** The 8 numbers of `dim`: how many axes, their lengths, 1 for the rest. */
function dimensions(shape: readonly number[]): number[] {
  return [shape.length, ...shape, ...new Array<number>(7 - shape.length).fill(1)];
}

function writeText(bytes: Uint8Array, at: number, maxBytes: number, text: string): void {
  bytes.set(Buffer.from(text, "latin1").subarray(0, maxBytes), at);
}
