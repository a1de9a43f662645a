/** What a store knows of one object. */
import type { ScratchPiece } from "@fascicle/core";
import type { ObjectArray, ObjectDtype } from "./objectData.ts";
import type { Slab } from "./slabPool.ts";

/** Where the bytes of an object are in memory: in a slab of its own, or, small ones, in a private array. */
export interface ObjectPlace {
  readonly data: ObjectArray;
  readonly slab: Slab | undefined;
}

export class StoredObject {
  readonly id: number;
  readonly dtype: ObjectDtype;
  readonly shape: readonly number[];
  readonly length: number;
  readonly bytes: number;
  /** Undefined while it is on disk alone. */
  place: ObjectPlace | undefined;
  /** Set once it was written to disk; kept when it is in memory again, since it never changes. */
  piece: ScratchPiece | undefined;
  restoring: Promise<void> | undefined;
  /** How often owners hold it; at 0 it is gone for everybody, and its memory when `pins` is 0 too. */
  references = 0;
  /** Views, threads and transfers that need its bytes to stay where they are. */
  pins = 0;
  /** Goes up with every use. */
  useCount = 0;

  constructor(
    id: number,
    dtype: ObjectDtype,
    shape: readonly number[],
    length: number,
    bytes: number,
  ) {
    this.id = id;
    this.dtype = dtype;
    this.shape = shape;
    this.length = length;
    this.bytes = bytes;
  }
}
