/** Rows that are read out of an uncompressed file, where it has them volume by volume. */
import type { NumericView } from "../io/datatype.ts";
import { decodeInPlace } from "../io/datatype.ts";
import type { NiftiHeader } from "../io/header.ts";
import { rowsIn } from "../io/rowTiles.ts";
import { Turns } from "../io/turns.ts";
import type { OpenedRows, SignalDtype } from "../signals.ts";
import { OriginError } from "./originError.ts";
import type { SameFile } from "./sameFile.ts";

/** Volumes that are read side by side. */
const volumesTogether = 16;
/** Bytes that are read of one volume at once. */
const spanBytes = 256 * 1024;
/** What lies between two voxels is read too, up to so many bytes. */
const gapBytes = 16 * 1024;
/** Values that are put in their place before the clock is looked at. */
const copiedValues = 64 * 1024;

export interface RowsInFile {
  /** The volumes that are columns, in file order. */
  readonly volumes: readonly number[];
  /** Grid index of each row, ascending. */
  readonly voxels: Uint32Array;
  readonly dtype: SignalDtype;
}

/** Voxels `start .. end-1` of the mask, which lie near each other in the grid. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}

export class RowsInPlace implements OpenedRows {
  readonly #file: SameFile;
  readonly #header: NiftiHeader;
  readonly #rows: RowsInFile;

  constructor(file: SameFile, header: NiftiHeader, rows: RowsInFile) {
    this.#file = file;
    this.#header = header;
    this.#rows = rows;
  }

  async read(start: number, end: number, into: Uint8Array): Promise<void> {
    const { volumes, voxels, dtype } = this.#rows;
    const rows = rowsIn(into, dtype, (end - start) * volumes.length);
    if (rows.length === 0) return;
    const { bytes } = this.#header.datatype;
    const room = Math.min(spanBytes, (voxels[end - 1] - voxels[start] + 1) * bytes);
    const buffers = Array.from(
      { length: Math.min(volumesTogether, volumes.length) },
      () => new ArrayBuffer(room),
    );
    const turns = new Turns();
    for (const stretch of stretchesOf(voxels, start, end, bytes)) {
      for (let column = 0; column < volumes.length; column += volumesTogether) {
        const group = volumes.slice(column, column + volumesTogether);
        const columns = await Promise.all(
          group.map((volume, i) => this.#readValues(volume, stretch, buffers[i])),
        );
        turns.begin();
        const to = (stretch.start - start) * volumes.length + column;
        await spread(columns, voxels.subarray(stretch.start, stretch.end), rows, to, {
          width: volumes.length,
          turns,
        });
      }
    }
    await this.#file.confirm();
    if (rows.buffer !== into.buffer) into.set(new Uint8Array(rows.buffer));
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The values of a volume from a stretch's first voxel to its last. */
  async #readValues(volume: number, stretch: Stretch, buffer: ArrayBuffer): Promise<NumericView> {
    const { datatype, littleEndian, voxOffset, shape } = this.#header;
    const { voxels } = this.#rows;
    const first = voxels[stretch.start];
    const count = voxels[stretch.end - 1] - first + 1;
    const gridVoxels = shape[0] * shape[1] * shape[2];
    const offset = voxOffset + (volume * gridVoxels + first) * datatype.bytes;
    const bytes = new Uint8Array(buffer, 0, count * datatype.bytes);
    const { handle, path } = this.#file.input;
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, offset + at);
      if (bytesRead === 0)
        throw new OriginError(`"${path}" was cut on this host while it was read.`);
      at += bytesRead;
    }
    return decodeInPlace(buffer, 0, count, datatype, littleEndian);
  }
}

/** Cuts voxels where much lies between two of them, and where they are more than one read takes. */
function* stretchesOf(
  voxels: Uint32Array,
  start: number,
  end: number,
  bytesPerValue: number,
): Generator<Stretch> {
  const span = spanBytes / bytesPerValue;
  const gap = gapBytes / bytesPerValue;
  for (let first = start; first < end; ) {
    let next = first + 1;
    while (
      next < end &&
      voxels[next] - voxels[next - 1] <= gap &&
      voxels[next] - voxels[first] < span
    ) {
      next++;
    }
    yield { start: first, end: next };
    first = next;
  }
}

/** Column after column of `voxels` into their places in the rows, from `to` on. */
async function spread(
  columns: readonly NumericView[],
  voxels: Uint32Array,
  rows: Float32Array | Float64Array,
  to: number,
  { width, turns }: { readonly width: number; readonly turns: Turns },
): Promise<void> {
  const perPiece = Math.max(1, Math.floor(copiedValues / columns.length));
  for (let first = 0; first < voxels.length; first += perPiece) {
    const end = Math.min(voxels.length, first + perPiece);
    for (const [i, values] of columns.entries()) {
      copyColumn(values, voxels, first, end, rows, to + i, width);
    }
    await turns.pause();
  }
}

function copyColumn(
  values: NumericView,
  voxels: Uint32Array,
  first: number,
  end: number,
  rows: Float32Array | Float64Array,
  to: number,
  width: number,
): void {
  for (let voxel = first; voxel < end; voxel++) {
    rows[to + voxel * width] = values[voxels[voxel] - voxels[0]];
  }
}
