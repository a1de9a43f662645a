/** An input file, opened: its size, whether it is gzip, and its bytes as a stream. */
import type { Hash } from "node:crypto";
import { constants as fileConstants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import type { ZlibOptions } from "node:zlib";
import { constants, createGunzip } from "node:zlib";
import { InputError } from "../model.ts";

const plainPieceBytes = 1024 * 1024;
const gzipPieceBytes = 512 * 1024;
/** Compressed pieces in memory: some wait for the inflating thread, so that it need not wait for this one. */
const gzipPieces = 4;
const inflatedPieceBytes = 1024 * 1024;
/** Inflated bytes that may wait, so that inflating goes on while a piece is scattered. */
const inflatedWaitingBytes = 4 * inflatedPieceBytes;

export interface InputFile {
  readonly role: string;
  readonly path: string;
  /** Begins the sentence of an error: `The dwi file "x.nii.gz"`. */
  readonly subject: string;
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  /** Modification time in nanoseconds since 1970, decimal. */
  readonly mtimeNs: string;
  /** By its first two bytes, not by its name. */
  readonly gzip: boolean;
}

export interface ReadOptions {
  /** Takes every byte on disk; only for streams that are read to their end. */
  readonly hash?: Hash;
  readonly signal?: AbortSignal;
  /** Hears of bytes read from disk. */
  readonly onBytes?: (count: number) => void;
}

/** Opens a regular file, or throws an InputError that says why not. */
export async function openInput(path: string, role: string): Promise<InputFile> {
  const subject = `The ${role} file "${path}"`;
  let handle: FileHandle | undefined;
  try {
    // A pipe would keep an ordinary open waiting for who writes to it.
    handle = await open(path, fileConstants.O_RDONLY | (fileConstants.O_NONBLOCK ?? 0));
    const stat = await handle.stat({ bigint: true });
    if (stat.isDirectory()) throw new InputError(`${subject} is a directory; give a file.`);
    if (!stat.isFile()) {
      throw new InputError(`${subject} is not a regular file; save its content to a file first.`);
    }
    const magic = Buffer.alloc(2);
    const { bytesRead } = await handle.read(magic, 0, 2, 0);
    const gzip = bytesRead === 2 && magic[0] === 0x1f && magic[1] === 0x8b;
    const sizeBytes = Number(stat.size);
    return { role, path, subject, handle, sizeBytes, mtimeNs: String(stat.mtimeNs), gzip };
  } catch (error) {
    await handle?.close();
    throw readError(error, subject);
  }
}

/** An InputError in place of a file system error. */
export function readError(error: unknown, subject: string): unknown {
  if (!(error instanceof Error) || error instanceof InputError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) return error;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new InputError(`${subject} does not exist; check the path.`);
  }
  if (code === "EACCES" || code === "EPERM") {
    return new InputError(`${subject} cannot be read: permission denied; check its access rights.`);
  }
  if (code === "EISDIR") return new InputError(`${subject} is a directory; give a file.`);
  return new InputError(`${subject} cannot be read (${code}); check the file and its disk.`);
}

/**
 * The content of a file from its first byte, inflated where it is gzip. A piece is valid until the
 * next one is asked for. Damage found on the way is an InputError.
 */
export function readContent(file: InputFile, options: ReadOptions = {}): AsyncGenerator<Buffer> {
  return file.gzip ? inflate(file, options) : readRange(file, 0, Infinity, options);
}

/** The buffers that reading goes through in turn, two at least. */
export type ReadPieces = readonly Buffer[];

export function allocatePieces(file: InputFile): ReadPieces {
  const [count, bytes] = file.gzip ? [gzipPieces, gzipPieceBytes] : [2, plainPieceBytes];
  return Array.from({ length: count }, () => Buffer.allocUnsafe(bytes));
}

/**
 * The bytes on disk from `start` up to `end` or the end of the file, read one piece ahead: of n buffers, n - 1 hold
 * the latest pieces.
 */
export async function* readRange(
  file: InputFile,
  start: number,
  end: number,
  options: ReadOptions = {},
  pieces: ReadPieces = allocatePieces(file),
): AsyncGenerator<Buffer> {
  const pieceBytes = pieces[0].length;
  const read = (index: number, position: number) => {
    const room = Math.min(pieceBytes, end - position);
    const reading = file.handle.read(pieces[index], 0, room, position);
    // It may fail while the piece before it is still at work; it is awaited only then.
    reading.catch(() => undefined);
    return reading;
  };
  let position = start;
  let current = 0;
  let pending = position < end ? read(current, position) : undefined;
  try {
    while (pending !== undefined) {
      const { bytesRead } = await pending;
      pending = undefined;
      options.signal?.throwIfAborted();
      if (bytesRead === 0) return;
      const piece = pieces[current].subarray(0, bytesRead);
      position += bytesRead;
      current = (current + 1) % pieces.length;
      if (position < end) pending = read(current, position);
      options.hash?.update(piece);
      options.onBytes?.(bytesRead);
      yield piece;
    }
  } catch (error) {
    throw readError(error, file.subject);
  } finally {
    // A read that is under way must end before its buffer or its file goes.
    await pending?.catch(() => undefined);
  }
}

async function* inflate(file: InputFile, options: ReadOptions): AsyncGenerator<Buffer> {
  const settings: ZlibOptions & { readableHighWaterMark: number } = {
    chunkSize: inflatedPieceBytes,
    readableHighWaterMark: inflatedWaitingBytes,
  };
  const gunzip = createGunzip(settings);
  const state = { ended: false, closed: new Promise<void>((done) => gunzip.once("close", done)) };
  const feeding = feed();
  try {
    for await (const piece of gunzip as AsyncIterable<Buffer>) {
      options.signal?.throwIfAborted();
      yield piece;
    }
    state.ended = true;
    gunzip.destroy();
    await feeding;
  } catch (error) {
    throw inflateError(error, file);
  } finally {
    gunzip.destroy();
    await feeding;
  }

  async function feed(): Promise<void> {
    const { hash, ...rest } = options;
    /** Pieces that the inflating thread has not taken yet, oldest first. */
    const waiting: Promise<void>[] = [];
    try {
      for await (const piece of readRange(file, 0, Infinity, rest)) {
        if (!gunzip.destroyed) {
          waiting.push(new Promise((taken) => gunzip.write(piece, () => taken())));
        } else if (!state.ended) return;
        // While the piece is inflated. Behind the gzip data stand zeros for padding: part of the digest alone.
        hash?.update(piece);
        if (waiting.length > gzipPieces - 2) await Promise.race([waiting.shift(), state.closed]);
      }
      if (!gunzip.destroyed) gunzip.end();
    } catch (error) {
      gunzip.destroy(error as Error);
    }
  }
}

function inflateError(error: unknown, file: InputFile): unknown {
  const errno = (error as { errno?: number }).errno;
  const code = (error as NodeJS.ErrnoException).code;
  if (typeof code !== "string" || !code.startsWith("Z_")) return error;
  if (errno === constants.Z_BUF_ERROR) {
    return new InputError(
      `${file.subject} is cut short: its gzip data end too early; copy or download it again.`,
    );
  }
  const message = (error as Error).message;
  // The file does begin with the gzip magic, so it is a later member that does not.
  if (message === "incorrect header check") {
    return new InputError(
      `${file.subject} has bytes behind its gzip data that do not belong there; copy or download it again.`,
    );
  }
  return new InputError(
    `${file.subject} is damaged: its gzip data are corrupt (${message}); copy or download it again.`,
  );
}

/** The first bytes of a file's content, `count` of them or fewer where the file is shorter. */
export async function readStart(
  file: InputFile,
  count: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const piece of readContent(file, { signal })) {
    parts.push(Buffer.from(piece.subarray(0, count - length)));
    length += parts[parts.length - 1].length;
    if (length === count) break;
  }
  return Buffer.concat(parts);
}

/** The name that sidecars and receipts give a file: without its directory, which differs between hosts. */
export function inputName(file: InputFile): string {
  return basename(file.path);
}
