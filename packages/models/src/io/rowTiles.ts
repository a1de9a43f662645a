/** A matrix of voxels on disk, in tiles that hold some columns of a block of consecutive rows. */
import type { RowSource, ScratchFile } from "../signals.ts";
import type { NiftiDtype, NumericView } from "./datatype.ts";
import { allocateDecoded, exactFloatOf } from "./datatype.ts";
import { Turns } from "./turns.ts";

export interface TileLayout {
  readonly voxelCount: number;
  readonly width: number;
  /** Values lie on disk as the volume has them, and become floats when they are read. */
  readonly dtype: NiftiDtype;
  /** Rows of a tile; the last ones may have fewer. */
  readonly tileVoxels: number;
  /** Columns of a tile; the last ones may have fewer. */
  readonly tileColumns: number;
}

/** Values that are spread over rows before the clock is looked at. */
const spreadValues = 64 * 1024;

/**
 * The rows, once every tile has been written. A read takes every tile that has some of its rows, whole: whole blocks
 * are read without waste, and single rows with much.
 */
export class RowTiles implements RowSource {
  readonly layout: TileLayout;
  /** Blocks of rows. */
  readonly blockCount: number;
  readonly #file: ScratchFile;
  readonly #bytesPerValue: number;
  /** Where each tile lies and what its checksum is: those of the first columns first. */
  readonly #offsets: Float64Array;
  readonly #crcs: Float64Array;
  #removing: PromiseLike<void> | undefined;

  constructor(layout: TileLayout, file: ScratchFile) {
    this.layout = layout;
    this.blockCount = Math.ceil(layout.voxelCount / layout.tileVoxels);
    this.#file = file;
    this.#bytesPerValue = allocateDecoded(layout.dtype, 0).BYTES_PER_ELEMENT;
    const count = this.blockCount * Math.ceil(layout.width / layout.tileColumns);
    this.#offsets = new Float64Array(count);
    this.#crcs = new Float64Array(count);
  }

  /** Rows of a block. */
  rowsOf(block: number): number {
    const { voxelCount, tileVoxels } = this.layout;
    return Math.min(tileVoxels, voxelCount - block * tileVoxels);
  }

  /** Writes the tiles of consecutive blocks, from `firstBlock` on, that begin with column `firstColumn`. */
  async write(firstColumn: number, firstBlock: number, tiles: readonly Uint8Array[]) {
    const first = (firstColumn / this.layout.tileColumns) * this.blockCount + firstBlock;
    for (const [i, { offset, crc }] of (await this.#file.write(tiles)).entries()) {
      this.#offsets[first + i] = offset;
      this.#crcs[first + i] = crc;
    }
  }

  async read(start: number, end: number, into: Uint8Array): Promise<void> {
    const { width, dtype, tileVoxels, tileColumns } = this.layout;
    const rows = rowsIn(into, exactFloatOf(dtype), (end - start) * width);
    if (rows.length === 0) return;
    const room = () =>
      allocateDecoded(dtype, Math.min(tileVoxels, this.layout.voxelCount) * tileColumns);
    const buffers = [room(), room()];
    const tiles = [...this.#tilesOf(start, end)];
    const turns = new Turns();
    let next = this.#readTile(tiles[0], buffers[0]);
    for (const [i, tile] of tiles.entries()) {
      const values = await next;
      // The next one is on its way while this one is spread out.
      if (i + 1 < tiles.length) {
        next = this.#readTile(tiles[i + 1], buffers[(i + 1) % 2]);
        next.catch(() => undefined);
      }
      turns.begin();
      await spread(values, tile, { rows, first: start, end, width }, turns);
    }
    if (rows.buffer !== into.buffer) into.set(new Uint8Array(rows.buffer));
  }

  /** Removes the file, once. */
  async close(): Promise<void> {
    this.#removing ??= this.#file.remove();
    await this.#removing;
  }

  *#tilesOf(start: number, end: number): Generator<Tile> {
    const { width, tileVoxels, tileColumns } = this.layout;
    const endBlock = Math.ceil(end / tileVoxels);
    for (let block = Math.floor(start / tileVoxels); block < endBlock; block++) {
      for (let column = 0; column < width; column += tileColumns) {
        yield {
          index: (column / tileColumns) * this.blockCount + block,
          firstVoxel: block * tileVoxels,
          voxels: this.rowsOf(block),
          firstColumn: column,
          columns: Math.min(tileColumns, width - column),
        };
      }
    }
  }

  async #readTile(tile: Tile, buffer: NumericView): Promise<NumericView> {
    const bytes = tile.voxels * tile.columns * this.#bytesPerValue;
    const piece = { offset: this.#offsets[tile.index], bytes, crc: this.#crcs[tile.index] };
    await this.#file.read(piece, new Uint8Array(buffer.buffer, 0, bytes));
    return buffer;
  }
}

interface Tile {
  readonly index: number;
  readonly firstVoxel: number;
  readonly voxels: number;
  readonly firstColumn: number;
  readonly columns: number;
}

interface RowRange {
  readonly rows: Float32Array | Float64Array;
  /** The voxels of the rows. */
  readonly first: number;
  readonly end: number;
  readonly width: number;
}

/** `count` floats that lie in `into`; elsewhere where no float array can begin there. */
export function rowsIn(
  into: Uint8Array,
  dtype: "float32" | "float64",
  count: number,
): Float32Array | Float64Array {
  const bytesPerValue = dtype === "float32" ? 4 : 8;
  if (into.byteLength !== count * bytesPerValue) {
    throw new RangeError(
      `The rows have ${count * bytesPerValue} bytes; there is room for ${into.byteLength}.`,
    );
  }
  const fits = into.byteOffset % bytesPerValue === 0;
  const buffer = fits ? into.buffer : new ArrayBuffer(into.byteLength);
  const offset = fits ? into.byteOffset : 0;
  return dtype === "float32"
    ? new Float32Array(buffer, offset, count)
    : new Float64Array(buffer, offset, count);
}

/** Copies what a tile has of the rows to its columns of them. */
async function spread(values: NumericView, tile: Tile, range: RowRange, turns: Turns) {
  const { rows, width } = range;
  const first = Math.max(range.first, tile.firstVoxel);
  const end = Math.min(range.end, tile.firstVoxel + tile.voxels);
  const perPiece = Math.max(1, Math.floor(spreadValues / tile.columns));
  for (let voxel = first; voxel < end; voxel += perPiece) {
    const to = (voxel - range.first) * width + tile.firstColumn;
    const from = (voxel - tile.firstVoxel) * tile.columns;
    copyRows(values, from, tile.columns, rows, to, width, Math.min(perPiece, end - voxel));
    await turns.pause();
  }
}

function copyRows(
  values: NumericView,
  from: number,
  columns: number,
  rows: Float32Array | Float64Array,
  to: number,
  width: number,
  count: number,
): void {
  for (let row = 0; row < count; row++) {
    const source = from + row * columns;
    const target = to + row * width;
    for (let column = 0; column < columns; column++) {
      rows[target + column] = values[source + column];
    }
  }
}
