/** Which bytes of a spill file are taken, and which are free to be written again. No I/O, no clock. */

/** Consecutive bytes of a file. */
export interface Extent {
  readonly offset: number;
  readonly bytes: number;
}

/** What `place` found room for. */
export interface Placement {
  readonly offsets: readonly number[];
  /** By how much the file grew. */
  readonly grownBytes: number;
}

/**
 * The bytes of one file. A free extent of exactly the size wanted is used first, then part of the smallest that is
 * larger, then the end of the file. Free extents that touch are one.
 */
export class SpillExtents {
  readonly #taken = new Map<number, number>();
  /** Bytes by offset, the same by end, and the offsets of each size. */
  readonly #freeAt = new Map<number, number>();
  readonly #freeEnd = new Map<number, number>();
  readonly #freeOfSize = new Map<number, Set<number>>();
  #endBytes = 0;
  #takenBytes = 0;

  /** The length of the file. */
  get endBytes(): number {
    return this.#endBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Free bytes at the very end: the file may be cut there. */
  get tailBytes(): number {
    const offset = this.#freeEnd.get(this.#endBytes);
    return offset === undefined ? 0 : this.#endBytes - offset;
  }

  /** Takes room for each of `sizes` (all above 0), growing the file by at most `growthBytesLimit`: all of them, or none (undefined). */
  place(sizes: readonly number[], growthBytesLimit: number): Placement | undefined {
    const endBytes = this.#endBytes;
    const offsets: number[] = [];
    for (const bytes of sizes) {
      const offset = this.#takeFree(bytes) ?? this.#grow(bytes, endBytes + growthBytesLimit);
      if (offset === undefined) {
        for (let n = offsets.length - 1; n >= 0; n--) this.free(offsets[n], sizes[n]);
        // Nobody saw the growth, so it never was.
        if (this.#endBytes > endBytes) this.cutTail(endBytes);
        return undefined;
      }
      offsets.push(offset);
    }
    return { offsets, grownBytes: this.#endBytes - endBytes };
  }

  /** Cuts one that is taken into pieces of these sizes, one behind the other. */
  split(offset: number, sizes: readonly number[]): void {
    this.#taken.delete(offset);
    let at = offset;
    for (const bytes of sizes) {
      this.#taken.set(at, bytes);
      at += bytes;
    }
  }

  isTaken(offset: number, bytes: number): boolean {
    return this.#taken.get(offset) === bytes;
  }

  free(offset: number, bytes: number): void {
    if (!this.isTaken(offset, bytes)) {
      throw new Error(`no piece of ${bytes} bytes is taken at ${offset} of this spill file`);
    }
    this.#taken.delete(offset);
    this.#takenBytes -= bytes;
    const before = this.#freeEnd.get(offset);
    const after = this.#freeAt.get(offset + bytes);
    const start = before ?? offset;
    const end = offset + bytes + (after ?? 0);
    if (before !== undefined) this.#removeFree(before, offset - before);
    if (after !== undefined) this.#removeFree(offset + bytes, after);
    this.#addFree(start, end - start);
  }

  /** Takes what is free at the end off the file, down to `endBytes` at most; returns the new end. */
  cutTail(endBytes = 0): number {
    const tailBytes = Math.min(this.tailBytes, this.#endBytes - endBytes);
    if (tailBytes > 0) {
      const offset = this.#freeEnd.get(this.#endBytes)!;
      const freeBytes = this.#endBytes - offset;
      this.#removeFree(offset, freeBytes);
      if (freeBytes > tailBytes) this.#addFree(offset, freeBytes - tailBytes);
      this.#endBytes -= tailBytes;
    }
    return this.#endBytes;
  }

  #takeFree(bytes: number): number | undefined {
    let size = bytes;
    if (!this.#freeOfSize.has(bytes)) {
      size = Number.POSITIVE_INFINITY;
      for (const candidate of this.#freeOfSize.keys()) {
        if (candidate > bytes && candidate < size) size = candidate;
      }
      if (size === Number.POSITIVE_INFINITY) return undefined;
    }
    const [offset] = this.#freeOfSize.get(size)!;
    this.#removeFree(offset, size);
    if (size > bytes) this.#addFree(offset + bytes, size - bytes);
    this.#take(offset, bytes);
    return offset;
  }

  #grow(bytes: number, endBytesLimit: number): number | undefined {
    // What is free at the end is less than is wanted, or it would have been used: it is the beginning of it.
    const tailBytes = this.tailBytes;
    const offset = this.#endBytes - tailBytes;
    if (offset + bytes > endBytesLimit) return undefined;
    if (tailBytes > 0) this.#removeFree(offset, tailBytes);
    this.#endBytes = offset + bytes;
    this.#take(offset, bytes);
    return offset;
  }

  #take(offset: number, bytes: number): void {
    this.#taken.set(offset, bytes);
    this.#takenBytes += bytes;
  }

  #addFree(offset: number, bytes: number): void {
    this.#freeAt.set(offset, bytes);
    this.#freeEnd.set(offset + bytes, offset);
    const ofSize = this.#freeOfSize.get(bytes);
    if (ofSize === undefined) this.#freeOfSize.set(bytes, new Set([offset]));
    else ofSize.add(offset);
  }

  #removeFree(offset: number, bytes: number): void {
    this.#freeAt.delete(offset);
    this.#freeEnd.delete(offset + bytes);
    const ofSize = this.#freeOfSize.get(bytes)!;
    ofSize.delete(offset);
    if (ofSize.size === 0) this.#freeOfSize.delete(bytes);
  }
}
