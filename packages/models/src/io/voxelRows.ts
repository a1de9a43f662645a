/** Where the rows of masked voxels go: into shared memory, or to disk where memory may not hold them. */
import type { ScratchSpace, VoxelSignals } from "../signals.ts";
import type { NiftiDtype, NumericView } from "./datatype.ts";
import { exactFloatOf } from "./datatype.ts";
import { TiledMatrix, tileLimits } from "./tiledMatrix.ts";
import type { Allocate } from "./voxelMatrix.ts";
import { VoxelMatrix } from "./voxelMatrix.ts";

export interface RowRoom {
  readonly allocate?: Allocate;
  /** Rows of more bytes than this go to `scratch`. Default: no limit. */
  readonly memoryBytes?: number;
  readonly scratch?: ScratchSpace;
}

export interface RowCollector {
  /**
   * Takes the values from grid index `first` on of the volume that becomes sample `column`; in order.
   * Where it gives back a promise, the next values must wait for it.
   */
  take(column: number, first: number, values: NumericView): Promise<void> | undefined;
  /** The rows, when all values have been taken. */
  finish(): Promise<VoxelSignals>;
  /** Removes what there is on disk. */
  close(): Promise<void>;
}

/** For the values of `voxels` (ascending grid indices) in `width` volumes. */
export async function collectRows(
  grid: readonly [number, number, number],
  voxels: Uint32Array,
  width: number,
  dtype: NiftiDtype,
  room: RowRoom,
): Promise<RowCollector> {
  const { memoryBytes = Number.POSITIVE_INFINITY, scratch } = room;
  const rowBytes = width * (exactFloatOf(dtype) === "float32" ? 4 : 8);
  if (scratch !== undefined && voxels.length * rowBytes > memoryBytes) {
    return await TiledMatrix.create(voxels, width, dtype, scratch, tileLimits(memoryBytes));
  }
  const allocate = room.allocate ?? ((bytes) => new SharedArrayBuffer(bytes));
  const matrix = new VoxelMatrix(grid, voxels, width, dtype, allocate);
  return {
    take(column, first, values) {
      matrix.take(column, first, values);
      return undefined;
    },
    finish: async () => matrix.signals,
    close: async () => undefined,
  };
}
