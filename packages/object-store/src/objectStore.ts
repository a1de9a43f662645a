/** Immutable objects of one process and its threads: put once, seen by all of them without a copy. */
import type { Worker } from "node:worker_threads";
import { arrayOver, dtypeOf, type ObjectArray, type ObjectDtype } from "./objectData.ts";
import { ObjectSpilledError, ObjectUnknownError } from "./objectErrors.ts";
import type { ObjectHandle } from "./objectHandle.ts";
import { ObjectMemory } from "./objectMemory.ts";
import { ObjectThread } from "./objectThread.ts";
import { poolSlabBytesLimit, type SlabPool } from "./slabPool.ts";
import type { SpillSpace } from "./spillSpace.ts";
import { type ObjectPlace, StoredObject } from "./storedObject.ts";

/** Copied at a time by `putAsync`, about a millisecond during which this thread does nothing else. */
const copiedBytesLimit = 8 << 20;

/** The name of an object within its store; messages may carry it. */
export interface ObjectRef {
  readonly id: number;
}

export interface PutOptions {
  /** Who holds it: a fit, a task, a driver. */
  readonly owner: string;
  /** By default one axis. */
  readonly shape?: readonly number[];
}

/** A view of an object, good until it is closed. An object that is viewed stays in memory. */
export class ObjectView {
  readonly dtype: ObjectDtype;
  readonly shape: readonly number[];
  #data: ObjectArray | undefined;
  readonly #onClose: ((view: ObjectView) => void) | undefined;

  constructor(
    { dtype, shape }: StoredObject,
    data: ObjectArray,
    onClose?: (view: ObjectView) => void,
  ) {
    this.dtype = dtype;
    this.shape = shape;
    this.#data = data;
    this.#onClose = onClose;
  }

  /** The values, where they are. Not to be written to. */
  get data(): ObjectArray {
    if (this.#data === undefined) throw new Error("this view is closed");
    return this.#data;
  }

  /** Others may have the memory: nothing that came from `data` is looked at any more. */
  close(): void {
    if (this.#data === undefined) return;
    this.#data = undefined;
    this.#onClose?.(this);
  }
}

/** An object as it is listed. */
export interface ListedObject {
  readonly id: number;
  readonly owners: readonly string[];
  readonly dtype: ObjectDtype;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly where: "inline" | "memory" | "spilled";
  /** Views and threads that it is in use by. */
  readonly pins: number;
}

export interface ObjectStoreOptions {
  /** Where memory is from: its budget is for all its users together. */
  readonly pool: SlabPool;
  /** Where objects go when memory is short. Without it, memory that is full is an error. */
  readonly spill?: SpillSpace;
}

/**
 * Objects up to 64 KiB are private arrays and travel inside messages; larger ones have a slab each, which every thread
 * that is sent a handle sees. What no view and no thread needs may be moved to disk, least recently used first, when
 * `putAsync` or `getAsync` need its room; `put` and `get` never wait, and throw instead.
 */
export class ObjectStore {
  readonly #memory: ObjectMemory;
  readonly #objects = new Map<number, StoredObject>();
  /** How often each owner holds which objects. */
  readonly #held = new Map<string, Map<number, number>>();
  readonly #threads = new Set<ObjectThread>();
  readonly #endDrops: () => void;
  #lastId = 0;
  #isClosed = false;

  constructor({ pool, spill }: ObjectStoreOptions) {
    this.#memory = new ObjectMemory(pool, spill);
    this.#endDrops = pool.onDrop((slabId, bytes) => {
      for (const thread of this.#threads) thread.dropped(slabId, bytes);
    });
  }

  get count(): number {
    return this.#objects.size;
  }

  /** Bytes of small objects, which are not in slabs: they count against the pool's budget too. */
  get inlineBytes(): number {
    return this.#memory.inlineBytes;
  }

  /** Copies the values. Throws `ObjectMemoryError` where there is no room now. */
  put(data: ObjectArray, options: PutOptions): ObjectRef {
    const object = this.#newObject(data, options);
    object.place = this.#memory.allocate(object);
    copyValues(data, object.place.data);
    return this.#add(object, options.owner);
  }

  /**
   * Copies the values as soon as there is room, a few MiB at a time; they must stay as they are meanwhile. Throws
   * `ObjectMemoryError` where what is in use leaves no room, `SpillError` where others cannot be moved to disk.
   */
  async putAsync(data: ObjectArray, options: PutOptions): Promise<ObjectRef> {
    const object = this.#newObject(data, options);
    await this.#memory.fill(object, async (place) => {
      const step = Math.max(1, Math.floor(copiedBytesLimit / data.BYTES_PER_ELEMENT));
      for (let at = 0; at < data.length; at += step) {
        if (at > 0) await new Promise((resolve) => setImmediate(resolve));
        copyValues(data.subarray(at, at + step), place.data, at);
      }
      this.#mustBeOpen();
    });
    return this.#add(object, options.owner);
  }

  /** A view of an object in memory. Throws `ObjectSpilledError` if it is on disk, `ObjectUnknownError` if it is gone. */
  get({ id }: ObjectRef): ObjectView {
    const object = this.#objectOf(id);
    if (object.place === undefined) throw ObjectSpilledError.of(id);
    return this.#viewOf(object, object.place);
  }

  /** A view of an object, wherever it is. Throws `SpillDamageError` where the disk does not have what was written. */
  async getAsync({ id }: ObjectRef): Promise<ObjectView> {
    return this.#inMemory(this.#objectOf(id), (object, place) => this.#viewOf(object, place));
  }

  /** An object as a thread is sent it, in any message. It stays in memory until the thread closes it or ends. */
  handleOf({ id }: ObjectRef, thread: ObjectThread): ObjectHandle {
    const object = this.#objectOf(id);
    if (object.place === undefined) throw ObjectSpilledError.of(id);
    this.#memory.touch(object);
    return thread.hand(object);
  }

  /** The same, of an object that may be on disk. */
  async handleOfAsync({ id }: ObjectRef, thread: ObjectThread): Promise<ObjectHandle> {
    return this.#inMemory(this.#objectOf(id), (object) => thread.hand(object));
  }

  /** Lets a thread be sent objects; its `port` has to be transferred to it. */
  threadOf(worker: Worker): ObjectThread {
    const thread = new ObjectThread(this.#memory, worker, (ended) => {
      this.#threads.delete(ended);
      this.#endWhenIdle();
    });
    this.#threads.add(thread);
    return thread;
  }

  /** `owner` holds it once more. */
  retain({ id }: ObjectRef, owner: string): void {
    this.#retain(this.#objectOf(id), owner);
  }

  /** `owner` holds it once less; whom nobody holds is gone. Throws `ObjectUnknownError` if `owner` does not hold it. */
  release({ id }: ObjectRef, owner: string): void {
    const held = this.#held.get(owner);
    const count = held?.get(id);
    if (held === undefined || count === undefined) throw ObjectUnknownError.of(id, owner);
    if (count > 1) held.set(id, count - 1);
    else held.delete(id);
    if (held.size === 0) this.#held.delete(owner);
    this.#dereference(this.#objects.get(id)!, 1);
  }

  /** `owner` has ended: it holds nothing any more. */
  releaseOwner(owner: string): void {
    const held = this.#held.get(owner);
    if (held === undefined) return;
    this.#held.delete(owner);
    for (const [id, count] of held) this.#dereference(this.#objects.get(id)!, count);
  }

  /** Every object that somebody holds. */
  list(): ListedObject[] {
    const owners = new Map<number, string[]>();
    for (const [owner, held] of this.#held) {
      for (const id of held.keys()) {
        const others = owners.get(id);
        if (others === undefined) owners.set(id, [owner]);
        else others.push(owner);
      }
    }
    return [...this.#objects.values()].map(({ id, dtype, shape, bytes, place, pins }) => {
      const where =
        place === undefined ? "spilled" : place.slab === undefined ? "inline" : "memory";
      return { id, owners: owners.get(id)!, dtype, shape, bytes, where, pins };
    });
  }

  /** Everybody has ended: all memory goes back to the pool that no thread and no view still has, and all disk. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const owner of [...this.#held.keys()]) this.releaseOwner(owner);
    await this.#memory.close();
    this.#endWhenIdle();
  }

  /** Threads are told of dropped buffers as long as there are any. */
  #endWhenIdle(): void {
    if (this.#isClosed && this.#threads.size === 0) this.#endDrops();
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new Error("the object store is closed");
  }

  #newObject(data: ObjectArray, { shape }: PutOptions): StoredObject {
    this.#mustBeOpen();
    const dtype = dtypeOf(data);
    const { length, byteLength } = data;
    if (shape !== undefined && !hasValues(shape, length)) {
      throw new RangeError(`${length} values do not have the shape ${shape.join(" x ")}`);
    }
    if (byteLength > poolSlabBytesLimit) {
      throw new RangeError(
        `an object has at most ${poolSlabBytesLimit} bytes, not ${byteLength}: put it in parts`,
      );
    }
    return new StoredObject(++this.#lastId, dtype, shape?.slice() ?? [length], length, byteLength);
  }

  #add(object: StoredObject, owner: string): ObjectRef {
    this.#objects.set(object.id, object);
    this.#retain(object, owner);
    this.#memory.touch(object);
    return { id: object.id };
  }

  #objectOf(id: number): StoredObject {
    const object = this.#objects.get(id);
    if (object === undefined) throw ObjectUnknownError.of(id);
    return object;
  }

  #viewOf(object: StoredObject, place: ObjectPlace): ObjectView {
    if (place.slab === undefined) {
      // Its memory is the engine's, and there as long as the view is.
      this.#memory.touch(object);
      return new ObjectView(object, place.data);
    }
    this.#memory.pin(object);
    const data = arrayOver(object.dtype, place.slab.buffer, object.length);
    return new ObjectView(object, data, () => this.#memory.unpin(object));
  }

  /** Reads it from disk if it is there, and does `use` before it can go there again. */
  async #inMemory<T>(
    object: StoredObject,
    use: (object: StoredObject, place: ObjectPlace) => T,
  ): Promise<T> {
    this.#memory.pin(object);
    try {
      if (object.place === undefined) await this.#memory.restore(object);
      return use(object, object.place!);
    } finally {
      this.#memory.unpin(object);
    }
  }

  #retain(object: StoredObject, owner: string): void {
    let held = this.#held.get(owner);
    if (held === undefined) {
      held = new Map();
      this.#held.set(owner, held);
    }
    held.set(object.id, (held.get(object.id) ?? 0) + 1);
    object.references++;
  }

  #dereference(object: StoredObject, count: number): void {
    object.references -= count;
    if (object.references > 0) return;
    this.#objects.delete(object.id);
    if (object.pins === 0) this.#memory.discard(object);
  }
}

function hasValues(shape: readonly number[], length: number): boolean {
  const isWhole = shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  return isWhole && shape.reduce((product, size) => product * size, 1) === length;
}

/** Arrays of one dtype. */
function copyValues(from: ObjectArray, to: ObjectArray, at = 0): void {
  (to as Float64Array).set(from as Float64Array, at);
}
