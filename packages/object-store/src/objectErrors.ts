/** What a person is told of objects that cannot be had. */
import { bytesInWords } from "./bytesInWords.ts";
import { ObjectMemoryError } from "./slabs.ts";

/** Nobody owns an object of this name here: it never was, or all its owners have released it. */
export class ObjectUnknownError extends Error {
  readonly code = "OBJECT_UNKNOWN";
  override readonly name = "ObjectUnknownError";

  static of(id: number, owner?: string): ObjectUnknownError {
    return new ObjectUnknownError(
      owner === undefined
        ? `Object ${id} is not here: all its owners have released it, or it is another store's.`
        : `Object ${id} is not held by ${owner}: retain it before it is released.`,
    );
  }
}

/** It is on disk, and was asked for without waiting. */
export class ObjectSpilledError extends Error {
  readonly code = "OBJECT_SPILLED";
  override readonly name = "ObjectSpilledError";

  static of(id: number): ObjectSpilledError {
    return new ObjectSpilledError(
      `Object ${id} is on disk, to make room in memory for others: wait for it with getAsync.`,
    );
  }
}

/** There is no room for an object, and there will be none while what fills the memory is in use. */
export function noRoomFor(bytes: number, limitBytes: number, why: string): ObjectMemoryError {
  return new ObjectMemoryError(
    `There is no room for an object of ${bytesInWords(bytes)} in ${bytesInWords(limitBytes)} of object memory: ${why}.`,
  );
}
