/** A NIfTI file that is read volume by volume, decoded piece by piece. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { InputError } from "../model.ts";
import { abortable } from "./abortable.ts";
import type { NumericView } from "./datatype.ts";
import { decodeInPlace } from "./datatype.ts";
import type { NiftiHeader } from "./header.ts";
import { dataBytesOf, maxHeaderBytes, parseHeader } from "./header.ts";
import type { InputFile, ReadOptions } from "./inputFile.ts";
import { allocatePieces, readContent, readRange, readStart } from "./inputFile.ts";

/** Deflate makes at most 1032 bytes of one. */
const maxInflation = 1032;
const pieceValues = 128 * 1024;
/** After so many bytes the event loop has its turn: the thread that inflates gets its next piece from it. */
const sliceBytes = 256 * 1024;

export interface VolumeSelection {
  /** 1 for each volume to deliver, in file order. */
  readonly wanted: Uint8Array;
  /** Whether to stop behind the last wanted volume; else the file is read (and hashed) to its end. */
  readonly stopEarly: boolean;
}

/**
 * Takes `values`, which lie at grid index `first` and on (x fastest) of volume `volume`. The array is
 * overwritten once the call returns. Where it gives back a promise, it takes the next ones when that is
 * fulfilled.
 */
export type PieceSink = (
  volume: number,
  first: number,
  values: NumericView,
) => Promise<void> | undefined;

/** Reads the header and checks that the file can be as long as it says, before anything is allocated. */
export async function openVolumes(file: InputFile, signal?: AbortSignal): Promise<NiftiHeader> {
  const header = parseHeader(await readStart(file, maxHeaderBytes, signal), file.subject);
  const promised = header.voxOffset + dataBytesOf(header);
  if (file.gzip ? file.sizeBytes * maxInflation < promised : file.sizeBytes < promised) {
    throw tooShort(file, promised, file.gzip ? undefined : file.sizeBytes);
  }
  return header;
}

function tooShort(file: InputFile, promised: number, found: number | undefined): InputError {
  const has = found === undefined ? "" : ` and it has ${found}`;
  return new InputError(
    `${file.subject} is cut short: its header promises ${promised} bytes${has}; copy or download it again.`,
  );
}

/**
 * Delivers the wanted volumes in file order, each in pieces of ascending grid index. Gives back the
 * bytes that follow the last volume (0 where reading stopped early).
 */
export async function readVolumes(
  file: InputFile,
  header: NiftiHeader,
  selection: VolumeSelection,
  sink: PieceSink,
  options: ReadOptions = {},
): Promise<number> {
  const assembler = new PieceAssembler(header, selection.wanted, sink);
  if (selection.stopEarly && !file.gzip) {
    await readWantedRanges(file, header, selection.wanted, assembler, options);
    return 0;
  }
  const last = selection.wanted.lastIndexOf(1);
  let toSkip = header.voxOffset;
  for await (const piece of readContent(file, options)) {
    const skipped = Math.min(toSkip, piece.length);
    toSkip -= skipped;
    for (let at = skipped; at < piece.length; at += sliceBytes) {
      await takeWhole(assembler, piece.subarray(at, at + sliceBytes), options.signal);
      await nextTurn();
    }
    if (selection.stopEarly && assembler.volume > last) return 0;
  }
  if (!assembler.complete) {
    throw tooShort(
      file,
      header.voxOffset + dataBytesOf(header),
      header.voxOffset - toSkip + assembler.takenBytes,
    );
  }
  return assembler.surplusBytes;
}

/** An uncompressed file needs no reading between the volumes that are wanted. */
async function readWantedRanges(
  file: InputFile,
  header: NiftiHeader,
  wanted: Uint8Array,
  assembler: PieceAssembler,
  options: ReadOptions,
): Promise<void> {
  const volumeBytes = dataBytesOf(header) / wanted.length;
  const pieces = allocatePieces(file);
  for (let volume = 0; volume < wanted.length; volume++) {
    if (wanted[volume] === 0) continue;
    const start = header.voxOffset + volume * volumeBytes;
    assembler.volume = volume;
    for await (const piece of readRange(file, start, start + volumeBytes, options, pieces)) {
      await takeWhole(assembler, piece, options.signal);
    }
    if (assembler.volume === volume) {
      throw tooShort(file, header.voxOffset + dataBytesOf(header), undefined);
    }
  }
}

/** A sink without promises costs nothing here. */
function takeWhole(
  assembler: PieceAssembler,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> | undefined {
  const used = assembler.take(bytes);
  if (assembler.waiting === undefined) return undefined;
  return abortable(assembler.waiting, signal).then(() =>
    takeWhole(assembler, bytes.subarray(used), signal),
  );
}

/** Cuts a stream of bytes, however it is chopped, into decoded pieces of one volume each. */
class PieceAssembler {
  /** The volume that the next byte belongs to. */
  volume = 0;
  takenBytes = 0;
  /** What the next bytes must wait for. */
  waiting: Promise<void> | undefined;
  surplusBytes = 0;
  readonly #header: NiftiHeader;
  readonly #wanted: Uint8Array;
  readonly #sink: PieceSink;
  readonly #volumeBytes: number;
  readonly #storage: ArrayBuffer;
  readonly #bytes: Uint8Array;
  #filled = 0;
  /** Bytes of the volume that have been delivered or skipped. */
  #position = 0;

  constructor(header: NiftiHeader, wanted: Uint8Array, sink: PieceSink) {
    this.#header = header;
    this.#wanted = wanted;
    this.#sink = sink;
    this.#volumeBytes = dataBytesOf(header) / wanted.length;
    this.#storage = new ArrayBuffer(
      Math.min(pieceValues * 8, Math.ceil(this.#volumeBytes / 8) * 8),
    );
    this.#bytes = new Uint8Array(this.#storage);
  }

  get complete(): boolean {
    return this.volume >= this.#wanted.length;
  }

  /** Gives back how many were used: all, but where the sink lets the others wait. */
  take(bytes: Uint8Array): number {
    let at = 0;
    this.waiting = undefined;
    while (at < bytes.length && !this.complete && this.waiting === undefined) {
      const left = this.#volumeBytes - this.#position - this.#filled;
      const count = Math.min(left, bytes.length - at);
      const used = this.#use(bytes.subarray(at, at + count), count === left);
      at += used;
      this.takenBytes += used;
      if (this.#position === this.#volumeBytes) {
        this.volume++;
        this.#position = 0;
      }
    }
    if (this.waiting !== undefined) return at;
    this.surplusBytes += bytes.length - at;
    return bytes.length;
  }

  /** Skips, delivers or stores bytes of the present volume, its last ones if `isEnd`; says how many. */
  #use(bytes: Uint8Array, isEnd: boolean): number {
    const itemBytes = this.#header.datatype.bytes;
    if (this.#wanted[this.volume] !== 1) {
      this.#position += bytes.length;
      return bytes.length;
    }
    const whole = bytes.length - (bytes.length % itemBytes);
    if (this.#filled === 0 && whole > 0 && bytes.byteOffset % itemBytes === 0) {
      this.#deliver(bytes.buffer, bytes.byteOffset, whole);
      return whole;
    }
    // A value is split between two pieces, or the piece does not lie where a typed array may begin.
    const missing = itemBytes - this.#filled;
    const isSplit =
      missing < itemBytes && missing > 0 && (bytes.byteOffset + missing) % itemBytes === 0;
    const room = isSplit ? missing : this.#bytes.length - this.#filled;
    const count = Math.min(bytes.length, room);
    this.#bytes.set(bytes.subarray(0, count), this.#filled);
    this.#filled += count;
    if (count === room || (isEnd && count === bytes.length)) {
      this.#deliver(this.#storage, 0, this.#filled);
      this.#filled = 0;
    }
    return count;
  }

  #deliver(storage: ArrayBufferLike, offset: number, length: number): void {
    const { datatype, littleEndian } = this.#header;
    const count = length / datatype.bytes;
    const values = decodeInPlace(storage, offset, count, datatype, littleEndian);
    const waiting = this.#sink(this.volume, this.#position / datatype.bytes, values);
    if (waiting !== undefined) this.waiting = waiting;
    this.#position += length;
  }
}
