/** Arrays of numbers as objects: what their values are, and views of memory as such. */

const arrays = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

/** A number format of objects. */
export type ObjectDtype = keyof typeof arrays;

/** Values of an object. */
export type ObjectArray = InstanceType<(typeof arrays)[ObjectDtype]>;

const dtypes = new Map(
  Object.entries(arrays).map(([dtype, array]) => [array.name, dtype as ObjectDtype]),
);

/** Throws `TypeError` for what is no typed array, or one of no dtype here. */
export function dtypeOf(data: ObjectArray): ObjectDtype {
  // Also of a Buffer this is "Uint8Array".
  const dtype = dtypes.get(data[Symbol.toStringTag]);
  if (dtype === undefined) {
    throw new TypeError(
      `an object is a typed array (${[...dtypes.keys()].join(", ")}), not ${data?.constructor?.name ?? data}`,
    );
  }
  return dtype;
}

/** The first `length` values of memory as an array. */
export function arrayOver(
  dtype: ObjectDtype,
  buffer: ArrayBufferLike,
  length: number,
): ObjectArray {
  // Their constructors take either kind of buffer, which the type of a union of them does not say.
  return new arrays[dtype](buffer as ArrayBuffer, 0, length);
}

/** The same memory as bytes. */
export function bytesOfArray({ buffer, byteOffset, byteLength }: ObjectArray): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
