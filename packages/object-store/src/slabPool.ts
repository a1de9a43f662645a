/** Shared memory that is used again and again: what is given back goes to the next who asks for about as much. */
import { ForgottenMemory } from "./forgottenMemory.ts";
import { ObjectMemoryError, SystemMemoryError } from "./slabs.ts";

/** The smallest slab; engine and system give whole pages anyway. */
export const poolSlabBytesLeast = 64 << 10;

/** The largest slab: views of bytes end at 4 GiB, and a slab that is reused should be one that many can fill. */
export const poolSlabBytesLimit = 2 ** 31;

/** Shared memory that somebody has. */
export interface Slab {
  /** Its buffer's name within this process: no other buffer ever has it, the same one has it again when it is reused. */
  readonly id: number;
  /** At least `bytes` long. Zeroed when it is new; when it was used before, what was in it is still there. */
  readonly buffer: SharedArrayBuffer;
  /** What was asked for. */
  readonly bytes: number;
}

/** A buffer of the pool, whoever has it. */
interface PooledBuffer {
  readonly id: number;
  readonly buffer: SharedArrayBuffer;
  /** The most that was ever asked of it: the system gives pages when they are written, so no more is resident. */
  residentBytes: number;
}

// Of the process, not of a pool: threads remember buffers by it, whichever pool they are from.
let lastSlabId = 0;

/**
 * The size that a slab of `bytes` really has: 4, 5, 6 or 7 times a power of two, so that at most a fifth of it is
 * not asked for. Everything from 7 MiB to 8 MiB is 8 MiB, so all blocks of signals fit each other's slabs.
 */
export function slabClassBytes(bytes: number): number {
  if (bytes <= poolSlabBytesLeast) return poolSlabBytesLeast;
  const step = 2 ** (32 - Math.clz32(bytes - 1) - 3);
  return Math.ceil(bytes / step) * step;
}

/** A buffer is dropped for good: whoever remembers it by its id should forget it (and collect, see `ForgottenMemory`). */
export type SlabDropListener = (id: number, bytes: number) => void;

export interface SlabPoolOptions {
  readonly onDrop?: SlabDropListener;
}

/**
 * The shared memory of a process, within a budget. What is handed out counts with the bytes that were asked for and
 * never passes `limitBytes`. Free slabs are kept for reuse as long as all that is resident fits the budget too; the
 * longest unused are dropped first.
 */
export class SlabPool {
  readonly limitBytes: number;
  readonly #dropListeners = new Set<SlabDropListener>();
  readonly #handedOut = new Map<number, { pooled: PooledBuffer; bytes: number }>();
  /** By id; who was given back last stands last. */
  readonly #free = new Map<number, PooledBuffer>();
  /** The same by class, in the same order. */
  readonly #freeOfClass = new Map<number, PooledBuffer[]>();
  readonly #forgotten = new ForgottenMemory();
  #usedBytes = 0;
  #heldBytes = 0;
  #peakBytes = 0;

  constructor(limitBytes = Number.POSITIVE_INFINITY, { onDrop }: SlabPoolOptions = {}) {
    this.limitBytes = limitBytes;
    if (onDrop !== undefined) this.onDrop(onDrop);
  }

  /** Has `listener` told of each buffer that is dropped; returns what ends that. */
  onDrop(listener: SlabDropListener): () => void {
    this.#dropListeners.add(listener);
    return () => this.#dropListeners.delete(listener);
  }

  /** What is handed out, as it was asked for. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** What may be resident: handed out or free. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The most that was handed out at any time. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Slabs handed out. */
  get count(): number {
    return this.#handedOut.size;
  }

  /** Throws `ObjectMemoryError` past the budget, `SystemMemoryError` where the system does not give what the budget allows. */
  take(bytes: number): Slab {
    if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > poolSlabBytesLimit) {
      throw new RangeError(`a slab has 0 to ${poolSlabBytesLimit} bytes, not ${bytes}`);
    }
    if (this.#usedBytes + bytes > this.limitBytes) {
      throw ObjectMemoryError.of(this.#usedBytes + bytes, this.limitBytes);
    }
    const pooled = this.#reuse(bytes) ?? this.#make(bytes);
    this.#handedOut.set(pooled.id, { pooled, bytes });
    this.#usedBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return { id: pooled.id, buffer: pooled.buffer, bytes };
  }

  /** Nobody uses it any more, in any thread. */
  giveBack(slab: Slab): void {
    const out = this.#handedOut.get(slab.id);
    if (out === undefined) throw new Error(`slab ${slab.id} is not handed out by this pool`);
    this.#handedOut.delete(slab.id);
    this.#usedBytes -= out.bytes;
    const { byteLength } = out.pooled.buffer;
    const ofClass = this.#freeOfClass.get(byteLength);
    if (ofClass === undefined) this.#freeOfClass.set(byteLength, [out.pooled]);
    else ofClass.push(out.pooled);
    this.#free.set(slab.id, out.pooled);
    this.#dropPast(this.limitBytes);
  }

  /** Drops every free slab and gives their memory back to the system, as far as this thread held it. */
  trim(): void {
    this.#dropPast(0);
    this.#forgotten.flush();
  }

  /** The free slab of the same class that was used last, unless what older users left in it passes the budget. */
  #reuse(bytes: number): PooledBuffer | undefined {
    const found = this.#freeOfClass.get(slabClassBytes(bytes))?.pop();
    if (found === undefined) return undefined;
    const moreBytes = Math.max(0, bytes - found.residentBytes);
    this.#free.delete(found.id);
    this.#dropPast(this.limitBytes - moreBytes);
    if (this.#heldBytes + moreBytes > this.limitBytes && found.residentBytes > bytes) {
      this.#drop(found);
      return undefined;
    }
    found.residentBytes += moreBytes;
    this.#heldBytes += moreBytes;
    return found;
  }

  #make(bytes: number): PooledBuffer {
    this.#dropPast(this.limitBytes - bytes);
    const buffer = this.#allocate(bytes);
    this.#heldBytes += bytes;
    return { id: ++lastSlabId, buffer, residentBytes: bytes };
  }

  /** Free slabs of other sizes are no reason to go without. */
  #allocate(bytes: number): SharedArrayBuffer {
    try {
      return sharedMemory(bytes);
    } catch (error) {
      if (!(error instanceof SystemMemoryError) || this.#free.size === 0) throw error;
      this.trim();
      return sharedMemory(bytes);
    }
  }

  #dropPast(heldBytesLimit: number): void {
    for (const pooled of this.#free.values()) {
      if (this.#heldBytes <= heldBytesLimit) return;
      this.#free.delete(pooled.id);
      // The oldest of all is the oldest of its class.
      this.#freeOfClass.get(pooled.buffer.byteLength)?.shift();
      this.#drop(pooled);
    }
  }

  #drop(pooled: PooledBuffer): void {
    this.#heldBytes -= pooled.residentBytes;
    for (const listener of this.#dropListeners) listener(pooled.id, pooled.residentBytes);
    this.#forgotten.add(pooled.residentBytes);
  }
}

function sharedMemory(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(slabClassBytes(bytes));
  } catch (error) {
    if (error instanceof RangeError) throw SystemMemoryError.ofBytes(bytes);
    throw error;
  }
}
