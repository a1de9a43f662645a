/**
 * Symmetric matrices in tiles of 3 x 3: sums of outer products, Cholesky factor, solution. A tile's
 * nine sums and what they are made of fit the sixteen registers of a processor, which is what makes
 * these loops fast: six loads for nine multiplications.
 *
 * Layouts: a symmetric matrix holds the tiles of its lower triangle, row after row, nine numbers
 * each. A panel (many rows of the same length n) and a factor hold triples: entry `column` of the
 * three rows 3i..3i+2 lies at 3 * (i * columns + column).
 */

export const TILE = 3;

/** Tiles along the side of an n x n matrix. */
export function tilesFor(n: number): number {
  return Math.ceil(n / TILE);
}

/** Numbers in a tiled symmetric matrix. */
export function tiledLength(tiles: number): number {
  return ((tiles * (tiles + 1)) / 2) * TILE * TILE;
}

/**
 * out = base + sum of h h' over the first `added` columns of the panel - the same over the columns
 * from there to `total`. `columns` is the panel's full length; base and out may be one.
 */
export function addOuterProducts(
  base: Float64Array,
  panel: Float64Array,
  columns: number,
  added: number,
  total: number,
  tiles: number,
  out: Float64Array,
): void {
  let at = 0;
  for (let i = 0; i < tiles; i++) {
    const row = 3 * columns * i;
    for (let j = 0; j <= i; j++, at += 9) {
      let s00 = base[at];
      let s01 = base[at + 1];
      let s02 = base[at + 2];
      let s10 = base[at + 3];
      let s11 = base[at + 4];
      let s12 = base[at + 5];
      let s20 = base[at + 6];
      let s21 = base[at + 7];
      let s22 = base[at + 8];
      let p = row;
      let q = 3 * columns * j;
      const turn = row + 3 * added;
      const end = row + 3 * total;
      for (; p < turn; p += 3, q += 3) {
        const a0 = panel[p];
        const a1 = panel[p + 1];
        const a2 = panel[p + 2];
        const b0 = panel[q];
        s00 += a0 * b0;
        s10 += a1 * b0;
        s20 += a2 * b0;
        const b1 = panel[q + 1];
        s01 += a0 * b1;
        s11 += a1 * b1;
        s21 += a2 * b1;
        const b2 = panel[q + 2];
        s02 += a0 * b2;
        s12 += a1 * b2;
        s22 += a2 * b2;
      }
      for (; p < end; p += 3, q += 3) {
        const a0 = panel[p];
        const a1 = panel[p + 1];
        const a2 = panel[p + 2];
        const b0 = panel[q];
        s00 -= a0 * b0;
        s10 -= a1 * b0;
        s20 -= a2 * b0;
        const b1 = panel[q + 1];
        s01 -= a0 * b1;
        s11 -= a1 * b1;
        s21 -= a2 * b1;
        const b2 = panel[q + 2];
        s02 -= a0 * b2;
        s12 -= a1 * b2;
        s22 -= a2 * b2;
      }
      out[at] = s00;
      out[at + 1] = s01;
      out[at + 2] = s02;
      out[at + 3] = s10;
      out[at + 4] = s11;
      out[at + 5] = s12;
      out[at + 6] = s20;
      out[at + 7] = s21;
      out[at + 8] = s22;
    }
  }
}

/**
 * Cholesky factor L of a tiled symmetric matrix; `inverse` takes 1 over its diagonal. Returns the
 * smallest pivot (square of a diagonal entry), or 0 where the matrix is not positive definite.
 */
export function factorizeTiled(
  matrix: Float64Array,
  tiles: number,
  factor: Float64Array,
  inverse: Float64Array,
): number {
  const columns = TILE * tiles;
  let smallest = Number.POSITIVE_INFINITY;
  let at = 0;
  for (let i = 0; i < tiles; i++) {
    const row = 3 * columns * i;
    for (let j = 0; j < i; j++, at += 9) {
      reduceTile(matrix, at, factor, row, 3 * columns * j, 9 * j);
      const corner = 3 * (columns * j + 3 * j);
      solveTile(factor, corner, inverse, 3 * j, row + 9 * j);
    }
    reduceTile(matrix, at, factor, row, row, 9 * i);
    const pivot = factorizeCorner(factor, row + 9 * i, inverse, 3 * i);
    if (!(pivot > 0)) return 0;
    if (pivot < smallest) smallest = pivot;
    at += 9;
  }
  return smallest;
}

/** Writes to the factor's rows at `row`, columns from `length` / 3 on, the matrix' tile less L L' of the columns before. */
function reduceTile(
  matrix: Float64Array,
  at: number,
  factor: Float64Array,
  row: number,
  other: number,
  length: number,
): void {
  let s00 = matrix[at];
  let s01 = matrix[at + 1];
  let s02 = matrix[at + 2];
  let s10 = matrix[at + 3];
  let s11 = matrix[at + 4];
  let s12 = matrix[at + 5];
  let s20 = matrix[at + 6];
  let s21 = matrix[at + 7];
  let s22 = matrix[at + 8];
  const end = row + length;
  let p = row;
  for (let q = other; p < end; p += 3, q += 3) {
    const a0 = factor[p];
    const a1 = factor[p + 1];
    const a2 = factor[p + 2];
    const b0 = factor[q];
    s00 -= a0 * b0;
    s10 -= a1 * b0;
    s20 -= a2 * b0;
    const b1 = factor[q + 1];
    s01 -= a0 * b1;
    s11 -= a1 * b1;
    s21 -= a2 * b1;
    const b2 = factor[q + 2];
    s02 -= a0 * b2;
    s12 -= a1 * b2;
    s22 -= a2 * b2;
  }
  factor[p] = s00;
  factor[p + 1] = s10;
  factor[p + 2] = s20;
  factor[p + 3] = s01;
  factor[p + 4] = s11;
  factor[p + 5] = s21;
  factor[p + 6] = s02;
  factor[p + 7] = s12;
  factor[p + 8] = s22;
}

/** Divides the three rows at `at` by the finished diagonal tile at `corner`. */
function solveTile(
  factor: Float64Array,
  corner: number,
  inverse: Float64Array,
  first: number,
  at: number,
): void {
  const l10 = factor[corner + 1];
  const l20 = factor[corner + 2];
  const l21 = factor[corner + 5];
  const i0 = inverse[first];
  const i1 = inverse[first + 1];
  const i2 = inverse[first + 2];
  for (let r = at; r < at + 3; r++) {
    const x0 = factor[r] * i0;
    const x1 = (factor[r + 3] - x0 * l10) * i1;
    factor[r] = x0;
    factor[r + 3] = x1;
    factor[r + 6] = (factor[r + 6] - x0 * l20 - x1 * l21) * i2;
  }
}

/** Cholesky of one diagonal tile in place; returns its smallest pivot, 0 where it has none above 0. */
function factorizeCorner(
  factor: Float64Array,
  at: number,
  inverse: Float64Array,
  first: number,
): number {
  const d0 = factor[at];
  if (!(d0 > 0)) return 0;
  const l00 = Math.sqrt(d0);
  const i0 = 1 / l00;
  const l10 = factor[at + 1] * i0;
  const l20 = factor[at + 2] * i0;
  const d1 = factor[at + 4] - l10 * l10;
  if (!(d1 > 0)) return 0;
  const l11 = Math.sqrt(d1);
  const i1 = 1 / l11;
  const l21 = (factor[at + 5] - l20 * l10) * i1;
  const d2 = factor[at + 8] - l20 * l20 - l21 * l21;
  if (!(d2 > 0)) return 0;
  const l22 = Math.sqrt(d2);
  factor[at] = l00;
  factor[at + 1] = l10;
  factor[at + 2] = l20;
  factor[at + 3] = 0;
  factor[at + 4] = l11;
  factor[at + 5] = l21;
  factor[at + 6] = 0;
  factor[at + 7] = 0;
  factor[at + 8] = l22;
  inverse[first] = i0;
  inverse[first + 1] = i1;
  inverse[first + 2] = 1 / l22;
  return Math.min(d0, d1, d2);
}

/** Solves L L' x = rightHand; `rightHand` and `x` are as long as the tiled side and may be one. */
export function solveTiled(
  factor: Float64Array,
  inverse: Float64Array,
  tiles: number,
  rightHand: Float64Array,
  x: Float64Array,
): void {
  const columns = TILE * tiles;
  for (let i = 0; i < tiles; i++) {
    const first = 3 * i;
    let p = 3 * columns * i;
    let s0 = rightHand[first];
    let s1 = rightHand[first + 1];
    let s2 = rightHand[first + 2];
    for (let k = 0; k < first; k++, p += 3) {
      const value = x[k];
      s0 -= factor[p] * value;
      s1 -= factor[p + 1] * value;
      s2 -= factor[p + 2] * value;
    }
    const x0 = s0 * inverse[first];
    const x1 = (s1 - factor[p + 1] * x0) * inverse[first + 1];
    x[first] = x0;
    x[first + 1] = x1;
    x[first + 2] = (s2 - factor[p + 2] * x0 - factor[p + 5] * x1) * inverse[first + 2];
  }
  for (let i = tiles - 1; i >= 0; i--) {
    const first = 3 * i;
    const row = 3 * columns * i;
    const corner = row + 9 * i;
    const x2 = x[first + 2] * inverse[first + 2];
    const x1 = (x[first + 1] - factor[corner + 5] * x2) * inverse[first + 1];
    const x0 = (x[first] - factor[corner + 1] * x1 - factor[corner + 2] * x2) * inverse[first];
    x[first] = x0;
    x[first + 1] = x1;
    x[first + 2] = x2;
    for (let k = 0, p = row; k < first; k++, p += 3) {
      x[k] -= factor[p] * x0 + factor[p + 1] * x1 + factor[p + 2] * x2;
    }
  }
}
