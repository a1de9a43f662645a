/** What a careful process and whoever started it say to each other. Structured clone carries it. */
import type { OutputField, SignalDtype } from "@fascicle/core";

export interface CarefulSpec {
  readonly moduleUrl: string;
  readonly kernelName: string;
  readonly parameters: unknown;
  readonly width: number;
  readonly dtype: SignalDtype;
  readonly outputs: readonly OutputField[];
}

export type ToCareful =
  | { readonly type: "open"; readonly spec: CarefulSpec }
  /** Signals of consecutive voxels, row after row. */
  | { readonly type: "fit"; readonly signals: Uint8Array };

export type FromCareful =
  | { readonly type: "opened" }
  | { readonly type: "failed"; readonly reason: string }
  /** The values of the next voxel of the batch, output after output. */
  | { readonly type: "fitted"; readonly values: Uint8Array }
  /** The kernel threw on the next voxel of the batch. */
  | { readonly type: "threw"; readonly reason: string };
