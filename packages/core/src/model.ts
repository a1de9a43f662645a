/**
 * The shape of a model that can be fitted in chunks. The runtime needs no more of a model than this,
 * and a package of models satisfies it by shape alone: it imports nothing from here.
 */

/** A number format that signals may be kept in; the narrowest that holds the file's values exactly. */
export type SignalDtype = "float32" | "float64";

/** A number format of a fitted value. */
export type OutputDtype = "float64" | "uint16" | "uint8";

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
    /** An `AbortSignal`: nobody wants the rows any more. */
    signal?: { readonly aborted: boolean },
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

/** One fitted quantity: `width` numbers for each voxel. */
export interface OutputField {
  readonly name: string;
  readonly width: number;
  readonly dtype: OutputDtype;
  /** The unit of its values, "1" for pure numbers. */
  readonly units: string;
}

/** Typed arrays of the outputs, in the order of the model's `outputs`; row `v` at `v * width`. */
export type OutputView = Float64Array | Uint16Array | Uint8Array;

/**
 * What a kernel is made of, as it travels to threads and hosts. `parameters` holds plain objects,
 * numbers, strings, booleans and typed arrays only (structured clone and MessagePack both carry it).
 */
export interface KernelSpec {
  /** Module specifier (or file URL, embedded engines only) whose `createKernel(name, parameters)` makes it. */
  readonly module: string;
  readonly name: string;
  /** Hash of the kernel's code: a host whose own differs is refused for this fit. */
  readonly hash: string;
  readonly parameters: unknown;
}

/** A fit of consecutive voxels. It keeps nothing from one voxel to the next. */
export interface VoxelKernel {
  /**
   * Fits voxels `first .. first+count-1` of `signals` (a whole slab) and writes their answers to rows
   * `outFirst ..` of each array of `out`. Every output row is written, whatever the signal.
   */
  fit(
    signals: Float32Array | Float64Array,
    first: number,
    count: number,
    out: readonly OutputView[],
    outFirst: number,
  ): void;
}

/** The module that a `KernelSpec` names exports this. */
export interface KernelModule {
  createKernel(name: string, parameters: unknown): VoxelKernel;
  /** Hash of the code of all kernels in the module. */
  kernelHash(): string;
}

/** A model bound to its data. */
export interface ChunkedModel {
  readonly name: string;
  readonly signals: VoxelSignals;
  /** The outputs; the one named `status` (uint8, width 1) says how each voxel ended. */
  readonly outputs: readonly OutputField[];
  readonly kernel: KernelSpec;
  /** What the model adds to the result of its fit (predict and the like). */
  extend?(fit: FittedMaps): object;
}

/** The fitted values of one output of a whole fit. */
export interface FittedField {
  /** All values; throws where they lie on disk. */
  readonly data: OutputView;
  /** They are larger than the memory that they may take. */
  readonly isOnDisk?: boolean;
  /** `[voxels, width]`. */
  readonly shape: readonly [number, number];
  readonly units: string;
  /** The rows `[start, end)`, wherever they lie; valid until the next call. */
  read?(start: number, end: number): PromiseLike<OutputView>;
}

/** Fitted values by output name. */
export interface FittedMaps {
  readonly maps: Readonly<Record<string, FittedField>>;
}

/** How a voxel ended. */
export const VoxelStatus = {
  fitted: 0,
  notConverged: 1,
  notFinite: 2,
  noSignal: 3,
  singular: 4,
  crashed: 6,
  timedOut: 7,
  /** Outside the mask; in the written map alone. */
  outside: 255,
} as const;
