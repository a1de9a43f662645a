/** Least squares with the shortest answer, for systems of any shape and rank. */

const MOST_SWEEPS = 60;
const EPSILON = 2 ** -52;

/**
 * The shortest x of those that minimise |A x - b|; A has `rows` x `columns` numbers by rows. Singular
 * values below 2^-52 of the greatest count as 0. By one-sided Jacobi rotations (Hestenes 1958), which
 * find small singular values to full relative accuracy.
 */
export function minimumNorm(
  matrix: Float64Array,
  rows: number,
  columns: number,
  rightHand: Float64Array,
): Float64Array {
  const tall = rows >= columns;
  // Vectors of the longer side, as many as the shorter: the columns of A, or those of its transpose.
  const [count, length] = tall ? [columns, rows] : [rows, columns];
  const vectors = Array.from({ length: count }, (_, j) =>
    Float64Array.from({ length }, (_, i) =>
      tall ? matrix[i * columns + j] : matrix[j * columns + i],
    ),
  );
  const rotations = Array.from({ length: count }, (_, j) => {
    const unit = new Float64Array(count);
    unit[j] = 1;
    return unit;
  });
  for (let sweep = 0; sweep < MOST_SWEEPS && rotateAll(vectors, rotations); sweep++);
  const powers = vectors.map((vector) => dot(vector, vector));
  const cutoff = Math.max(...powers) * EPSILON * EPSILON;
  const [left, right] = tall ? [vectors, rotations] : [rotations, vectors];
  const x = new Float64Array(columns);
  for (let k = 0; k < count; k++) {
    if (!(powers[k] > cutoff)) continue;
    const share = dot(left[k], rightHand) / powers[k];
    for (let j = 0; j < columns; j++) x[j] += share * right[k][j];
  }
  return x;
}

/** Turns each pair of vectors to right angles; says whether any was off. */
function rotateAll(vectors: Float64Array[], rotations: Float64Array[]): boolean {
  let turned = false;
  for (let i = 0; i < vectors.length; i++) {
    for (let j = i + 1; j < vectors.length; j++) {
      const a = dot(vectors[i], vectors[i]);
      const b = dot(vectors[j], vectors[j]);
      const c = dot(vectors[i], vectors[j]);
      if (Math.abs(c) <= EPSILON * Math.sqrt(a * b)) continue;
      turned = true;
      const slope = (b - a) / (2 * c);
      const tangent = (slope < 0 ? -1 : 1) / (Math.abs(slope) + Math.sqrt(1 + slope * slope));
      const cosine = 1 / Math.sqrt(1 + tangent * tangent);
      turn(vectors[i], vectors[j], cosine, cosine * tangent);
      turn(rotations[i], rotations[j], cosine, cosine * tangent);
    }
  }
  return turned;
}

function turn(left: Float64Array, right: Float64Array, cosine: number, sine: number): void {
  for (let k = 0; k < left.length; k++) {
    const value = left[k];
    left[k] = cosine * value - sine * right[k];
    right[k] = sine * value + cosine * right[k];
  }
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < left.length; k++) sum += left[k] * right[k];
  return sum;
}
