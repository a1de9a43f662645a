/** A file of objects that do not fit in memory. */
import { constants } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";
import type { ScratchFile, ScratchPiece } from "@fascicle/core";
import { Checksum } from "./checksum.ts";
import { SpillDamageError, SpillError } from "./spillErrors.ts";
import { type Placement, SpillExtents } from "./spillExtents.ts";
import type { SpillRoom } from "./spillRoom.ts";

/** Parts that are smaller lie side by side in the file, so that disk and system see few large writes. */
const fusedBytesLeast = 1 << 20;

/** Read, written and summed at a time: less than a millisecond during which this thread does nothing else. */
const sliceBytes = 2 << 20;

/** Slices of a piece that the disk is given at a time; Node has four threads for all disks. */
const slicesUnderWayLimit = 3;

/** The most parts in a slice, however small they are; one system call takes 1,024. */
const slicePartsLimit = 1000;

/** When so much at the end of a file is free, the file is cut. */
const freeTailBytesLimit = 64 << 20;

/** Parts that are written side by side. */
interface Run {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

interface Claim extends Placement {
  readonly runs: readonly Run[];
}

export class SpillFile implements ScratchFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #room: SpillRoom;
  readonly #onRemoved: (file: SpillFile) => void;
  readonly #extents = new SpillExtents();
  /** Reads under way, by offset, and what is freed as soon as they end. */
  readonly #readers = new Map<number, number>();
  readonly #freedInUse = new Map<number, ScratchPiece>();
  readonly #underWay = new Set<Promise<unknown>>();
  #cutting: Promise<void> | undefined;
  #removed: Promise<void> | undefined;

  private constructor(
    path: string,
    handle: FileHandle,
    room: SpillRoom,
    onRemoved: (file: SpillFile) => void,
  ) {
    this.path = path;
    this.#handle = handle;
    this.#room = room;
    this.#onRemoved = onRemoved;
  }

  /** Makes the file, which must not exist. */
  static async create(
    path: string,
    room: SpillRoom,
    onRemoved: (file: SpillFile) => void,
  ): Promise<SpillFile> {
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    try {
      const handle = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      return new SpillFile(path, handle, room, onRemoved);
    } catch (error) {
      throw SpillError.of(error, "make the spill file", path);
    }
  }

  /** Bytes of pieces that were written and not freed. */
  get takenBytes(): number {
    return this.#extents.takenBytes;
  }

  async write(parts: readonly Uint8Array[]): Promise<ScratchPiece[]> {
    this.#mustBeThere();
    return this.#track(this.#write(parts));
  }

  async read(piece: ScratchPiece, into: Uint8Array): Promise<void> {
    this.#mustBeThere();
    if (into.byteLength !== piece.bytes) {
      throw new RangeError(`${piece.bytes} bytes are read into ${into.byteLength}`);
    }
    if (piece.bytes === 0) return;
    this.#readers.set(piece.offset, (this.#readers.get(piece.offset) ?? 0) + 1);
    try {
      await this.#track(this.#read(piece, into));
    } finally {
      this.#endRead(piece.offset);
    }
  }

  free(piece: ScratchPiece): void {
    if (this.#removed !== undefined || piece.bytes === 0) return;
    // Who still reads it must not find another's bytes there.
    if (this.#readers.has(piece.offset)) this.#freedInUse.set(piece.offset, piece);
    else this.#freeNow(piece);
  }

  /** Cuts off what is free at the end, so that others have it. */
  trim(): void {
    if (this.#extents.tailBytes === 0 || this.#cutting !== undefined || this.#removed !== undefined)
      return;
    this.#cutting = this.#track(this.#cut()).finally(() => {
      this.#cutting = undefined;
    });
    // A file that cannot be cut stays as long as it is, and counts so.
    this.#cutting.catch(() => {});
  }

  async remove(): Promise<void> {
    this.#removed ??= this.#remove();
    await this.#removed;
  }

  #mustBeThere(): void {
    if (this.#removed !== undefined) throw this.#removedError();
  }

  #removedError(): SpillError {
    return new SpillError(`The spill file ${this.path} is not in use any more: its fit has ended.`);
  }

  async #track<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async #write(parts: readonly Uint8Array[]): Promise<ScratchPiece[]> {
    const filled = parts.filter((part) => part.byteLength > 0);
    const claim = filled.length === 0 ? undefined : await this.#claim(filled);
    const pieces: ScratchPiece[] = [];
    try {
      const sums = claim === undefined ? [] : await this.#writeRuns(claim);
      const offsets = claim === undefined ? [] : partOffsets(claim);
      let next = 0;
      for (const { byteLength: bytes } of parts) {
        if (bytes === 0) pieces.push({ offset: 0, bytes, crc: 0 });
        else pieces.push({ offset: offsets[next], bytes, crc: sums[next++] });
      }
    } catch (error) {
      if (claim !== undefined) this.#giveUp(claim);
      throw SpillError.of(error, "write objects to", this.path);
    } finally {
      this.#room.settle(claim?.grownBytes ?? 0);
    }
    if (claim !== undefined) this.#splitRuns(claim);
    return pieces;
  }

  async #claim(parts: readonly Uint8Array[]): Promise<Claim> {
    await this.#cutting?.catch(() => {});
    const { bytes } = runOf(...parts);
    const fused = fuse(parts);
    const single = fused.length === parts.length ? undefined : parts.map((part) => runOf(part));
    return this.#room.claim(this, bytes, (growthBytesLimit) => {
      this.#mustBeThere();
      // What is being cut off must not be written to.
      const growthBytes = this.#cutting === undefined ? growthBytesLimit : 0;
      return this.#place(fused, growthBytes) ?? (single && this.#place(single, growthBytes));
    });
  }

  #place(runs: readonly Run[], growthBytesLimit: number): Claim | undefined {
    const sizes = runs.map(({ bytes }) => bytes);
    const placement = this.#extents.place(sizes, growthBytesLimit);
    return placement && { ...placement, runs };
  }

  /** Resolves with the sum of each part. */
  async #writeRuns({ runs, offsets }: Claim): Promise<number[]> {
    const sums = new PartSums(runs.flatMap(({ parts }) => parts));
    const underWay: Promise<unknown>[] = [heardLater(this.#mustHaveName())];
    try {
      for (let n = 0; n < runs.length; n++) {
        let at = offsets[n];
        for (const slice of slicesOf(runs[n].parts)) {
          // Summed first, so that the system finds it in the processor's cache, and while those before are written.
          for (const bytes of slice) sums.add(bytes);
          underWay.push(heardLater(this.#writeFully(slice, at)));
          at += runOf(...slice).bytes;
          await (underWay.length > slicesUnderWayLimit ? underWay.shift() : othersRan());
        }
      }
      await Promise.all(underWay);
    } catch (error) {
      // Nothing is written to places that are given up.
      await Promise.allSettled(underWay);
      throw error;
    }
    return sums.values;
  }

  /** Of a file that somebody removed nobody knows but this process: whoever did that wants the room. */
  async #mustHaveName(): Promise<void> {
    const { nlink } = await this.#handle.stat();
    if (nlink === 0) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
  }

  async #writeFully(parts: readonly Uint8Array[], offset: number): Promise<void> {
    let at = offset;
    let left = parts;
    while (left.length > 0) {
      const { bytesWritten } = await this.#handle.writev(left, at);
      at += bytesWritten;
      left = without(left, bytesWritten);
    }
  }

  #giveUp({ runs, offsets }: Claim): void {
    if (this.#removed !== undefined) return;
    for (const [n, { bytes }] of runs.entries()) this.#extents.free(offsets[n], bytes);
    this.#room.freed();
  }

  #splitRuns({ runs, offsets }: Claim): void {
    for (const [n, { parts }] of runs.entries()) {
      if (parts.length > 1) this.#extents.split(offsets[n], parts.map(bytesOf));
    }
  }

  async #read(piece: ScratchPiece, into: Uint8Array): Promise<void> {
    const sum = new Checksum(piece.bytes);
    const reading: Promise<void>[] = [];
    let askedBytes = 0;
    const askForNext = () => {
      if (askedBytes >= piece.bytes) return;
      reading.push(heardLater(this.#readSlice(piece, into, askedBytes)));
      askedBytes += sliceBytes;
    };
    try {
      for (let n = 0; n < slicesUnderWayLimit; n++) askForNext();
      for (let at = 0; at < piece.bytes; at += sliceBytes) {
        await reading.shift();
        // The disk fetches the next slices while this thread sums this one.
        askForNext();
        sum.add(into.subarray(at, Math.min(at + sliceBytes, piece.bytes)));
      }
    } catch (error) {
      // Nothing is written to `into` once its owner knows.
      await Promise.allSettled(reading);
      throw SpillError.of(error, "read objects from", this.path);
    }
    if (sum.value() !== piece.crc) {
      throw SpillDamageError.ofPiece(
        this.path,
        piece.offset,
        piece.bytes,
        "does not hold what was written to it",
      );
    }
  }

  async #readSlice(piece: ScratchPiece, into: Uint8Array, first: number): Promise<void> {
    const end = Math.min(first + sliceBytes, piece.bytes);
    for (let at = first; at < end; ) {
      const { bytesRead } = await this.#handle.read(into, at, end - at, piece.offset + at);
      if (bytesRead === 0) {
        const { path } = this;
        throw SpillDamageError.ofPiece(path, piece.offset, piece.bytes, "ends too early");
      }
      at += bytesRead;
    }
  }

  #endRead(offset: number): void {
    const readers = this.#readers.get(offset)! - 1;
    if (readers > 0) {
      this.#readers.set(offset, readers);
      return;
    }
    this.#readers.delete(offset);
    const freed = this.#freedInUse.get(offset);
    this.#freedInUse.delete(offset);
    if (freed !== undefined && this.#removed === undefined) this.#freeNow(freed);
  }

  #freeNow({ offset, bytes }: ScratchPiece): void {
    this.#extents.free(offset, bytes);
    if (this.#room.isShort || this.#extents.tailBytes >= freeTailBytesLimit) this.trim();
    this.#room.freed();
  }

  async #cut(): Promise<void> {
    // First off the books, so that nobody writes there, and off the budget only when the disk has it back.
    const { endBytes } = this.#extents;
    const cutEndBytes = this.#extents.cutTail();
    await this.#handle.truncate(cutEndBytes);
    this.#room.release(endBytes - cutEndBytes);
  }

  async #remove(): Promise<void> {
    this.#room.abort(this.#removedError(), this);
    await Promise.allSettled(this.#underWay);
    try {
      await this.#handle.close();
      await unlink(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
        throw SpillError.of(error, "remove the spill file", this.path);
      }
    }
    this.#onRemoved(this);
    this.#room.release(this.#extents.endBytes);
  }
}

const bytesOf = (part: Uint8Array) => part.byteLength;

function runOf(...parts: readonly Uint8Array[]): Run {
  return { parts, bytes: parts.reduce((sum, part) => sum + part.byteLength, 0) };
}

/** Large parts by themselves, small ones together until they are large. */
function fuse(parts: readonly Uint8Array[]): Run[] {
  const runs: Run[] = [];
  let small: Uint8Array[] = [];
  let smallBytes = 0;
  const flush = () => {
    if (small.length > 0) runs.push({ parts: small, bytes: smallBytes });
    small = [];
    smallBytes = 0;
  };
  for (const part of parts) {
    if (part.byteLength >= fusedBytesLeast) {
      flush();
      runs.push(runOf(part));
      continue;
    }
    small.push(part);
    smallBytes += part.byteLength;
    if (smallBytes >= fusedBytesLeast) flush();
  }
  flush();
  return runs;
}

/** Where each part lies. */
function partOffsets({ runs, offsets }: Claim): number[] {
  return runs.flatMap(({ parts }, n) => {
    let at = offsets[n];
    return parts.map(({ byteLength }) => {
      at += byteLength;
      return at - byteLength;
    });
  });
}

/** The parts, one behind the other, in portions for one system call. */
function* slicesOf(parts: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let slice: Uint8Array[] = [];
  let roomBytes = sliceBytes;
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; ) {
      const piece = part.subarray(at, at + roomBytes);
      slice.push(piece);
      at += piece.byteLength;
      roomBytes -= piece.byteLength;
      if (roomBytes > 0 && slice.length < slicePartsLimit) continue;
      yield slice;
      slice = [];
      roomBytes = sliceBytes;
    }
  }
  if (slice.length > 0) yield slice;
}

/** What is left of the parts when so many bytes of them are done. */
function without(parts: readonly Uint8Array[], doneBytes: number): Uint8Array[] {
  let bytes = doneBytes;
  let n = 0;
  while (n < parts.length && bytes >= parts[n].byteLength) bytes -= parts[n++].byteLength;
  return bytes === 0 ? parts.slice(n) : [parts[n].subarray(bytes), ...parts.slice(n + 1)];
}

/** Sums parts that come one behind the other, cut anyhow. */
class PartSums {
  readonly values: number[] = [];
  readonly #parts: readonly Uint8Array[];
  #sum: Checksum | undefined;
  #leftBytes = 0;

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts;
  }

  /** Bytes of one part, which is not empty. */
  add(bytes: Uint8Array): void {
    if (this.#sum === undefined) {
      this.#leftBytes = this.#parts[this.values.length].byteLength;
      this.#sum = new Checksum(this.#leftBytes);
    }
    this.#sum.add(bytes);
    this.#leftBytes -= bytes.byteLength;
    if (this.#leftBytes > 0) return;
    this.values.push(this.#sum.value());
    this.#sum = undefined;
  }
}

/** Work whose failure is told when its turn comes: the process need not end for it now. */
function heardLater<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}

const othersRan = () => new Promise<void>((resolve) => setImmediate(resolve));
