/**
 * The hot loops of CSD, on matrices in tiles, in AssemblyScript: two float64 at a time, without JavaScript's
 * bounds checks. src/kernels/tilesPlain.ts does the same in plain TypeScript and gives the same bits, so
 * the order in which terms are added may only change in both.
 *
 * Arguments are addresses in bytes in a memory that the caller owns; layouts and meanings are told in
 * src/kernels/tileLayout.ts. Nothing is allocated here. A column of a tile is two pairs of numbers: its
 * `upper` rows, 0 and 1, and its `lower` ones, 2 and 3.
 *
 * Every multiplication and addition rounds on its own: a fused or relaxed instruction would give other
 * bits on other processors.
 */

const TILE: usize = 4;
const NUMBER: usize = 8;
const PAIR: usize = 2 * NUMBER;
const COLUMN: usize = TILE * NUMBER;
const TILE_BYTES: usize = TILE * COLUMN;

export function addOuterProducts(
  base: usize,
  panel: usize,
  columns: usize,
  added: usize,
  total: usize,
  tiles: usize,
  out: usize,
): void {
  const stride = columns * COLUMN;
  let row = panel;
  for (let i: usize = 0; i < tiles; i++) {
    let other = panel;
    for (let j: usize = 0; j <= i; j++) {
      Tile.sum(base, row, other, row + added * COLUMN, row + total * COLUMN, out);
      base += TILE_BYTES;
      out += TILE_BYTES;
      other += stride;
    }
    row += stride;
  }
}

// biome-ignore lint/complexity/noStaticOnlyClass: a decorator, and so @inline, may only stand on a method.
class Tile {
  /**
   * The tile at `out` = the tile at `base` + the outer products of the columns from `left` up to `added` -
   * those from there up to `total`; the columns from `right` on are the second factors.
   *
   * The eight pairs of the tile are locals written out one by one: so they stay in registers for as long
   * as the columns run by, which no array would.
   */
  @inline static sum(
    base: usize,
    left: usize,
    right: usize,
    added: usize,
    total: usize,
    out: usize,
  ): void {
    let upper0 = v128.load(base);
    let lower0 = v128.load(base, PAIR);
    let upper1 = v128.load(base, COLUMN);
    let lower1 = v128.load(base, COLUMN + PAIR);
    let upper2 = v128.load(base, 2 * COLUMN);
    let lower2 = v128.load(base, 2 * COLUMN + PAIR);
    let upper3 = v128.load(base, 3 * COLUMN);
    let lower3 = v128.load(base, 3 * COLUMN + PAIR);
    while (left < added) {
      const upper = v128.load(left);
      const lower = v128.load(left, PAIR);
      const factor0 = v128.load64_splat(right);
      upper0 = f64x2.add(upper0, f64x2.mul(upper, factor0));
      lower0 = f64x2.add(lower0, f64x2.mul(lower, factor0));
      const factor1 = v128.load64_splat(right, NUMBER);
      upper1 = f64x2.add(upper1, f64x2.mul(upper, factor1));
      lower1 = f64x2.add(lower1, f64x2.mul(lower, factor1));
      const factor2 = v128.load64_splat(right, 2 * NUMBER);
      upper2 = f64x2.add(upper2, f64x2.mul(upper, factor2));
      lower2 = f64x2.add(lower2, f64x2.mul(lower, factor2));
      const factor3 = v128.load64_splat(right, 3 * NUMBER);
      upper3 = f64x2.add(upper3, f64x2.mul(upper, factor3));
      lower3 = f64x2.add(lower3, f64x2.mul(lower, factor3));
      left += COLUMN;
      right += COLUMN;
    }
    while (left < total) {
      const upper = v128.load(left);
      const lower = v128.load(left, PAIR);
      const factor0 = v128.load64_splat(right);
      upper0 = f64x2.sub(upper0, f64x2.mul(upper, factor0));
      lower0 = f64x2.sub(lower0, f64x2.mul(lower, factor0));
      const factor1 = v128.load64_splat(right, NUMBER);
      upper1 = f64x2.sub(upper1, f64x2.mul(upper, factor1));
      lower1 = f64x2.sub(lower1, f64x2.mul(lower, factor1));
      const factor2 = v128.load64_splat(right, 2 * NUMBER);
      upper2 = f64x2.sub(upper2, f64x2.mul(upper, factor2));
      lower2 = f64x2.sub(lower2, f64x2.mul(lower, factor2));
      const factor3 = v128.load64_splat(right, 3 * NUMBER);
      upper3 = f64x2.sub(upper3, f64x2.mul(upper, factor3));
      lower3 = f64x2.sub(lower3, f64x2.mul(lower, factor3));
      left += COLUMN;
      right += COLUMN;
    }
    v128.store(out, upper0);
    v128.store(out, lower0, PAIR);
    v128.store(out, upper1, COLUMN);
    v128.store(out, lower1, COLUMN + PAIR);
    v128.store(out, upper2, 2 * COLUMN);
    v128.store(out, lower2, 2 * COLUMN + PAIR);
    v128.store(out, upper3, 3 * COLUMN);
    v128.store(out, lower3, 3 * COLUMN + PAIR);
  }
}

export function factorize(matrix: usize, tiles: usize, factor: usize, inverse: usize): f64 {
  const stride = tiles * TILE_BYTES;
  let smallest = Infinity;
  let row = factor;
  for (let i: usize = 0; i < tiles; i++) {
    let other = factor;
    let tile = row;
    for (let j: usize = 0; j < i; j++) {
      Tile.sum(matrix, row, other, row, tile, tile);
      divideTile(tile, other + j * TILE_BYTES, inverse + j * COLUMN);
      matrix += TILE_BYTES;
      tile += TILE_BYTES;
      other += stride;
    }
    Tile.sum(matrix, row, row, row, tile, tile);
    const pivot = factorizeCorner(tile, inverse + i * COLUMN);
    // NaN is not above 0 either.
    if (!(pivot > 0)) return 0;
    if (pivot < smallest) smallest = pivot;
    matrix += TILE_BYTES;
    row += stride;
  }
  return smallest;
}

/** A tile below the diagonal, in place, times the inverse of L' of the diagonal tile at `corner`. */
function divideTile(tile: usize, corner: usize, inverse: usize): void {
  const scale0 = v128.load64_splat(inverse);
  const upper0 = f64x2.mul(v128.load(tile), scale0);
  const lower0 = f64x2.mul(v128.load(tile, PAIR), scale0);
  v128.store(tile, upper0);
  v128.store(tile, lower0, PAIR);

  const scale1 = v128.load64_splat(inverse, NUMBER);
  const entry10 = v128.load64_splat(corner, NUMBER);
  let upper1 = f64x2.sub(v128.load(tile, COLUMN), f64x2.mul(upper0, entry10));
  let lower1 = f64x2.sub(v128.load(tile, COLUMN + PAIR), f64x2.mul(lower0, entry10));
  upper1 = f64x2.mul(upper1, scale1);
  lower1 = f64x2.mul(lower1, scale1);
  v128.store(tile, upper1, COLUMN);
  v128.store(tile, lower1, COLUMN + PAIR);

  const scale2 = v128.load64_splat(inverse, 2 * NUMBER);
  const entry20 = v128.load64_splat(corner, 2 * NUMBER);
  const entry21 = v128.load64_splat(corner, COLUMN + 2 * NUMBER);
  let upper2 = f64x2.sub(v128.load(tile, 2 * COLUMN), f64x2.mul(upper0, entry20));
  let lower2 = f64x2.sub(v128.load(tile, 2 * COLUMN + PAIR), f64x2.mul(lower0, entry20));
  upper2 = f64x2.mul(f64x2.sub(upper2, f64x2.mul(upper1, entry21)), scale2);
  lower2 = f64x2.mul(f64x2.sub(lower2, f64x2.mul(lower1, entry21)), scale2);
  v128.store(tile, upper2, 2 * COLUMN);
  v128.store(tile, lower2, 2 * COLUMN + PAIR);

  const scale3 = v128.load64_splat(inverse, 3 * NUMBER);
  const entry30 = v128.load64_splat(corner, 3 * NUMBER);
  const entry31 = v128.load64_splat(corner, COLUMN + 3 * NUMBER);
  const entry32 = v128.load64_splat(corner, 2 * COLUMN + 3 * NUMBER);
  let upper3 = f64x2.sub(v128.load(tile, 3 * COLUMN), f64x2.mul(upper0, entry30));
  let lower3 = f64x2.sub(v128.load(tile, 3 * COLUMN + PAIR), f64x2.mul(lower0, entry30));
  upper3 = f64x2.sub(upper3, f64x2.mul(upper1, entry31));
  lower3 = f64x2.sub(lower3, f64x2.mul(lower1, entry31));
  upper3 = f64x2.mul(f64x2.sub(upper3, f64x2.mul(upper2, entry32)), scale3);
  lower3 = f64x2.mul(f64x2.sub(lower3, f64x2.mul(lower2, entry32)), scale3);
  v128.store(tile, upper3, 3 * COLUMN);
  v128.store(tile, lower3, 3 * COLUMN + PAIR);
}

/** Cholesky of a diagonal tile in place, 1 over its diagonal; returns the smallest pivot, or 0 where one is not above 0. */
function factorizeCorner(corner: usize, inverse: usize): f64 {
  const pivot0 = f64.load(corner);
  if (!(pivot0 > 0)) return 0;
  const entry00 = sqrt(pivot0);
  const scale0 = 1 / entry00;
  const entry10 = f64.load(corner, NUMBER) * scale0;
  const entry20 = f64.load(corner, 2 * NUMBER) * scale0;
  const entry30 = f64.load(corner, 3 * NUMBER) * scale0;
  f64.store(inverse, scale0);
  f64.store(corner, entry00);
  f64.store(corner, entry10, NUMBER);
  f64.store(corner, entry20, 2 * NUMBER);
  f64.store(corner, entry30, 3 * NUMBER);

  const pivot1 = f64.load(corner, COLUMN + NUMBER) - entry10 * entry10;
  if (!(pivot1 > 0)) return 0;
  const entry11 = sqrt(pivot1);
  const scale1 = 1 / entry11;
  const entry21 = (f64.load(corner, COLUMN + 2 * NUMBER) - entry20 * entry10) * scale1;
  const entry31 = (f64.load(corner, COLUMN + 3 * NUMBER) - entry30 * entry10) * scale1;
  f64.store(inverse, scale1, NUMBER);
  f64.store(corner, entry11, COLUMN + NUMBER);
  f64.store(corner, entry21, COLUMN + 2 * NUMBER);
  f64.store(corner, entry31, COLUMN + 3 * NUMBER);

  const rest2 = f64.load(corner, 2 * COLUMN + 2 * NUMBER) - entry20 * entry20;
  const pivot2 = rest2 - entry21 * entry21;
  if (!(pivot2 > 0)) return 0;
  const entry22 = sqrt(pivot2);
  const scale2 = 1 / entry22;
  const rest32 = f64.load(corner, 2 * COLUMN + 3 * NUMBER) - entry30 * entry20;
  const entry32 = (rest32 - entry31 * entry21) * scale2;
  f64.store(inverse, scale2, 2 * NUMBER);
  f64.store(corner, entry22, 2 * COLUMN + 2 * NUMBER);
  f64.store(corner, entry32, 2 * COLUMN + 3 * NUMBER);

  const rest3 = f64.load(corner, 3 * COLUMN + 3 * NUMBER) - entry30 * entry30;
  const pivot3 = rest3 - entry31 * entry31 - entry32 * entry32;
  if (!(pivot3 > 0)) return 0;
  const entry33 = sqrt(pivot3);
  f64.store(inverse, 1 / entry33, 3 * NUMBER);
  f64.store(corner, entry33, 3 * COLUMN + 3 * NUMBER);
  return min(min(pivot0, pivot1), min(pivot2, pivot3));
}

export function solve(factor: usize, inverse: usize, tiles: usize, x: usize): void {
  const stride = tiles * TILE_BYTES;
  const end = x + tiles * COLUMN;
  let row = factor;
  let own = x;
  for (; own < end; own += COLUMN) {
    solveForward(row, inverse, x, own);
    row += stride;
    inverse += COLUMN;
  }
  while (own > x) {
    own -= COLUMN;
    row -= stride;
    inverse -= COLUMN;
    solveBackward(row, inverse, x, own);
  }
}

/** The four unknowns at `own` of L y = b, those from x up to them being known. */
function solveForward(row: usize, inverse: usize, x: usize, own: usize): void {
  let upper = v128.load(own);
  let lower = v128.load(own, PAIR);
  while (x < own) {
    const known = v128.load64_splat(x);
    upper = f64x2.sub(upper, f64x2.mul(v128.load(row), known));
    lower = f64x2.sub(lower, f64x2.mul(v128.load(row, PAIR), known));
    row += COLUMN;
    x += NUMBER;
  }
  // The diagonal tile, number by number.
  const x0 = f64x2.extract_lane(upper, 0) * f64.load(inverse);
  const rest1 = f64x2.extract_lane(upper, 1) - f64.load(row, NUMBER) * x0;
  const x1 = rest1 * f64.load(inverse, NUMBER);
  let rest2 = f64x2.extract_lane(lower, 0) - f64.load(row, 2 * NUMBER) * x0;
  rest2 -= f64.load(row, COLUMN + 2 * NUMBER) * x1;
  const x2 = rest2 * f64.load(inverse, 2 * NUMBER);
  let rest3 = f64x2.extract_lane(lower, 1) - f64.load(row, 3 * NUMBER) * x0;
  rest3 -= f64.load(row, COLUMN + 3 * NUMBER) * x1;
  rest3 -= f64.load(row, 2 * COLUMN + 3 * NUMBER) * x2;
  f64.store(own, x0);
  f64.store(own, x1, NUMBER);
  f64.store(own, x2, 2 * NUMBER);
  f64.store(own, rest3 * f64.load(inverse, 3 * NUMBER), 3 * NUMBER);
}

/** The four unknowns at `own` of L' x = y, those after them having taken their share; takes theirs from all before. */
function solveBackward(row: usize, inverse: usize, x: usize, own: usize): void {
  const corner = row + (own - x) * TILE;
  const x3 = f64.load(own, 3 * NUMBER) * f64.load(inverse, 3 * NUMBER);
  const rest2 = f64.load(own, 2 * NUMBER) - f64.load(corner, 2 * COLUMN + 3 * NUMBER) * x3;
  const x2 = rest2 * f64.load(inverse, 2 * NUMBER);
  let rest1 = f64.load(own, NUMBER) - f64.load(corner, COLUMN + 2 * NUMBER) * x2;
  rest1 -= f64.load(corner, COLUMN + 3 * NUMBER) * x3;
  const x1 = rest1 * f64.load(inverse, NUMBER);
  let rest0 = f64.load(own) - f64.load(corner, NUMBER) * x1;
  rest0 -= f64.load(corner, 2 * NUMBER) * x2;
  rest0 -= f64.load(corner, 3 * NUMBER) * x3;
  f64.store(own, rest0 * f64.load(inverse));
  f64.store(own, x1, NUMBER);
  f64.store(own, x2, 2 * NUMBER);
  f64.store(own, x3, 3 * NUMBER);
  const upper = v128.load(own);
  const lower = v128.load(own, PAIR);
  while (x < own) {
    const share = f64x2.add(
      f64x2.mul(v128.load(row), upper),
      f64x2.mul(v128.load(row, PAIR), lower),
    );
    f64.store(x, f64.load(x) - (f64x2.extract_lane(share, 0) + f64x2.extract_lane(share, 1)));
    row += COLUMN;
    x += NUMBER;
  }
}

export function multiply(
  panel: usize,
  columns: usize,
  tiles: usize,
  vector: usize,
  out: usize,
): void {
  const end = vector + columns * NUMBER;
  const stop = out + tiles * COLUMN;
  for (; out < stop; out += COLUMN) {
    let upper = f64x2.splat(0);
    let lower = f64x2.splat(0);
    for (let place = vector; place < end; place += NUMBER) {
      const factor = v128.load64_splat(place);
      upper = f64x2.add(upper, f64x2.mul(v128.load(panel), factor));
      lower = f64x2.add(lower, f64x2.mul(v128.load(panel, PAIR), factor));
      panel += COLUMN;
    }
    v128.store(out, upper);
    v128.store(out, lower, PAIR);
  }
}

/** Four columns at a time; each sum is that of the even rows plus that of the odd ones. */
export function multiplyTransposed(
  panel: usize,
  columns: usize,
  tiles: usize,
  vector: usize,
  out: usize,
): void {
  const stride = columns * COLUMN;
  const end = vector + tiles * COLUMN;
  const stop = out + columns * NUMBER;
  for (; out < stop; out += COLUMN) {
    let sum0 = f64x2.splat(0);
    let sum1 = f64x2.splat(0);
    let sum2 = f64x2.splat(0);
    let sum3 = f64x2.splat(0);
    let tile = panel;
    for (let place = vector; place < end; place += COLUMN) {
      const upper = v128.load(place);
      const lower = v128.load(place, PAIR);
      sum0 = f64x2.add(sum0, f64x2.mul(v128.load(tile), upper));
      sum0 = f64x2.add(sum0, f64x2.mul(v128.load(tile, PAIR), lower));
      sum1 = f64x2.add(sum1, f64x2.mul(v128.load(tile, COLUMN), upper));
      sum1 = f64x2.add(sum1, f64x2.mul(v128.load(tile, COLUMN + PAIR), lower));
      sum2 = f64x2.add(sum2, f64x2.mul(v128.load(tile, 2 * COLUMN), upper));
      sum2 = f64x2.add(sum2, f64x2.mul(v128.load(tile, 2 * COLUMN + PAIR), lower));
      sum3 = f64x2.add(sum3, f64x2.mul(v128.load(tile, 3 * COLUMN), upper));
      sum3 = f64x2.add(sum3, f64x2.mul(v128.load(tile, 3 * COLUMN + PAIR), lower));
      tile += stride;
    }
    f64.store(out, addLanes(sum0));
    f64.store(out, addLanes(sum1), NUMBER);
    f64.store(out, addLanes(sum2), 2 * NUMBER);
    f64.store(out, addLanes(sum3), 3 * NUMBER);
    panel += TILE_BYTES;
  }
}

function addLanes(pair: v128): f64 {
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}
