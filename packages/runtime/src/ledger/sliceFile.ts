/** Finished rows of a fit, in a file: output after output, each where it stands in the whole. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { OutputField, Range } from "@fascicle/core";
import { outputRowBytes } from "@fascicle/object-store";
import type { Results } from "../fit/results.ts";
import type { Slice } from "./ledgerRecords.ts";
import { ledgerPieceBytes } from "./limits.ts";

export class SliceFile {
  readonly #handle: FileHandle;
  readonly #rowBytes: readonly number[];
  /** Where each output begins. */
  readonly #offsets: number[] = [];
  readonly #results: Results;

  private constructor(
    handle: FileHandle,
    fields: readonly OutputField[],
    voxelCount: number,
    results: Results,
  ) {
    this.#handle = handle;
    this.#rowBytes = fields.map(outputRowBytes);
    this.#results = results;
    let offset = 0;
    for (const rowBytes of this.#rowBytes) {
      this.#offsets.push(offset);
      offset += voxelCount * rowBytes;
    }
  }

  /** Opens the file, which is made if need be, for rows that lie in `results`. */
  static async open(
    path: string,
    fields: readonly OutputField[],
    voxelCount: number,
    results: Results,
  ): Promise<SliceFile> {
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    return new SliceFile(handle, fields, voxelCount, results);
  }

  /** Voxels that make a piece of a good size to write. */
  get pieceVoxels(): number {
    const rowBytes = this.#rowBytes.reduce((sum, bytes) => sum + bytes, 0);
    return Math.max(1, Math.floor(ledgerPieceBytes / rowBytes));
  }

  bytesOf({ start, end }: Range): number {
    return (end - start) * this.#rowBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Writes the rows of these voxels, which change no more. */
  async write({ start, end }: Range): Promise<Slice> {
    let crc = 0;
    for (const [i, rowBytes] of this.#rowBytes.entries()) {
      const rows = await this.#results.rows(i, { start, end });
      crc = crc32(rows, crc);
      const place = this.#offsets[i] + start * rowBytes;
      for (let at = 0; at < rows.length; ) {
        const { bytesWritten } = await this.#handle.write(rows, at, rows.length - at, place + at);
        at += bytesWritten;
      }
    }
    return { start, end, crc };
  }

  /** Reads rows back into the results; false where they are not what was written. */
  async read({ start, end, crc }: Slice): Promise<boolean> {
    let found = 0;
    const parts: Uint8Array[] = [];
    for (const [i, rowBytes] of this.#rowBytes.entries()) {
      const rows = new Uint8Array((end - start) * rowBytes);
      const place = this.#offsets[i] + start * rowBytes;
      for (let at = 0; at < rows.length; ) {
        const { bytesRead } = await this.#handle.read(rows, at, rows.length - at, place + at);
        if (bytesRead === 0) return false;
        at += bytesRead;
      }
      found = crc32(rows, found);
      parts.push(rows);
    }
    if (found !== crc) return false;
    await this.#results.store({ start, end }, parts);
    return true;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
