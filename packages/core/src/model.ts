/**
 * The shape of a model that can be fitted in chunks. The runtime needs no more of a model than this,
 * and a package of models satisfies it by shape alone: it imports nothing from here.
 */

/** A number format that signals may be kept in; the narrowest that holds the file's values exactly. */
export type SignalDtype = "float32" | "float64";

/** A number format of a fitted value. */
export type OutputDtype = "float64" | "uint16" | "uint8";

/**
 * A matrix of `voxelCount` rows and `width` columns, voxel after voxel, laid in shared memory.
 * Row `v` stands in slab `floor(v / voxelsPerSlab)` at row `v % voxelsPerSlab` of it.
 */
export interface VoxelSignals {
  readonly voxelCount: number;
  /** Samples in each voxel. */
  readonly width: number;
  readonly dtype: SignalDtype;
  readonly voxelsPerSlab: number;
  readonly slabs: readonly SharedArrayBuffer[];
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
  readonly data: OutputView;
  /** `[voxels, width]`. */
  readonly shape: readonly [number, number];
  readonly units: string;
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
