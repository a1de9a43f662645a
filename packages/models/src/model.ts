/**
 * What a model of this package is. It satisfies the runtime's `ChunkedModel` by shape; this package
 * imports nothing of the runtime, so a kernel runs in a thread, a browser or a test alike.
 */
import type { Dwi } from "./io/dwi.ts";
import type { VoxelSignals } from "./signals.ts";

export type { SignalDtype, VoxelSignals } from "./signals.ts";

export type OutputDtype = "float64" | "uint16" | "uint8";
export type OutputView = Float64Array | Uint16Array | Uint8Array;

/** One fitted quantity: `width` numbers for each voxel. */
export interface OutputField {
  readonly name: string;
  readonly width: number;
  readonly dtype: OutputDtype;
  /** The unit of its values, "1" for pure numbers. */
  readonly units: string;
}

/** What makes a kernel: plain objects, numbers, strings, booleans and typed arrays only. */
export interface KernelSpec {
  readonly module: string;
  readonly name: string;
  readonly hash: string;
  readonly parameters: unknown;
}

/** A fit of consecutive voxels; it keeps nothing from one voxel to the next. */
export interface VoxelKernel {
  fit(
    signals: Float32Array | Float64Array,
    first: number,
    count: number,
    out: readonly OutputView[],
    outFirst: number,
  ): void;
}

/** One file that `saveMaps` writes: the output field it comes from and what its sidecar says of it. */
export interface MapFile {
  /** File name without ending, e.g. `csd_sh`. */
  readonly file: string;
  /** Name of the output field. */
  readonly field: string;
  /** One line that says what the values are, for the sidecar. */
  readonly description: string;
}

/** A value that JSON can hold. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** The fitted values of a whole fit, by output field. */
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

/** What `fitChunked` gives back, as far as this package needs it. */
export interface FittedMaps {
  readonly maps: Readonly<Record<string, FittedField>>;
}

/** A model bound to its data; `Extras` is what a fit of it can do beyond its maps (predict, odf). */
export interface DwiModel<Extras extends object = object> {
  /** `csd`, `freewater` or `dti`: also the prefix of its files. */
  readonly name: string;
  readonly dwi: Dwi;
  readonly signals: VoxelSignals;
  readonly outputs: readonly OutputField[];
  readonly kernel: KernelSpec;
  /** The options as resolved (defaults filled in, response estimated, shell chosen), for sidecars and receipt. */
  readonly options: { readonly [key: string]: Json };
  /** Sentences for the user about odd but workable input. */
  readonly warnings: readonly string[];
  readonly files: readonly MapFile[];
  /** What the model adds to the result of its fit. */
  extend(fit: FittedMaps): Extras;
}

/** How a voxel ended; the numbers stand in the status map. */
export const VoxelStatus = {
  fitted: 0,
  notConverged: 1,
  notFinite: 2,
  noSignal: 3,
  singular: 4,
  crashed: 6,
  timedOut: 7,
  outside: 255,
} as const;

/** Wrong input: the message says what, where and what to do. The command exits with 2. */
export class InputError extends Error {
  readonly code = "INPUT";
  override readonly name = "InputError";
}
