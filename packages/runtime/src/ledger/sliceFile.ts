/** Finished rows of a fit, in a file: output after output, each where it stands in the whole. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { OutputField, Range } from "@fascicle/core";
import { outputRowBytes } from "@fascicle/object-store";
import type { Slice } from "./ledgerRecords.ts";
import { ledgerPieceBytes } from "./limits.ts";

export class SliceFile {
  readonly #handle: FileHandle;
  readonly #rowBytes: readonly number[];
  /** Where each output begins. */
  readonly #offsets: number[] = [];
  readonly #outputs: readonly SharedArrayBuffer[];

  private constructor(
    handle: FileHandle,
    fields: readonly OutputField[],
    voxelCount: number,
    outputs: readonly SharedArrayBuffer[],
  ) {
    this.#handle = handle;
    this.#rowBytes = fields.map(outputRowBytes);
    this.#outputs = outputs;
    let offset = 0;
    for (const rowBytes of this.#rowBytes) {
      this.#offsets.push(offset);
      offset += voxelCount * rowBytes;
    }
  }

  /** Opens the file, which is made if need be. `outputs` are the whole outputs of the fit, in memory. */
  static async open(
    path: string,
    fields: readonly OutputField[],
    voxelCount: number,
    outputs: readonly SharedArrayBuffer[],
  ): Promise<SliceFile> {
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    return new SliceFile(handle, fields, voxelCount, outputs);
  }

  /** Voxels that make a piece of a good size to write. */
  get pieceVoxels(): number {
    const rowBytes = this.#rowBytes.reduce((sum, bytes) => sum + bytes, 0);
    return Math.max(1, Math.floor(ledgerPieceBytes / rowBytes));
  }

  bytesOf({ start, end }: Range): number {
    return (end - start) * this.#rowBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Writes the rows of these voxels as they stand in memory, where they change no more. */
  async write({ start, end }: Range): Promise<Slice> {
    let crc = 0;
    for (const [i, rowBytes] of this.#rowBytes.entries()) {
      const rows = this.#rows(i, start, end);
      crc = crc32(rows, crc);
      const place = this.#offsets[i] + start * rowBytes;
      for (let at = 0; at < rows.length; ) {
        const { bytesWritten } = await this.#handle.write(rows, at, rows.length - at, place + at);
        at += bytesWritten;
      }
    }
    return { start, end, crc };
  }

  /** Reads rows back to their place in memory; false where they are not what was written. */
  async read({ start, end, crc }: Slice): Promise<boolean> {
    let found = 0;
    for (const [i, rowBytes] of this.#rowBytes.entries()) {
      const rows = this.#rows(i, start, end);
      const place = this.#offsets[i] + start * rowBytes;
      for (let at = 0; at < rows.length; ) {
        const { bytesRead } = await this.#handle.read(rows, at, rows.length - at, place + at);
        if (bytesRead === 0) return false;
        at += bytesRead;
      }
      found = crc32(rows, found);
    }
    return found === crc;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #rows(output: number, start: number, end: number): Uint8Array {
    const rowBytes = this.#rowBytes[output];
    return new Uint8Array(this.#outputs[output], start * rowBytes, (end - start) * rowBytes);
  }
}
