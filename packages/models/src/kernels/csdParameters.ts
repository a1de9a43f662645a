/** What decides the answers of constrained spherical deconvolution beside the signals. */

import type { CsdPrecision } from "./csdFunctions.ts";

/** How the coefficients are ordered: the same functions, m and -m exchanged. */
export type ShBasis = "descoteaux07" | "mrtrix3";

export interface CsdParameters {
  /** The arithmetic of the iterations; float64 by default. */
  readonly precision?: CsdPrecision;
  /** Samples in each row of the signals. */
  readonly width: number;
  /** The diffusion-weighted samples that are fitted, as indices into a row. */
  readonly volumes: Int32Array;
  /** Their directions, 3 numbers each. */
  readonly directions: Float64Array;
  readonly slope: number;
  readonly intercept: number;
  /** Even, 0 to 16. */
  readonly shOrder: number;
  readonly shBasis: ShBasis;
  /** Rotational harmonics of the response for l = 0, 2, ..., shOrder, in units of the signal. */
  readonly responseHarmonics: Float64Array;
  /** Weight of the constraint; 1 is the usual. */
  readonly lambda: number;
  /** Amplitudes below this share of the mean count as too small. */
  readonly tau: number;
  /** Most iterations in a voxel, 1 to 65535. */
  readonly iterations: number;
  /** Directions in which amplitudes are watched, 3 numbers each; the 181 of symmetric362 by default. */
  readonly regularisation?: Float64Array;
}
