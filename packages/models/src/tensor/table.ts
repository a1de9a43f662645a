/** The gradient table as the tensor models use it. */
import type { GradientTable } from "../io/dwi.ts";

export interface TensorTable {
  /** s/mm², one per volume; what a b0 volume really has, where its direction is known. */
  readonly bvals: Float64Array;
  /** Unit vectors, 3 per volume; (0,0,0) where b is 0. */
  readonly bvecs: Float64Array;
}

/**
 * Tensor fits use the small weighting of b0 volumes too, and take the length of a vector that is not
 * quite 1 into the b-value: the gradient is b times the vector, as in DIPY.
 */
export function tensorTable(gradients: GradientTable): TensorTable {
  const { bvals, bvecs } = gradients.given ?? gradients;
  const lengths = bvals.map((_, i) =>
    Math.sqrt(bvecs[3 * i] ** 2 + bvecs[3 * i + 1] ** 2 + bvecs[3 * i + 2] ** 2),
  );
  return {
    bvals: bvals.map((b, i) => b * lengths[i]),
    bvecs: bvecs.map((x, j) => {
      const i = Math.floor(j / 3);
      return bvals[i] > 0 && lengths[i] > 0 ? x / lengths[i] : 0;
    }),
  };
}
