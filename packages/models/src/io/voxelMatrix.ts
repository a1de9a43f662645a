/** The matrix of masked voxels in shared memory, filled from volumes that come one after the other. */
import type { SignalDtype, VoxelSignals } from "../model.ts";
import type { NiftiDtype, NumericView } from "./datatype.ts";
import { allocateDecoded, exactFloatOf } from "./datatype.ts";

const maxSlabBytes = 1024 * 1024 * 1024;
const blockBytes = 8 * 1024 * 1024;
/** 32 float32 samples of a voxel are two cache lines; more did not make it faster. */
const maxBatchVolumes = 32;
const maxBatchBytes = 48 * 1024 * 1024;

export type Allocate = (bytes: number) => SharedArrayBuffer;

/** Voxels in each slab: whole blocks of 8 MiB where it takes more than one slab of at most 1 GiB. */
export function voxelsPerSlab(voxelCount: number, rowBytes: number): number {
  if (voxelCount * rowBytes <= maxSlabBytes) return voxelCount;
  const perBlock = Math.max(1, Math.floor(blockBytes / rowBytes));
  return Math.max(1, Math.floor(maxSlabBytes / rowBytes / perBlock)) * perBlock;
}

/**
 * Turns volumes into voxels: masked values of several volumes are batched in the file's own type, and
 * then written row by row, so that each row is touched once per batch and not once per volume.
 */
export class VoxelMatrix {
  readonly signals: VoxelSignals;
  /** Smallest scaled value above zero so far; Infinity before there is one. */
  minPositive = Infinity;
  readonly #voxels: Uint32Array;
  readonly #scale: { readonly slope: number; readonly intercept: number };
  readonly #rows: readonly (Float32Array | Float64Array)[];
  readonly #batch: NumericView;
  readonly #batchVolumes: number;
  #column = 0;
  /** Masked voxels of the present column that have been taken. */
  #taken = 0;

  constructor(
    voxels: Uint32Array,
    width: number,
    dtype: NiftiDtype,
    scale: { readonly slope: number; readonly intercept: number },
    allocate: Allocate,
  ) {
    this.#voxels = voxels;
    this.#scale = scale;
    this.signals = allocateSignals(voxels.length, width, exactFloatOf(dtype), allocate);
    const { slabs } = this.signals;
    this.#rows = slabs.map((slab) =>
      this.signals.dtype === "float32" ? new Float32Array(slab) : new Float64Array(slab),
    );
    const columnBytes = voxels.length * allocateDecoded(dtype, 0).BYTES_PER_ELEMENT;
    const affordable = Math.floor(maxBatchBytes / columnBytes);
    this.#batchVolumes = Math.max(1, Math.min(maxBatchVolumes, affordable, width));
    this.#batch = allocateDecoded(dtype, voxels.length * this.#batchVolumes);
  }

  /** Takes the values from grid index `first` on of the volume that becomes sample `column`; in order. */
  take(column: number, first: number, values: NumericView): void {
    // What lies behind the last masked voxel of a volume.
    if (column === this.#column - 1) return;
    if (column !== this.#column) throw new Error(`Volume ${column} came before ${this.#column}.`);
    const voxels = this.#voxels;
    const offset = (column % this.#batchVolumes) * voxels.length;
    const taken = gather(voxels, this.#taken, first, values, this.#batch, offset);
    this.#taken = taken;
    if (taken < voxels.length) return;
    this.#taken = 0;
    this.#column++;
    const { width } = this.signals;
    if (this.#column % this.#batchVolumes === 0 || this.#column === width) this.#writeRows();
  }

  #writeRows(): void {
    const { width, voxelCount, voxelsPerSlab } = this.signals;
    const firstColumn = Math.floor((this.#column - 1) / this.#batchVolumes) * this.#batchVolumes;
    for (const [slab, rows] of this.#rows.entries()) {
      const firstVoxel = slab * voxelsPerSlab;
      const count = Math.min(voxelsPerSlab, voxelCount - firstVoxel);
      const block = {
        batch: this.#batch,
        stride: voxelCount,
        columns: this.#column - firstColumn,
        firstVoxel,
        count,
      };
      const least = transpose(block, rows, width, firstColumn, this.#scale);
      if (least < this.minPositive) this.minPositive = least;
    }
  }
}

function allocateSignals(
  voxelCount: number,
  width: number,
  dtype: SignalDtype,
  allocate: Allocate,
): VoxelSignals {
  const rowBytes = width * (dtype === "float32" ? 4 : 8);
  const perSlab = voxelsPerSlab(voxelCount, rowBytes);
  const slabs: SharedArrayBuffer[] = [];
  for (let first = 0; first < voxelCount; first += perSlab) {
    slabs.push(allocate(Math.min(perSlab, voxelCount - first) * rowBytes));
  }
  return { voxelCount, width, dtype, voxelsPerSlab: perSlab, slabs };
}

/** Copies the masked ones of `values`; gives back how many masked voxels of the volume are now taken. */
function gather(
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

/** Writes a batch into its columns of the rows; gives back the smallest scaled value above zero. */
function transpose(
  block: {
    readonly batch: NumericView;
    readonly stride: number;
    readonly columns: number;
    readonly firstVoxel: number;
    readonly count: number;
  },
  rows: Float32Array | Float64Array,
  width: number,
  firstColumn: number,
  scale: { readonly slope: number; readonly intercept: number },
): number {
  const { batch, stride, columns, firstVoxel, count } = block;
  const { slope, intercept } = scale;
  let least = Infinity;
  for (let voxel = 0; voxel < count; voxel++) {
    const to = voxel * width + firstColumn;
    let from = firstVoxel + voxel;
    for (let column = 0; column < columns; column++, from += stride) {
      const raw = batch[from];
      rows[to + column] = raw;
      const signal = slope * raw + intercept;
      if (signal > 0 && signal < least) least = signal;
    }
  }
  return least;
}
