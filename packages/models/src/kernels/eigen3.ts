/** Eigenvalues and eigenvectors of symmetric 3 x 3 matrices. */

/**
 * Diagonalises the tensor (xx, xy, yy, xz, yz, zz) by cyclic Jacobi rotations (Golub & Van Loan,
 * Matrix Computations, 8.5), which keep small eigenvalues accurate.
 *
 * `values` gets the eigenvalues in falling order; `vectors` the matrix of eigenvectors by rows, whose
 * column k belongs to value k. The sign is chosen so that each vector's component of greatest size
 * (the first, if several) is positive.
 */
export function eigen3(tensor: Float64Array, values: Float64Array, vectors: Float64Array): void {
  let xx = tensor[0];
  let xy = tensor[1];
  let yy = tensor[2];
  let xz = tensor[3];
  let yz = tensor[4];
  let zz = tensor[5];
  vectors.fill(0);
  vectors[0] = 1;
  vectors[4] = 1;
  vectors[8] = 1;
  for (let sweep = 0; sweep < 30; sweep++) {
    if (xy === 0 && xz === 0 && yz === 0) break;
    if (isNegligible(xy, xx, yy)) xy = 0;
    if (xy !== 0) {
      const t = tangent(xy, xx, yy);
      const c = 1 / Math.sqrt(1 + t * t);
      const s = t * c;
      xx -= t * xy;
      yy += t * xy;
      xy = 0;
      const kept = xz;
      xz = c * kept - s * yz;
      yz = s * kept + c * yz;
      turn(vectors, 0, 1, c, s);
    }
    if (isNegligible(xz, xx, zz)) xz = 0;
    if (xz !== 0) {
      const t = tangent(xz, xx, zz);
      const c = 1 / Math.sqrt(1 + t * t);
      const s = t * c;
      xx -= t * xz;
      zz += t * xz;
      xz = 0;
      const kept = xy;
      xy = c * kept - s * yz;
      yz = s * kept + c * yz;
      turn(vectors, 0, 2, c, s);
    }
    if (isNegligible(yz, yy, zz)) yz = 0;
    if (yz !== 0) {
      const t = tangent(yz, yy, zz);
      const c = 1 / Math.sqrt(1 + t * t);
      const s = t * c;
      yy -= t * yz;
      zz += t * yz;
      yz = 0;
      const kept = xy;
      xy = c * kept - s * xz;
      xz = s * kept + c * xz;
      turn(vectors, 1, 2, c, s);
    }
  }
  values[0] = xx;
  values[1] = yy;
  values[2] = zz;
  order(values, vectors, 0, 1);
  order(values, vectors, 1, 2);
  order(values, vectors, 0, 1);
  for (let column = 0; column < 3; column++) orient(vectors, column);
}

/** Whether an off-diagonal entry is too small to change either diagonal entry beside it. */
function isNegligible(off: number, first: number, second: number): boolean {
  const size = Math.abs(off);
  const one = Math.abs(first);
  const other = Math.abs(second);
  return one + size === one && other + size === other;
}

/** Tangent of the smaller angle that turns the off-diagonal entry to zero. */
function tangent(off: number, first: number, second: number): number {
  const theta = (second - first) / (2 * off);
  const root = Math.abs(theta) + Math.sqrt(theta * theta + 1);
  return theta < 0 ? -1 / root : 1 / root;
}

function turn(vectors: Float64Array, p: number, q: number, c: number, s: number): void {
  for (let row = 0; row < 9; row += 3) {
    const first = vectors[row + p];
    const second = vectors[row + q];
    vectors[row + p] = c * first - s * second;
    vectors[row + q] = s * first + c * second;
  }
}

/** Swaps two eigenpairs if the later is greater. */
function order(values: Float64Array, vectors: Float64Array, p: number, q: number): void {
  if (!(values[q] > values[p])) return;
  const value = values[p];
  values[p] = values[q];
  values[q] = value;
  for (let row = 0; row < 9; row += 3) {
    const component = vectors[row + p];
    vectors[row + p] = vectors[row + q];
    vectors[row + q] = component;
  }
}

function orient(vectors: Float64Array, column: number): void {
  let greatest = vectors[column];
  for (let index = column + 3; index < 9; index += 3) {
    if (Math.abs(vectors[index]) > Math.abs(greatest)) greatest = vectors[index];
  }
  const sign = greatest < 0 ? -1 : 1;
  // Adding 0 turns -0 into 0.
  for (let index = column; index < 9; index += 3) vectors[index] = sign * vectors[index] + 0;
}
