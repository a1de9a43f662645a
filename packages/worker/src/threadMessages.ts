/** What a pool and its threads say to each other. */
import type { OutputDtype, SignalDtype } from "@fascicle/core";

/** All that a thread needs to fit chunks of a job; everything large in it is shared memory. */
export interface ThreadJob {
  readonly job: string;
  /** URL of the kernel's module. */
  readonly moduleUrl: string;
  readonly kernelName: string;
  readonly parameters: unknown;
  readonly voxelCount: number;
  readonly signals: {
    readonly width: number;
    readonly dtype: SignalDtype;
    readonly voxelsPerSlab: number;
    readonly slabs: readonly SharedArrayBuffer[];
  };
  readonly outputs: readonly { readonly dtype: OutputDtype; readonly buffer: SharedArrayBuffer }[];
  /** Memory of the `ChunkBoard`. */
  readonly board: SharedArrayBuffer;
}

export type ToThread =
  | { readonly type: "open"; readonly job: ThreadJob }
  /** There may be ready chunks. */
  | { readonly type: "go"; readonly job: string }
  | { readonly type: "close"; readonly job: string };

export type FromThread =
  /** Chunks that are done since the last receipt, as consecutive pairs of start and end. */
  | {
      readonly type: "receipt";
      readonly job: string;
      readonly ranges: readonly number[];
      readonly computeSeconds: number;
    }
  /** Found nothing to draw. */
  | { readonly type: "idle"; readonly job: string }
  | { readonly type: "closed"; readonly job: string }
  | {
      readonly type: "failed";
      readonly job: string;
      readonly chunk: number;
      readonly reason: string;
    };
