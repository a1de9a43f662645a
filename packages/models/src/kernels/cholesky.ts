/** Symmetric positive definite systems of any size, for what is computed once. Matrices are [n, n] by rows. */

/** The lower factor L of L L' (what stands above its diagonal is 0), and its smallest pivot; 0 and no factor where a pivot is not above 0. */
export function cholesky(matrix: Float64Array, n: number): { factor: Float64Array; pivot: number } {
  const factor = new Float64Array(n * n);
  let pivot = Number.POSITIVE_INFINITY;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * n + j];
      for (let k = 0; k < j; k++) sum -= factor[i * n + k] * factor[j * n + k];
      if (j < i) {
        factor[i * n + j] = sum / factor[j * n + j];
        continue;
      }
      // NaN is not above 0 either.
      if (!(sum > 0)) return { factor, pivot: 0 };
      factor[i * n + i] = Math.sqrt(sum);
      pivot = Math.min(pivot, sum);
    }
  }
  return { factor, pivot };
}

/** Solves L L' x = b in place of b. */
export function solveCholesky(factor: Float64Array, n: number, x: Float64Array): void {
  for (let i = 0; i < n; i++) {
    let sum = x[i];
    for (let k = 0; k < i; k++) sum -= factor[i * n + k] * x[k];
    x[i] = sum / factor[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = x[i];
    for (let k = i + 1; k < n; k++) sum -= factor[k * n + i] * x[k];
    x[i] = sum / factor[i * n + i];
  }
}

/** The product of a matrix and the transpose of another, both by rows of `width` numbers: [rows of left, rows of right]. */
export function timesTransposed(
  left: Float64Array,
  right: Float64Array,
  width: number,
): Float64Array {
  const [rows, columns] = [left.length / width, right.length / width];
  const product = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += left[i * width + k] * right[j * width + k];
      product[i * columns + j] = sum;
    }
  }
  return product;
}

/** The transpose of a matrix by rows of `width` numbers. */
export function transposed(matrix: Float64Array, width: number): Float64Array {
  const rows = matrix.length / width;
  return matrix.map((_, i) => matrix[(i % rows) * width + Math.floor(i / rows)]);
}
