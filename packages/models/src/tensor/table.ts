/** The gradient table as the tensor models use it. */
import type { GradientTable } from "../io/dwi.ts";

export interface TensorTable {
  /** s/mm², one per volume; what a b0 volume really has, where its direction is known. */
  readonly bvals: Float64Array;
  /** 3 per volume, as given: lengths within 1 % of 1 are kept, since b v v' is what DIPY weighs with. */
  readonly bvecs: Float64Array;
}

/** Tensor fits use the small weighting of b0 volumes too, where the data say what it is. */
export function tensorTable(gradients: GradientTable): TensorTable {
  return gradients.given ?? gradients;
}
