/** A number format that signals may be kept in; the narrowest that holds the file's values exactly. */
export type SignalDtype = "float32" | "float64";

/** Rows that are not in memory. */
export interface RowSource {
  /** Copies the rows `[start, end)` into `into`, which has exactly their bytes. Throws where they are not what was stored. */
  read(start: number, end: number, into: Uint8Array): PromiseLike<void>;
}

/** A file that a host which shares its file system can read the rows from by itself. */
export interface VolumeOrigin {
  /** Module specifier of a `VolumeModule`. */
  readonly module: string;
  /** Plain values and typed arrays: where the file is, what tells it from any other, and which rows are meant. */
  readonly parameters: unknown;
}

/** Rows that are read from a file, until it is closed. */
export interface OpenedRows extends RowSource {
  close(): PromiseLike<void>;
}

/** The module that a `VolumeOrigin` names exports this. */
export interface VolumeModule {
  /**
   * Opens the rows on this host. Throws, with the reason, where the file is not there or not the same (size,
   * modification time, digest): the rows then come from the driver.
   */
  openRows(
    parameters: unknown,
    room: { readonly scratch: ScratchSpace; readonly memoryBytes: number },
  ): PromiseLike<OpenedRows>;
}

/**
 * A matrix of `voxelCount` rows and `width` columns, voxel after voxel. In shared memory row `v` stands in slab
 * `floor(v / voxelsPerSlab)` at row `v % voxelsPerSlab` of it; where `slabs` is empty, the rows are with `source`.
 */
export interface VoxelSignals {
  readonly voxelCount: number;
  /** Samples in each voxel. */
  readonly width: number;
  readonly dtype: SignalDtype;
  readonly voxelsPerSlab: number;
  readonly slabs: readonly SharedArrayBuffer[];
  readonly source?: RowSource | undefined;
  readonly origin?: VolumeOrigin | undefined;
}

/** Bytes in a scratch file, and what they must be. */
export interface ScratchPiece {
  readonly offset: number;
  readonly bytes: number;
  /** A whole number below 2^48, which means something in this process alone. */
  readonly crc: number;
}

/** A file on disk for what does not fit in memory. */
export interface ScratchFile {
  /**
   * Writes these, one behind the other, in one go; resolves with where each lies. While there is no room on disk it
   * waits; it throws where that cannot end, or the disk fails.
   */
  write(parts: readonly Uint8Array[]): PromiseLike<ScratchPiece[]>;
  /** Fills `into` (`piece.bytes` long). Throws where the bytes are not those that were written. */
  read(piece: ScratchPiece, into: Uint8Array): PromiseLike<void>;
  /** The bytes are wanted no more: others may have their place. */
  free(piece: ScratchPiece): void;
  /** Closes and removes it. */
  remove(): PromiseLike<void>;
}

/** Room on disk, within its limits. */
export interface ScratchSpace {
  /** All files together never have more bytes; without it the disk alone decides. */
  readonly limitBytes?: number | undefined;
  create(name: string): PromiseLike<ScratchFile>;
}
