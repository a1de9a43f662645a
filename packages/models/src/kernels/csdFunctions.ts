/**
 * The hot loops of CSD: how their arrays lie in memory, and the functions on them.
 *
 * Voxels are fitted side by side, one in each lane. An array "of lanes" holds for each of its entries one
 * number of each voxel, next to each other. The normal matrix with the penalty of any directions is P plus,
 * in each entry, a "moment": the sum over the directions of a product of two functions of the basis. In
 * monomials (monomials.ts) few of the products are different, so they are summed instead of the matrix.
 *
 * - A block matrix holds blocks of 12 rows, each by columns.
 * - The normal matrix holds the tiles of 3 x 3 of its lower triangle, row of tiles after row, each by
 *   columns; so do the places of the moments of its entries (in bytes, in the woven moments).
 * - A factor is an array of lanes: row of tiles after row, each by columns up to the diagonal; what stands
 *   on the diagonal and above it means nothing. 1 over the diagonal is an array of its own.
 * - The rows of directions stand in blocks of 6 directions, each by coefficients.
 */

/** Rows in a block of a matrix. */
export const BLOCK_ROWS = 12;
/** Rows and columns of a tile. */
export const TILE = 3;
/** Directions in a block of their rows. */
export const BLOCK_DIRECTIONS = 6;
/** Bytes of the moments that are summed at a time: a direction's are a multiple of it. */
export const BLOCK_BYTES = 96;
/** Bytes of an entry of an array of lanes. */
export const VECTOR_BYTES = 16;

/** Arrays are given by their byteOffset. */
export interface CsdFunctions {
  /** out = the first `columns` of the `width` columns of a block matrix times the vector of as many numbers. */
  csdMultiply(
    matrix: number,
    blocks: number,
    width: number,
    columns: number,
    vector: number,
    out: number,
  ): void;
  /**
   * Lists the places (32 bits each) of the values that are below the threshold, and those of the others;
   * returns how many are below. Both lists have room for all.
   */
  csdListBelow(
    values: number,
    count: number,
    threshold: number,
    below: number,
    others: number,
  ): number;
  /**
   * out = base + the moments of the directions listed (32 bits each) at 0..added - the same over
   * added..total, in blocks of BLOCK_BYTES. The table holds, block after block, that of each direction.
   * base and out may be one.
   */
  csdSumMoments(
    base: number,
    table: number,
    directions: number,
    list: number,
    added: number,
    total: number,
    blocks: number,
    out: number,
  ): void;
  /** Weaves the moments of the voxels, `count` (even) float64 each, into an array of lanes; in float32 they are rounded. */
  csdWeave64(first: number, second: number, count: number, out: number): void;
  csdWeave32(
    first: number,
    second: number,
    third: number,
    fourth: number,
    count: number,
    out: number,
  ): void;
  /**
   * Cholesky factor L of the normal matrix of each voxel, and y of L y = z. Returns a bit for each lane
   * whose matrix is positive definite; of the other lanes factor and y are of no use.
   */
  csdFactorize64: Factorize;
  csdFactorize32: Factorize;
  /** Solves L' x = y in place of y. */
  csdSolve64: Solve;
  csdSolve32: Solve;
  /**
   * For each direction one byte: a bit for each lane whose amplitude there is below its threshold. In
   * float32 it returns a bit for each lane with an amplitude that is closer to the threshold than the
   * margin, which stands behind the thresholds; in float64 it returns 0.
   */
  csdEvaluate64: Evaluate;
  csdEvaluate32: Evaluate;
}

export type Factorize = (
  normal: number,
  places: number,
  moments: number,
  tiles: number,
  z: number,
  factor: number,
  inverse: number,
  y: number,
) => number;

export type Solve = (factor: number, inverse: number, tiles: number, x: number) => void;

export type Evaluate = (
  rows: number,
  blocks: number,
  count: number,
  x: number,
  thresholds: number,
  small: number,
) => number;

/** The arithmetic of the lanes: two voxels in float64, four in float32. */
export type CsdPrecision = "float64" | "float32";

/** Numbers along an array, in blocks. */
export function blocksFor(count: number, block: number): number {
  return Math.ceil(count / block);
}

/** Where an entry stands in a block matrix of so many columns. */
export function blockPlace(row: number, column: number, width: number): number {
  const block = Math.floor(row / BLOCK_ROWS);
  return BLOCK_ROWS * (block * width + column) + (row % BLOCK_ROWS);
}

/** Numbers in a normal matrix. */
export function tiledLength(tiles: number): number {
  return ((tiles * (tiles + 1)) / 2) * TILE * TILE;
}

/** Where the entry (row, column), row >= column, stands in a normal matrix. */
export function tiledPlace(row: number, column: number): number {
  const [i, j] = [Math.floor(row / TILE), Math.floor(column / TILE)];
  return ((i * (i + 1)) / 2 + j) * TILE * TILE + (column % TILE) * TILE + (row % TILE);
}
