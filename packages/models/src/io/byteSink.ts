/** Where the bytes of a written file go: as they are, or through gzip on all cores. */
import type { FileHandle } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

const blockBytes = 1024 * 1024;
/** Enough that the cores have work while the next volumes are put together. */
const blocksInFlight = Math.max(16, 2 * availableParallelism());
/** Magic, deflate, no flags, no time, no extra flags, unknown system: nothing that differs between hosts. */
const gzipHeader = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);

const deflateBlock = promisify<Uint8Array, object, Buffer>(deflateRaw);

export interface ByteSink {
  /** The bytes may be overwritten once the promise is fulfilled. */
  write(bytes: Uint8Array): Promise<void>;
  /** Writes what is left; the file stays open. */
  end(): Promise<void>;
}

/** How a file is deflated. */
export interface Deflation {
  readonly level: number;
  readonly strategy: number;
}

/**
 * Chosen by measuring. In floating-point maps of real fits nothing repeats but the zeros outside the
 * mask: looking for runs and coding bytes by frequency gives files as small as level 9 does, four
 * times as fast (and smaller ones than level 1, twice as fast).
 */
export const floatDeflation: Deflation = { level: 6, strategy: constants.Z_RLE };
/** Integers do repeat: level 6 gives two thirds of level 4's size on iteration counts. */
export const integerDeflation: Deflation = { level: 6, strategy: constants.Z_DEFAULT_STRATEGY };

export class PlainSink implements ByteSink {
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal | undefined;

  constructor(handle: FileHandle, signal?: AbortSignal) {
    this.#handle = handle;
    this.#signal = signal;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#signal?.throwIfAborted();
    await writeFully(this.#handle, bytes);
  }

  async end(): Promise<void> {
    this.#signal?.throwIfAborted();
  }
}

/**
 * One gzip member (RFC 1952) whose deflate stream is made of blocks of 1 MiB that the thread pool
 * compresses side by side. Each but the last ends with a full flush, that is on a byte boundary and
 * with an empty window, so the blocks simply follow each other. One member, because some readers
 * (browser viewers among them) stop behind the first.
 */
export class GzipSink implements ByteSink {
  readonly #handle: FileHandle;
  readonly #deflation: Deflation;
  readonly #signal: AbortSignal | undefined;
  readonly #spare: Buffer[] = [];
  /** Blocks under way, oldest first. */
  readonly #pending: Promise<Buffer>[] = [];
  #block: Buffer = Buffer.allocUnsafe(blockBytes);
  #filled = 0;
  #crc = 0;
  #sizeBytes = 0;
  #begun = false;

  constructor(handle: FileHandle, deflation: Deflation, signal?: AbortSignal) {
    this.#handle = handle;
    this.#deflation = deflation;
    this.#signal = signal;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      // A full block waits until more comes: only the last one may finish the stream.
      if (this.#filled === blockBytes) await this.#dispatch(constants.Z_FULL_FLUSH);
      const count = Math.min(blockBytes - this.#filled, bytes.length - at);
      this.#block.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
    }
  }

  async end(): Promise<void> {
    await this.#dispatch(constants.Z_FINISH);
    while (this.#pending.length > 0) await this.#writeOldest();
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.#crc, 0);
    trailer.writeUInt32LE(this.#sizeBytes % 2 ** 32, 4);
    await writeFully(this.#handle, trailer);
  }

  async #dispatch(finishFlush: number): Promise<void> {
    this.#signal?.throwIfAborted();
    if (this.#pending.length >= blocksInFlight) await this.#writeOldest();
    const block = this.#block;
    const content = block.subarray(0, this.#filled);
    this.#crc = crc32(content, this.#crc);
    this.#sizeBytes += this.#filled;
    const settings = { ...this.#deflation, finishFlush, chunkSize: blockBytes + 64 * 1024 };
    const deflated = deflateBlock(content, settings).finally(() => this.#spare.push(block));
    // An earlier block may fail first; this one's failure must not count as unhandled then.
    deflated.catch(() => undefined);
    this.#pending.push(deflated);
    this.#block = this.#spare.pop() ?? Buffer.allocUnsafe(blockBytes);
    this.#filled = 0;
  }

  async #writeOldest(): Promise<void> {
    const deflated = await this.#pending.shift()!;
    if (!this.#begun) await writeFully(this.#handle, gzipHeader);
    this.#begun = true;
    await writeFully(this.#handle, deflated);
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
  }
}
