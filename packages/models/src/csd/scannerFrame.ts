/** From the frame of FSL's bvecs files to that of the scanner. */
import { InputError } from "../model.ts";

/**
 * Directions in the scanner's frame, 3 numbers each. FSL's convention: bvecs follow the image axes,
 * with x mirrored where the affine (4x4 by rows) has a positive determinant. Only the affine's
 * rotation counts, not its voxel size. Lengths are kept. Throws InputError on a singular affine.
 */
export function toScannerFrame(directions: Float64Array, affine: ArrayLike<number>): Float64Array {
  const columns = [0, 1, 2].map((j) => {
    const column = [affine[j], affine[4 + j], affine[8 + j]];
    const size = Math.sqrt(column[0] * column[0] + column[1] * column[1] + column[2] * column[2]);
    return column.map((value) => value / size);
  });
  const [u, v, w] = columns;
  const determinant =
    u[0] * (v[1] * w[2] - v[2] * w[1]) -
    v[0] * (u[1] * w[2] - u[2] * w[1]) +
    w[0] * (u[1] * v[2] - u[2] * v[1]);
  if (!(Math.abs(determinant) > 1e-6)) {
    throw new InputError(
      `The dwi's affine is singular, so its directions have no place in the scanner; repair its sform or qform, or use shBasis "descoteaux07".`,
    );
  }
  const turned = new Float64Array(directions.length);
  for (let i = 0; i < directions.length; i += 3) {
    const x = determinant > 0 ? -directions[i] : directions[i];
    const [y, z] = [directions[i + 1], directions[i + 2]];
    const size = lengthOf(x, y, z);
    const rotated = [0, 1, 2].map((k) => u[k] * x + v[k] * y + w[k] * z);
    const rotatedSize = lengthOf(rotated[0], rotated[1], rotated[2]);
    // A sheared affine stretches directions; only where they point is asked.
    const scale = rotatedSize > 0 ? size / rotatedSize : 0;
    turned.set(
      rotated.map((value) => value * scale),
      i,
    );
  }
  return turned;
}

function lengthOf(x: number, y: number, z: number): number {
  return Math.sqrt(x * x + y * y + z * z);
}
