/**
 * The functions of the free-water model on arrays over a voxel's samples, laid out as tensorLayout.ts says.
 *
 * The model is m = tissueS0 t + waterS0 w: t is the tissue's decay, e to the row of the design times a tensor,
 * and 0 for padding; w is the decay of free water. Signals are finite and 0 for padding.
 */
import type { TensorFunctions } from "./tensorLayout.ts";

export interface FreeWaterFunctions extends TensorFunctions {
  /**
   * sums = the design times samples² ln rest, 7 numbers, where rest is what waterS0 w leaves of the samples, and
   * `floor` (1e-300 at least) where that is not above 0 or is subnormal.
   */
  sumTissueLogs(
    design: number,
    samples: number,
    water: number,
    waterS0: number,
    floor: number,
    places: number,
    sums: number,
    table: number,
  ): void;
  /** The sum of squares that waterS0 w and a trial (six tensor elements, ln tissueS0) leave of the samples. */
  trialCost(
    design: number,
    trial: number,
    samples: number,
    water: number,
    waterS0: number,
    places: number,
    table: number,
  ): number;
  /** tissue = t for a tensor; sums = t't, t'w, t'signal. */
  takeDecay(
    design: number,
    tensor: number,
    water: number,
    signal: number,
    places: number,
    tissue: number,
    sums: number,
    table: number,
  ): void;
  /** The sum of squares of the residuals r = m - signal. */
  sumSquares(
    tissue: number,
    water: number,
    signal: number,
    tissueS0: number,
    waterS0: number,
    places: number,
  ): number;
  /**
   * With u = tissueS0 t: curvatures = u (u + r), pulls = u r, mixed = u w. From these come the derivatives of
   * half the sum of squares: by the tensor and twice by the tensor, by tensor and tissueS0, tensor and waterS0.
   */
  takeCurvature(
    tissue: number,
    water: number,
    signal: number,
    tissueS0: number,
    waterS0: number,
    places: number,
    curvatures: number,
    pulls: number,
    mixed: number,
  ): void;
}
