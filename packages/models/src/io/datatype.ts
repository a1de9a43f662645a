/** The number types a NIfTI file may hold, and how their bytes become numbers. */
import { InputError } from "../model.ts";

export type NiftiDtype =
  | "uint8"
  | "int8"
  | "uint16"
  | "int16"
  | "uint32"
  | "int32"
  | "uint64"
  | "int64"
  | "float32"
  | "float64";

/** Decoded values; 64-bit integers come as float64, rounded to nearest beyond 2^53. */
export type NumericView =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

export interface Datatype {
  readonly dtype: NiftiDtype;
  /** The number of the type in the header (`datatype` of nifti1.h). */
  readonly code: number;
  readonly bytes: number;
}

const datatypes: readonly Datatype[] = [
  { dtype: "uint8", code: 2, bytes: 1 },
  { dtype: "int16", code: 4, bytes: 2 },
  { dtype: "int32", code: 8, bytes: 4 },
  { dtype: "float32", code: 16, bytes: 4 },
  { dtype: "float64", code: 64, bytes: 8 },
  { dtype: "int8", code: 256, bytes: 1 },
  { dtype: "uint16", code: 512, bytes: 2 },
  { dtype: "uint32", code: 768, bytes: 4 },
  { dtype: "int64", code: 1024, bytes: 8 },
  { dtype: "uint64", code: 1280, bytes: 8 },
];

const unsupported: Readonly<Record<number, string>> = {
  1: "one-bit values",
  32: "complex values (complex64)",
  128: "RGB colours",
  1536: "128-bit floats",
  1792: "complex values (complex128)",
  2048: "complex values (complex256)",
  2304: "RGBA colours",
};

const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Throws an InputError, beginning with `subject`, on a type that this package does not read. */
export function datatypeFromCode(code: number, subject: string): Datatype {
  const found = datatypes.find((datatype) => datatype.code === code);
  if (found !== undefined) return found;
  const what = unsupported[code];
  throw new InputError(
    what === undefined
      ? `${subject} has the unknown data type ${code} in its header; it is damaged or not NIfTI.`
      : `${subject} holds ${what}, which cannot be fitted; convert it to real numbers, float32 for example.`,
  );
}

export function datatypeOf(dtype: NiftiDtype): Datatype {
  const found = datatypes.find((datatype) => datatype.dtype === dtype);
  if (found === undefined) throw new InputError(`"${dtype}" is not a NIfTI data type.`);
  return found;
}

/** Turns the bytes of `count` values between the file's byte order and the host's, in place. */
export function matchByteOrder(bytes: Buffer, itemBytes: number, littleEndian: boolean): void {
  if (littleEndian === hostIsLittleEndian) return;
  if (itemBytes === 2) bytes.swap16();
  else if (itemBytes === 4) bytes.swap32();
  else if (itemBytes === 8) bytes.swap64();
}

/**
 * The `count` values that begin at byte `offset` of `storage` (a multiple of the type's bytes),
 * decoded where they lie: the bytes are swapped in place if need be, and 64-bit integers are
 * overwritten by the float64 nearest to them.
 */
export function decodeInPlace(
  storage: ArrayBufferLike,
  offset: number,
  count: number,
  datatype: Datatype,
  littleEndian: boolean,
): NumericView {
  const bytes = Buffer.from(storage, offset, count * datatype.bytes);
  matchByteOrder(bytes, datatype.bytes, littleEndian);
  switch (datatype.dtype) {
    case "uint8":
      return new Uint8Array(storage, offset, count);
    case "int8":
      return new Int8Array(storage, offset, count);
    case "uint16":
      return new Uint16Array(storage, offset, count);
    case "int16":
      return new Int16Array(storage, offset, count);
    case "uint32":
      return new Uint32Array(storage, offset, count);
    case "int32":
      return new Int32Array(storage, offset, count);
    case "float32":
      return new Float32Array(storage, offset, count);
    case "float64":
      return new Float64Array(storage, offset, count);
    default:
      return integers64ToFloat64(storage, offset, count, datatype.dtype === "int64");
  }
}

function integers64ToFloat64(
  storage: ArrayBufferLike,
  offset: number,
  count: number,
  signed: boolean,
): Float64Array {
  const low = new Uint32Array(storage, offset, 2 * count);
  const high = signed ? new Int32Array(storage, offset, 2 * count) : low;
  const [lowAt, highAt] = hostIsLittleEndian ? [0, 1] : [1, 0];
  const out = new Float64Array(storage, offset, count);
  // One rounding only: the product with 2^32 is exact.
  for (let i = 0; i < count; i++) {
    out[i] = high[2 * i + highAt] * 4294967296 + low[2 * i + lowAt];
  }
  return out;
}

/** An array of the kind `decodeInPlace` gives for this type. */
export function allocateDecoded(dtype: NiftiDtype, length: number): NumericView {
  switch (dtype) {
    case "uint8":
      return new Uint8Array(length);
    case "int8":
      return new Int8Array(length);
    case "uint16":
      return new Uint16Array(length);
    case "int16":
      return new Int16Array(length);
    case "uint32":
      return new Uint32Array(length);
    case "int32":
      return new Int32Array(length);
    case "float32":
      return new Float32Array(length);
    default:
      return new Float64Array(length);
  }
}

/** The narrower of float32 and float64 that holds every value of the type exactly (below 2^53). */
export function exactFloatOf(dtype: NiftiDtype): "float32" | "float64" {
  const narrow: readonly NiftiDtype[] = ["uint8", "int8", "uint16", "int16", "float32"];
  return narrow.includes(dtype) ? "float32" : "float64";
}
