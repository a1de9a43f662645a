/** The matrix of masked voxels on disk, filled from volumes that come one after the other. */
import { InputError } from "../model.ts";
import type { ScratchSpace, VoxelSignals } from "../signals.ts";
import type { NiftiDtype, NumericView } from "./datatype.ts";
import { allocateDecoded, exactFloatOf } from "./datatype.ts";
import { RowTiles } from "./rowTiles.ts";
import { Turns } from "./turns.ts";
import { gather } from "./voxelMatrix.ts";

export interface TileLimits {
  /** For one batch of columns; there are two. */
  readonly batchBytes: number;
  /** Rows of a tile have at most this many bytes in memory: those of one block of the transfer between hosts. */
  readonly blockBytes: number;
  /** About so much is written in one go, while as much is put together. */
  readonly writeBytes: number;
}

const mebibyte = 1024 * 1024;
/** Fewer columns at a time would make the pieces on disk too small to be read fast. */
const minBatchBytes = 4 * mebibyte;

const blockBytes = 8 * mebibyte;
const writeBytes = 2 * mebibyte;

/** Half of the memory that the rows may take is for writing them. */
export function tileLimits(memoryBytes: number): TileLimits {
  const batchBytes = Math.max(minBatchBytes, (memoryBytes / 2 - 2 * writeBytes) / 2);
  return { batchBytes, blockBytes, writeBytes };
}

/** Masked values of consecutive volumes, volume after volume. */
interface Batch {
  readonly values: NumericView;
  firstColumn: number;
}

/**
 * Masked values of as many volumes as memory holds are batched, turned into tiles of rows and written;
 * while one batch is written the next one fills, if there is memory for two. Memory is that of the
 * limits, but one column at least.
 */
export class TiledMatrix {
  readonly #tiles: RowTiles;
  readonly #voxels: Uint32Array;
  #batches: readonly Batch[];
  /** What is on its way to the disk, and what is put together meanwhile. */
  #parcels: readonly NumericView[];
  #filling: Batch;
  #column = 0;
  /** Masked voxels of the present column that have been taken. */
  #taken = 0;
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** Makes the file. `voxels`: ascending grid indices. Throws InputError where the scratch space can never hold them. */
  static async create(
    voxels: Uint32Array,
    width: number,
    dtype: NiftiDtype,
    scratch: ScratchSpace,
    limits: TileLimits,
  ): Promise<TiledMatrix> {
    const bytesPerValue = allocateDecoded(dtype, 0).BYTES_PER_ELEMENT;
    const columnBytes = voxels.length * bytesPerValue;
    checkLimit(width * columnBytes, scratch.limitBytes);
    const tileColumns = Math.max(1, Math.min(width, Math.floor(limits.batchBytes / columnBytes)));
    const rowBytes = width * (exactFloatOf(dtype) === "float32" ? 4 : 8);
    const tileVoxels = Math.max(1, Math.floor(limits.blockBytes / rowBytes));
    const layout = { voxelCount: voxels.length, width, dtype, tileVoxels, tileColumns };
    const isTwice = tileColumns < width && columnBytes <= limits.batchBytes;
    const file = await scratch.create("signals");
    try {
      const tiles = new RowTiles(layout, file);
      return new TiledMatrix(tiles, voxels, isTwice ? 2 : 1, limits.writeBytes);
    } catch (error) {
      // Where there is no memory for the batches.
      await file.remove();
      throw error;
    }
  }

  private constructor(
    tiles: RowTiles,
    voxels: Uint32Array,
    batchCount: number,
    writeBytes: number,
  ) {
    const { dtype, tileColumns, tileVoxels } = tiles.layout;
    this.#tiles = tiles;
    this.#voxels = voxels;
    const room = () => allocateDecoded(dtype, voxels.length * tileColumns);
    this.#batches = Array.from({ length: batchCount }, () => ({ values: room(), firstColumn: 0 }));
    this.#filling = this.#batches[0];
    const tileValues = Math.min(tileVoxels, voxels.length) * tileColumns;
    const bytesPerValue = this.#filling.values.BYTES_PER_ELEMENT;
    const together = Math.max(1, Math.floor(writeBytes / bytesPerValue / tileValues));
    const parcel = () => allocateDecoded(dtype, tileValues * Math.min(together, tiles.blockCount));
    this.#parcels = [parcel(), parcel()];
  }

  /**
   * Takes the values from grid index `first` on of the volume that becomes sample `column`; in order.
   * Where it gives back a promise, the next values must wait for it.
   */
  take(column: number, first: number, values: NumericView): Promise<void> | undefined {
    // What lies behind the last masked voxel of a volume.
    if (column === this.#column - 1) return undefined;
    if (column !== this.#column) throw new Error(`Volume ${column} came before ${this.#column}.`);
    const { width, tileColumns } = this.#tiles.layout;
    const voxels = this.#voxels;
    const offset = (column - this.#filling.firstColumn) * voxels.length;
    this.#taken = gather(voxels, this.#taken, first, values, this.#filling.values, offset);
    if (this.#taken < voxels.length) return undefined;
    this.#taken = 0;
    this.#column++;
    const isFull = this.#column % tileColumns === 0 || this.#column === width;
    return isFull ? this.#swap() : undefined;
  }

  /** The rows, when all is on disk. */
  async finish(): Promise<VoxelSignals> {
    await this.#writing;
    // The rows may be wanted for long, and these no more.
    this.#batches = [];
    this.#parcels = [];
    this.#filling = { values: new Uint8Array(0), firstColumn: 0 };
    const { voxelCount, width, dtype } = this.#tiles.layout;
    return {
      ...{ voxelCount, width, dtype: exactFloatOf(dtype) },
      voxelsPerSlab: voxelCount,
      slabs: [],
      source: this.#tiles,
    };
  }

  /** Removes the file; what is on its way there has nowhere to go then. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#tiles.close();
  }

  /** The full batch goes to the disk; resolves when there is one to fill. */
  async #swap(): Promise<void> {
    const full = this.#filling;
    const earlier = this.#writing;
    this.#writing = earlier.then(() => this.#write(full));
    // It may fail before anybody waits for it.
    this.#writing.catch(() => undefined);
    await (this.#batches.length === 1 ? this.#writing : earlier);
    this.#filling = this.#batches.find((batch) => batch !== full) ?? full;
    this.#filling.firstColumn = this.#column;
  }

  async #write({ values, firstColumn }: Batch): Promise<void> {
    const { voxelCount, width, tileColumns, tileVoxels } = this.#tiles.layout;
    const columns = Math.min(tileColumns, width - firstColumn);
    const tileValues = Math.min(tileVoxels, voxelCount) * columns;
    const turns = new Turns();
    let written = Promise.resolve();
    try {
      for (let block = 0, parcelIndex = 0; block < this.#tiles.blockCount; parcelIndex ^= 1) {
        const parcel = this.#parcels[parcelIndex];
        const first = block;
        const parts: Uint8Array[] = [];
        for (
          let at = 0;
          block < this.#tiles.blockCount && at + tileValues <= parcel.length;
          block++
        ) {
          const rows = this.#tiles.rowsOf(block);
          const start = block * tileVoxels;
          await transpose(values, voxelCount, start, rows, columns, parcel.subarray(at), turns);
          const { BYTES_PER_ELEMENT: bytes, buffer } = parcel;
          parts.push(new Uint8Array(buffer, at * bytes, rows * columns * bytes));
          at += rows * columns;
        }
        await written;
        if (this.#isClosed) return;
        written = this.#tiles.write(firstColumn, first, parts);
        written.catch(() => undefined);
        turns.begin();
      }
    } finally {
      // The buffers are free when nothing reads them.
      await written;
    }
  }
}

/** Nothing of the file is freed before the fit has ended: waiting for room could have no end. */
function checkLimit(neededBytes: number, limitBytes = Number.POSITIVE_INFINITY): void {
  if (neededBytes <= limitBytes) return;
  const needed = sizeInWords(neededBytes);
  const limit = sizeInWords(limitBytes);
  throw new InputError(
    `The signals need ${needed} on disk and may take ${limit}: raise the limit (--spill-limit), or fit fewer voxels (a smaller mask) or volumes.`,
  );
}

/** What is needed and what there is may differ by little. */
function sizeInWords(bytes: number): string {
  if (bytes < mebibyte) return `${bytes} bytes`;
  return `${(bytes / mebibyte).toFixed(1)} MiB`;
}

/** Values of a tile that are put in their place before the clock is looked at. */
const transposedValues = 64 * 1024;

/** Rows `start .. start+count-1` of a batch, row after row, to the beginning of `tile`. */
async function transpose(
  batch: NumericView,
  stride: number,
  start: number,
  count: number,
  columns: number,
  tile: NumericView,
  turns: Turns,
): Promise<void> {
  const perPiece = Math.max(1, Math.floor(transposedValues / columns));
  for (let first = 0; first < count; first += perPiece) {
    const end = Math.min(count, first + perPiece);
    for (let row = first; row < end; row++) {
      let from = start + row;
      for (let column = 0; column < columns; column++, from += stride) {
        tile[row * columns + column] = batch[from];
      }
    }
    await turns.pause();
  }
}
