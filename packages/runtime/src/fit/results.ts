/** Where the results of a fit come to lie: whole in memory, or on disk where they are too large for it. */
import {
  type FittedField,
  type OutputField,
  type OutputView,
  type Range,
  RangeSet,
  type ScratchFile,
  type ScratchPiece,
  type ScratchSpace,
} from "@fascicle/core";
import { outputRowBytes, outputView } from "@fascicle/object-store";
import { UsageError } from "../errors.ts";

export interface Results {
  /** Whole outputs in shared memory, for kernels to write into; undefined where they are on disk. */
  readonly buffers: readonly SharedArrayBuffer[] | undefined;
  /** Takes the rows of these voxels, output after output; they are in place when it is done. */
  store(voxels: Range, parts: readonly Uint8Array[]): Promise<void> | undefined;
  /** The rows of these voxels of one output, all of which must be in place. */
  rows(output: number, voxels: Range): Promise<Uint8Array>;
  /** The fitted values of one output, for the user. */
  field(output: number): FittedField;
  /** Gives its place on disk back; what lies in memory stays the user's. */
  release(): Promise<void>;
}

export class ResultsInMemory implements Results {
  readonly buffers: readonly SharedArrayBuffer[];
  readonly #fields: readonly OutputField[];
  readonly #bytes: readonly Uint8Array[];

  constructor(fields: readonly OutputField[], buffers: readonly SharedArrayBuffer[]) {
    this.#fields = fields;
    this.buffers = buffers;
    this.#bytes = buffers.map((buffer) => new Uint8Array(buffer));
  }

  store({ start }: Range, parts: readonly Uint8Array[]): undefined {
    for (const [i, part] of parts.entries()) {
      this.#bytes[i].set(part, start * outputRowBytes(this.#fields[i]));
    }
  }

  async rows(output: number, { start, end }: Range): Promise<Uint8Array> {
    const rowBytes = outputRowBytes(this.#fields[output]);
    return this.#bytes[output].subarray(start * rowBytes, end * rowBytes);
  }

  field(output: number): FittedField {
    const { width, dtype, units } = this.#fields[output];
    const data = outputView(dtype, this.buffers[output]);
    const read = async (start: number, end: number) => data.subarray(start * width, end * width);
    return { data, read, shape: [data.length / width, width], units };
  }

  async release(): Promise<void> {}
}

/** Rows that were written at once. */
interface Extent extends Range {
  readonly pieces: readonly ScratchPiece[];
}

export class ResultsOnDisk implements Results {
  readonly buffers = undefined;
  readonly #fields: readonly OutputField[];
  readonly #voxelCount: number;
  readonly #scratch: ScratchSpace;
  #file: Promise<ScratchFile> | undefined;
  /** One writing after the other: a second copy of rows is in place when the first is. */
  #lastStore: Promise<void> = Promise.resolve();
  /** Rows that are in the file, or on their way: a second copy of a chunk is not written again. */
  readonly #taken = new RangeSet();
  /** In the order of their voxels, none of which is in two. */
  readonly #extents: Extent[] = [];

  constructor(fields: readonly OutputField[], voxelCount: number, scratch: ScratchSpace) {
    this.#fields = fields;
    this.#voxelCount = voxelCount;
    this.#scratch = scratch;
  }

  store(voxels: Range, parts: readonly Uint8Array[]): Promise<void> {
    this.#lastStore = this.#lastStore.then(() => this.#write(voxels, parts));
    return this.#lastStore;
  }

  async #write(voxels: Range, parts: readonly Uint8Array[]): Promise<void> {
    this.#file ??= Promise.resolve(this.#scratch.create("results"));
    const file = await this.#file;
    const fresh = this.#taken.gaps(voxels);
    this.#taken.add(voxels);
    for (const { start, end } of fresh) {
      const rows = parts.map((part, i) => {
        const rowBytes = outputRowBytes(this.#fields[i]);
        return part.subarray((start - voxels.start) * rowBytes, (end - voxels.start) * rowBytes);
      });
      const extent = { start, end, pieces: await file.write(rows) };
      this.#extents.splice(this.#placeOf(start), 0, extent);
    }
  }

  async rows(output: number, { start, end }: Range): Promise<Uint8Array> {
    const rowBytes = outputRowBytes(this.#fields[output]);
    const rows = new Uint8Array((end - start) * rowBytes);
    const file = await this.#file;
    let voxel = start;
    for (let i = Math.max(0, this.#placeOf(start + 1) - 1); voxel < end; i++) {
      const extent = this.#extents[i];
      if (
        file === undefined ||
        extent === undefined ||
        extent.start > voxel ||
        extent.end <= voxel
      ) {
        throw new Error(`the results of voxel ${voxel} are not there`);
      }
      const piece = new Uint8Array(extent.pieces[output].bytes);
      await file.read(extent.pieces[output], piece);
      const until = Math.min(end, extent.end);
      const from = piece.subarray(
        (voxel - extent.start) * rowBytes,
        (until - extent.start) * rowBytes,
      );
      rows.set(from, (voxel - start) * rowBytes);
      voxel = until;
    }
    return rows;
  }

  field(output: number): FittedField {
    const { width, dtype, units, name } = this.#fields[output];
    const read = async (start: number, end: number): Promise<OutputView> => {
      return outputView(dtype, (await this.rows(output, { start, end })).buffer);
    };
    return {
      get data(): OutputView {
        throw new UsageError(
          `The results of this fit are on disk, because together they are larger than its object memory: read them by \`await maps.${name}.read(start, end)\`, or give fitChunked more objectMemoryBytes.`,
        );
      },
      isOnDisk: true,
      read,
      shape: [this.#voxelCount, width],
      units,
    };
  }

  async release(): Promise<void> {
    // Where it could not be made, the writing says why.
    const file = await this.#file?.catch(() => undefined);
    await file?.remove();
  }

  /** Where an extent that begins at `start` belongs. */
  #placeOf(start: number): number {
    let low = 0;
    let high = this.#extents.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#extents[middle].start < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
