/** The matrix of masked voxels in shared memory, filled from volumes that come one after the other. */
import type { SignalDtype, VoxelSignals } from "../model.ts";
import type { NiftiDtype, NumericView } from "./datatype.ts";
import { allocateDecoded, exactFloatOf } from "./datatype.ts";

/** How much memory goes to one slab, one block of the transfer between hosts, and the batches. */
export interface MatrixLimits {
  readonly slabBytes: number;
  readonly blockBytes: number;
  /** For all batches together. */
  readonly batchBytes: number;
}

const mebibyte = 1024 * 1024;
const defaultLimits: MatrixLimits = {
  slabBytes: 1024 * mebibyte,
  blockBytes: 8 * mebibyte,
  batchBytes: 64 * mebibyte,
};
/** 32 float32 samples of a voxel are two cache lines; more did not make it faster. */
const maxBatchVolumes = 32;
/** Below this, one large batch is better than two small ones. */
const minBatchVolumes = 8;

export type Allocate = (bytes: number) => SharedArrayBuffer;

/** Voxels in each slab: whole blocks where it takes more than one slab. */
export function voxelsPerSlab(
  voxelCount: number,
  rowBytes: number,
  { slabBytes, blockBytes }: MatrixLimits = defaultLimits,
): number {
  if (voxelCount * rowBytes <= slabBytes) return voxelCount;
  const perBlock = Math.max(1, Math.floor(blockBytes / rowBytes));
  return Math.max(1, Math.floor(slabBytes / rowBytes / perBlock)) * perBlock;
}

/** Masked values of consecutive volumes, volume after volume, in the type of the file. */
interface Batch {
  readonly values: NumericView;
  firstColumn: number;
  columns: number;
  /** The first voxel whose row has not got its columns yet. */
  nextVoxel: number;
}

/**
 * Turns volumes into voxels: masked values of several volumes are batched, and then written row by
 * row, so that each row is touched once per batch and not once per volume. While one batch fills, the
 * rows of the one before are written little by little, so that inflating goes on beside it.
 */
export class VoxelMatrix {
  readonly signals: VoxelSignals;
  readonly #voxels: Uint32Array;
  readonly #rows: readonly (Float32Array | Float64Array)[];
  readonly #batchVolumes: number;
  /** Rows to write for each value that comes in, a little more than it takes to keep up. */
  readonly #rowsPerValue: number;
  #filling: Batch;
  #writing: Batch;
  #column = 0;
  /** Masked voxels of the present column that have been taken. */
  #taken = 0;

  constructor(
    grid: readonly [number, number, number],
    voxels: Uint32Array,
    width: number,
    dtype: NiftiDtype,
    allocate: Allocate,
    limits: MatrixLimits = defaultLimits,
  ) {
    this.#voxels = voxels;
    this.signals = allocateSignals(voxels.length, width, exactFloatOf(dtype), allocate, limits);
    this.#rows = this.signals.slabs.map((slab) =>
      this.signals.dtype === "float32" ? new Float32Array(slab) : new Float64Array(slab),
    );
    const columnBytes = voxels.length * allocateDecoded(dtype, 0).BYTES_PER_ELEMENT;
    const affordable = Math.floor(limits.batchBytes / columnBytes);
    const alternate = affordable >= 2 * minBatchVolumes;
    const columns = alternate ? Math.floor(affordable / 2) : affordable;
    this.#batchVolumes = Math.max(1, Math.min(maxBatchVolumes, columns, width));
    const batchValues = grid[0] * grid[1] * grid[2] * this.#batchVolumes;
    this.#rowsPerValue = (1.1 * voxels.length) / batchValues;
    const batch = () => ({
      values: allocateDecoded(dtype, voxels.length * this.#batchVolumes),
      firstColumn: 0,
      columns: 0,
      nextVoxel: voxels.length,
    });
    this.#filling = batch();
    this.#writing = alternate ? batch() : this.#filling;
  }

  /** Takes the values from grid index `first` on of the volume that becomes sample `column`; in order. */
  take(column: number, first: number, values: NumericView): void {
    this.#writeRows(Math.ceil(values.length * this.#rowsPerValue));
    // What lies behind the last masked voxel of a volume.
    if (column === this.#column - 1) return;
    if (column !== this.#column) throw new Error(`Volume ${column} came before ${this.#column}.`);
    const voxels = this.#voxels;
    const batch = this.#filling;
    const offset = (column - batch.firstColumn) * voxels.length;
    this.#taken = gather(voxels, this.#taken, first, values, batch.values, offset);
    if (this.#taken < voxels.length) return;
    this.#taken = 0;
    this.#column++;
    batch.columns++;
    const isLast = this.#column === this.signals.width;
    if (batch.columns === this.#batchVolumes || isLast) this.#swap();
    if (isLast) this.#writeRows(voxels.length);
  }

  /** The full batch is to be written; the other one, once written, takes the next columns. */
  #swap(): void {
    const { voxelCount } = this.signals;
    this.#writeRows(voxelCount);
    const full = this.#filling;
    const next = this.#writing;
    full.nextVoxel = 0;
    this.#writing = full;
    if (next === full) this.#writeRows(voxelCount);
    next.firstColumn = this.#column;
    next.columns = 0;
    this.#filling = next;
  }

  /** Writes the columns of the waiting batch into its next rows, `count` of them at most. */
  #writeRows(count: number): void {
    const { voxelCount, voxelsPerSlab, width } = this.signals;
    const batch = this.#writing;
    const end = Math.min(voxelCount, batch.nextVoxel + count);
    while (batch.nextVoxel < end) {
      const slab = Math.floor(batch.nextVoxel / voxelsPerSlab);
      const rows = Math.min(end, (slab + 1) * voxelsPerSlab) - batch.nextVoxel;
      const row = batch.nextVoxel - slab * voxelsPerSlab;
      transpose(batch, voxelCount, rows, this.#rows[slab], row, width);
      batch.nextVoxel += rows;
    }
  }
}

function allocateSignals(
  voxelCount: number,
  width: number,
  dtype: SignalDtype,
  allocate: Allocate,
  limits: MatrixLimits,
): VoxelSignals {
  const rowBytes = width * (dtype === "float32" ? 4 : 8);
  const perSlab = voxelsPerSlab(voxelCount, rowBytes, limits);
  const slabs: SharedArrayBuffer[] = [];
  for (let first = 0; first < voxelCount; first += perSlab) {
    slabs.push(allocate(Math.min(perSlab, voxelCount - first) * rowBytes));
  }
  return { voxelCount, width, dtype, voxelsPerSlab: perSlab, slabs };
}

/** Copies the masked ones of `values`; gives back how many masked voxels of the volume are now taken. */
export function gather(
  voxels: Uint32Array,
  taken: number,
  first: number,
  values: NumericView,
  batch: NumericView,
  offset: number,
): number {
  const end = first + values.length;
  let next = taken;
  while (next < voxels.length && voxels[next] < end) {
    batch[offset + next] = values[voxels[next] - first];
    next++;
  }
  return next;
}

/** Writes a batch into its columns of `count` rows. */
function transpose(
  batch: Batch,
  stride: number,
  count: number,
  rows: Float32Array | Float64Array,
  firstRow: number,
  width: number,
): void {
  const { values, columns, nextVoxel, firstColumn } = batch;
  for (let voxel = 0; voxel < count; voxel++) {
    const to = (firstRow + voxel) * width + firstColumn;
    let from = nextVoxel + voxel;
    for (let column = 0; column < columns; column++, from += stride) {
      rows[to + column] = values[from];
    }
  }
}
