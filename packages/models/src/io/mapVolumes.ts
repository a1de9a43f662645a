/** The volumes of a map, put together from the rows of a fit, be they in memory or on disk. */
import type { FittedField, OutputView } from "../model.ts";
import { allocateDecoded } from "./datatype.ts";
import { Turns } from "./turns.ts";
import type { WrittenArray, WrittenDtype } from "./writeNifti.ts";

/** Rows on disk are read in runs of about this size. */
const readBytes = 4 * 1024 * 1024;
/** Of 8 bytes each, as most outputs have them. */
const valuesOfCacheLine = 8;
/** Values that are put in their place before the clock is looked at. */
const scatteredValues = 64 * 1024;

export interface MapLayout {
  readonly dtype: WrittenDtype;
  readonly gridVoxels: number;
  /** Grid index of each row. */
  readonly voxels: Uint32Array;
  /** The value outside the mask. */
  readonly outside: number;
  /** For volumes that are put together at the same time; one at least is. */
  readonly memoryBytes: number;
  readonly signal?: AbortSignal;
}

/**
 * Volume after volume; each is overwritten once the next ones are asked for. Several are put together at a time, so
 * that rows on disk are read less often, and rows in memory come to the processor less often: as many as memory
 * holds of the former, and of the latter as many as a cache line has values.
 */
export async function* mapVolumes(
  fitted: FittedField,
  layout: MapLayout,
): AsyncGenerator<WrittenArray> {
  const width = fitted.shape[1];
  const first = emptyVolume(layout);
  const affordable = Math.floor(layout.memoryBytes / first.byteLength);
  const wanted = fitted.isOnDisk ? width : Math.min(width, valuesOfCacheLine);
  const count = Math.max(1, Math.min(wanted, affordable));
  const volumes = [first, ...Array.from({ length: count - 1 }, () => emptyVolume(layout))];
  for (let column = 0; column < width; column += count) {
    const filled = volumes.slice(0, width - column);
    await fillVolumes(fitted, column, layout, filled);
    yield* filled;
  }
}

/** Puts the values from `column` on of every row in their places. */
async function fillVolumes(
  fitted: FittedField,
  column: number,
  { voxels, signal }: MapLayout,
  volumes: readonly WrittenArray[],
): Promise<void> {
  const width = fitted.shape[1];
  const rowsPerRead = Math.max(1, Math.floor(readBytes / 8 / width));
  const rowsPerPiece = Math.max(1, Math.floor(scatteredValues / width));
  const turns = new Turns();
  for (let start = 0; start < voxels.length; start += rowsPerRead) {
    const end = Math.min(voxels.length, start + rowsPerRead);
    const rows = await readRows(fitted, start, end);
    signal?.throwIfAborted();
    turns.begin();
    for (let row = start; row < end; row += rowsPerPiece) {
      const until = Math.min(end, row + rowsPerPiece);
      const piece = rows.subarray((row - start) * width, (until - start) * width);
      for (const [i, volume] of volumes.entries()) {
        scatter(piece, width, column + i, voxels.subarray(row, until), volume);
      }
      await turns.pause();
    }
  }
}

async function readRows(fitted: FittedField, start: number, end: number): Promise<OutputView> {
  const width = fitted.shape[1];
  if (!fitted.isOnDisk) return fitted.data.subarray(start * width, end * width);
  const rows = await fitted.read!(start, end);
  const expected = (end - start) * fitted.shape[1];
  if (rows.length === expected) return rows;
  throw new Error(
    `The rows ${start} to ${end} of a fit hold ${rows.length} values, not ${expected}.`,
  );
}

function emptyVolume({ dtype, gridVoxels, outside }: MapLayout): WrittenArray {
  return allocateDecoded(dtype, gridVoxels).fill(outside);
}

/** Value `column` of each row to its voxel's place in the grid. */
function scatter(
  rows: OutputView,
  width: number,
  column: number,
  voxels: Uint32Array,
  volume: WrittenArray,
): void {
  for (let voxel = 0, from = column; voxel < voxels.length; voxel++, from += width) {
    const value = rows[from];
    volume[voxels[voxel]] = Number.isNaN(value) ? Number.NaN : value;
  }
}
