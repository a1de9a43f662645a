/** Small dense least squares: Cholesky for the normal equations, pivoted Householder QR where they lose too much. */

/**
 * Replaces the lower triangle of a symmetric matrix (n x n by rows) by its Cholesky factor.
 * Returns the smallest share of a diagonal entry that elimination left over: near 1 the columns are
 * independent, near 0 they are not; 0 or less (or NaN) means that the matrix is not positive definite
 * and that the factor must not be used.
 */
export function factorize(matrix: Float64Array, n: number): number {
  let smallest = 1;
  for (let j = 0; j < n; j++) {
    const row = j * n;
    const diagonal = matrix[row + j];
    let pivot = diagonal;
    for (let k = 0; k < j; k++) pivot -= matrix[row + k] * matrix[row + k];
    if (!(pivot > 0)) return 0;
    const share = pivot / diagonal;
    if (share < smallest) smallest = share;
    const root = Math.sqrt(pivot);
    matrix[row + j] = root;
    const inverse = 1 / root;
    for (let i = j + 1; i < n; i++) {
      const other = i * n;
      let sum = matrix[other + j];
      for (let k = 0; k < j; k++) sum -= matrix[other + k] * matrix[row + k];
      matrix[other + j] = sum * inverse;
    }
  }
  return smallest;
}

/** Solves L L' x = b in place of b, with L from `factorize`. */
export function solveFactored(factor: Float64Array, n: number, x: Float64Array): void {
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

/** What `solvePivoted` works in: a matrix of `rows` x `columns` by columns, its right-hand side, its column order. */
export interface PivotedWorkspace {
  readonly rows: number;
  readonly columns: number;
  readonly matrix: Float64Array;
  readonly rightHand: Float64Array;
  readonly order: Int32Array;
}

export function createPivotedWorkspace(rows: number, columns: number): PivotedWorkspace {
  return {
    rows,
    columns,
    matrix: new Float64Array(rows * columns),
    rightHand: new Float64Array(rows),
    order: new Int32Array(columns),
  };
}

/**
 * Minimises |A x - b| by Householder QR with column pivoting (Businger & Golub 1965); destroys the
 * workspace. Returns false, and leaves x alone, where the columns are dependent: where a pivot is
 * below 1e-15 times the first, the cut-off of the pseudo-inverse it stands in for.
 */
export function solvePivoted(work: PivotedWorkspace, x: Float64Array): boolean {
  const { rows, columns, matrix, rightHand, order } = work;
  for (let j = 0; j < columns; j++) order[j] = j;
  let first = 0;
  for (let step = 0; step < columns; step++) {
    bringLongestColumn(work, step);
    const pivot = reflect(work, step);
    if (step === 0) first = pivot;
    if (!(pivot > 1e-15 * first)) return false;
  }
  for (let i = columns - 1; i >= 0; i--) {
    let sum = rightHand[i];
    for (let k = i + 1; k < columns; k++) sum -= matrix[k * rows + i] * rightHand[k];
    rightHand[i] = sum / matrix[i * rows + i];
  }
  for (let j = 0; j < columns; j++) x[order[j]] = rightHand[j];
  return true;
}

/** Swaps into place `step` the remaining column with the greatest length below row `step`. */
function bringLongestColumn(work: PivotedWorkspace, step: number): void {
  const { rows, columns, matrix, order } = work;
  let longest = step;
  let greatest = -1;
  for (let j = step; j < columns; j++) {
    let sum = 0;
    for (let i = step; i < rows; i++) sum += matrix[j * rows + i] * matrix[j * rows + i];
    if (sum > greatest) {
      greatest = sum;
      longest = j;
    }
  }
  if (longest === step) return;
  for (let i = 0; i < rows; i++) {
    const kept = matrix[step * rows + i];
    matrix[step * rows + i] = matrix[longest * rows + i];
    matrix[longest * rows + i] = kept;
  }
  const kept = order[step];
  order[step] = order[longest];
  order[longest] = kept;
}

/** Reflects column `step` onto its axis, and the later columns and the right-hand side with it; returns |pivot|. */
function reflect(work: PivotedWorkspace, step: number): number {
  const { rows, columns, matrix, rightHand } = work;
  const column = step * rows;
  let sum = 0;
  for (let i = step; i < rows; i++) sum += matrix[column + i] * matrix[column + i];
  const length = Math.sqrt(sum);
  if (!(length > 0)) return 0;
  const head = matrix[column + step];
  const target = head > 0 ? -length : length;
  const lead = head - target;
  matrix[column + step] = lead;
  // |v|^2 / 2 for v = column - target * axis.
  const half = -lead * target;
  for (let j = step + 1; j <= columns; j++) {
    const values = j < columns ? matrix : rightHand;
    const start = j < columns ? j * rows : 0;
    let dot = 0;
    for (let i = step; i < rows; i++) dot += matrix[column + i] * values[start + i];
    const share = dot / half;
    for (let i = step; i < rows; i++) values[start + i] -= share * matrix[column + i];
  }
  matrix[column + step] = target;
  return length;
}
