/** Which objects are in memory and which on disk: the least recently used go there when others need their room. */
import type { ScratchFile, ScratchPiece } from "@fascicle/core";
import { arrayOver, bytesOfArray } from "./objectData.ts";
import { noRoomFor } from "./objectErrors.ts";
import type { SlabPool } from "./slabPool.ts";
import type { SpillSpace } from "./spillSpace.ts";
import type { ObjectPlace, StoredObject } from "./storedObject.ts";

/** Objects up to this size are kept as private arrays and travel inside messages. */
export const inlineBytesLimit = 64 << 10;

/** Small objects go to disk so many bytes at a time, where there are as many. */
const fusedBytesLeast = 1 << 20;

export class ObjectMemory {
  readonly #pool: SlabPool;
  readonly #spill: SpillSpace | undefined;
  /** In memory and not pinned, least recently used first. */
  readonly #idle = new Map<number, StoredObject>();
  #file: Promise<ScratchFile> | undefined;
  /** The end of the queue of those that make room: one at a time, so that none takes what another made. */
  #queue: Promise<unknown> = Promise.resolve();
  /** What is in memory and not yet whole: it is nobody's yet. */
  readonly #filling = new Set<Promise<void>>();
  #inlineBytes = 0;

  constructor(pool: SlabPool, spill: SpillSpace | undefined) {
    this.#pool = pool;
    this.#spill = spill;
  }

  /** Bytes of the objects that are private arrays. */
  get inlineBytes(): number {
    return this.#inlineBytes;
  }

  /** Room for an object, if there is; throws `ObjectMemoryError` otherwise. */
  allocate(object: StoredObject): ObjectPlace {
    const { bytes, dtype, length } = object;
    if (!this.#hasRoom(bytes)) {
      throw noRoomFor(
        bytes,
        this.#pool.limitBytes,
        this.#spill ? "wait for room with putAsync" : noSpill,
      );
    }
    if (bytes <= inlineBytesLimit) {
      this.#inlineBytes += bytes;
      return { data: arrayOver(dtype, new ArrayBuffer(bytes), length), slab: undefined };
    }
    const slab = this.#pool.take(bytes);
    return { data: arrayOver(dtype, slab.buffer, length), slab };
  }

  /**
   * Has `fill` write an object's values to the room that it gets, after others were moved to disk for it; then it is in
   * memory. Throws `ObjectMemoryError` where too many are in use, `SpillError` where the disk will not have them.
   */
  async fill(object: StoredObject, fill: (place: ObjectPlace) => Promise<void>): Promise<void> {
    const place = await this.#allocateWhenRoom(object);
    const filling = fill(place);
    this.#filling.add(filling);
    try {
      await filling;
      object.place = place;
    } catch (error) {
      this.giveBack(place);
      throw error;
    } finally {
      this.#filling.delete(filling);
    }
  }

  giveBack({ data, slab }: ObjectPlace): void {
    if (slab === undefined) this.#inlineBytes -= data.byteLength;
    else this.#pool.giveBack(slab);
  }

  /** It was used now. */
  touch(object: StoredObject): void {
    object.useCount++;
    if (object.pins > 0 || object.place === undefined) return;
    this.#idle.delete(object.id);
    this.#idle.set(object.id, object);
  }

  /** Its bytes stay where they are until as many `unpin`. */
  pin(object: StoredObject): void {
    object.useCount++;
    if (object.pins++ === 0) this.#idle.delete(object.id);
  }

  unpin(object: StoredObject): void {
    if (--object.pins > 0) return;
    if (object.references === 0) this.discard(object);
    else if (object.place !== undefined) this.#idle.set(object.id, object);
  }

  /** Nobody has it any more: its memory and its place on disk are for others. */
  discard(object: StoredObject): void {
    this.#idle.delete(object.id);
    if (object.place !== undefined) this.giveBack(object.place);
    object.place = undefined;
    this.#freePiece(object);
  }

  /** Reads it from disk, straight into its place. Throws `SpillDamageError` if the bytes are not what was written. */
  async restore(object: StoredObject): Promise<void> {
    object.restoring ??= this.#restore(object).finally(() => {
      object.restoring = undefined;
    });
    await object.restoring;
  }

  /** Ends with its file; the objects have been discarded. */
  async close(): Promise<void> {
    const file = await this.#file?.catch(() => undefined);
    await file?.remove();
  }

  #hasRoom(bytes: number): boolean {
    return this.#pool.usedBytes + this.#inlineBytes + bytes <= this.#pool.limitBytes;
  }

  async #restore(object: StoredObject): Promise<void> {
    this.pin(object);
    try {
      await this.fill(object, async ({ data }) => {
        const file = await this.#spillFile();
        await file.read(object.piece!, bytesOfArray(data));
      });
    } finally {
      this.unpin(object);
    }
  }

  async #allocateWhenRoom(object: StoredObject): Promise<ObjectPlace> {
    if (this.#hasRoom(object.bytes)) return this.allocate(object);
    const allocated = this.#queue.then(() => this.#makeRoom(object));
    this.#queue = allocated.catch(() => {});
    return allocated;
  }

  async #makeRoom(object: StoredObject): Promise<ObjectPlace> {
    const { bytes } = object;
    const { limitBytes } = this.#pool;
    if (bytes > limitBytes) throw noRoomFor(bytes, limitBytes, "raise --object-memory");
    let hasWaited = false;
    while (!this.#hasRoom(bytes)) {
      if (this.#spill === undefined) throw noRoomFor(bytes, limitBytes, noSpill);
      const neededBytes = this.#pool.usedBytes + this.#inlineBytes + bytes - limitBytes;
      const victims = this.#leastRecentlyUsed(neededBytes);
      if (victims !== undefined) {
        await this.#moveToDisk(victims);
        hasWaited = false;
      } else if (this.#filling.size > 0) {
        await Promise.race([...this.#filling].map((filling) => filling.catch(() => {})));
        hasWaited = false;
      } else if (!hasWaited) {
        // Who has just been given a view may be about to close it.
        await new Promise((resolve) => setImmediate(resolve));
        hasWaited = true;
      } else {
        throw noRoomFor(bytes, limitBytes, tooMuchInUse);
      }
    }
    // In the same breath, so that nobody else has it.
    return this.allocate(object);
  }

  /** Undefined where all of them are not enough. */
  #leastRecentlyUsed(neededBytes: number): StoredObject[] | undefined {
    const objects: StoredObject[] = [];
    let bytes = 0;
    for (const object of this.#idle.values()) {
      const isSmall = object.bytes <= inlineBytesLimit && bytes < fusedBytesLeast;
      if (bytes >= neededBytes && !isSmall) break;
      objects.push(object);
      bytes += object.bytes;
    }
    return bytes >= neededBytes ? objects : undefined;
  }

  async #moveToDisk(objects: readonly StoredObject[]): Promise<void> {
    for (const object of objects) this.pin(object);
    const useCounts = objects.map(({ useCount }) => useCount);
    let isOnDisk = false;
    try {
      await this.#write(objects.filter(({ piece }) => piece === undefined));
      isOnDisk = true;
    } finally {
      for (const [n, object] of objects.entries()) {
        // Who was used meanwhile stays, and need not be written again when its time comes.
        const wasUsed = object.useCount !== useCounts[n];
        this.unpin(object);
        if (isOnDisk && !wasUsed && this.#idle.delete(object.id)) {
          this.giveBack(object.place!);
          object.place = undefined;
        }
      }
    }
  }

  async #write(objects: readonly StoredObject[]): Promise<void> {
    if (objects.length === 0) return;
    const parts = objects.map(({ place }) => bytesOfArray(place!.data));
    this.#freeCopies(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
    const file = await this.#spillFile();
    const pieces: ScratchPiece[] = await file.write(parts);
    for (const [n, object] of objects.entries()) object.piece = pieces[n];
  }

  /** Disk that is short is for objects that are nowhere else. */
  #freeCopies(neededBytes: number): void {
    const { limitBytes, takenBytes } = this.#spill!;
    let shortBytes = takenBytes + neededBytes - limitBytes;
    for (const object of this.#idle.values()) {
      if (shortBytes <= 0) return;
      if (object.piece === undefined) continue;
      shortBytes -= object.bytes;
      this.#freePiece(object);
    }
  }

  #freePiece(object: StoredObject): void {
    const { piece } = object;
    if (piece === undefined) return;
    object.piece = undefined;
    // There is a piece, so there is a file.
    void this.#file?.then((file) => file.free(piece));
  }

  async #spillFile(): Promise<ScratchFile> {
    this.#file ??= this.#spill!.create("objects").catch((error) => {
      this.#file = undefined;
      throw error;
    });
    return this.#file;
  }
}

const tooMuchInUse =
  "too much of it is in use: close views that are not needed, or raise --object-memory";
const noSpill = "raise --object-memory, or allow it to spill to disk with --spill-dir";
