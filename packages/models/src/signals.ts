/** A number format that signals may be kept in; the narrowest that holds the file's values exactly. */
export type SignalDtype = "float32" | "float64";

/**
 * A matrix of `voxelCount` rows and `width` columns, voxel after voxel, laid in shared memory.
 * Row `v` stands in slab `floor(v / voxelsPerSlab)` at row `v % voxelsPerSlab` of it.
 */
export interface VoxelSignals {
  readonly voxelCount: number;
  /** Volumes, that is samples in each voxel. */
  readonly width: number;
  readonly dtype: SignalDtype;
  readonly voxelsPerSlab: number;
  readonly slabs: readonly SharedArrayBuffer[];
}
