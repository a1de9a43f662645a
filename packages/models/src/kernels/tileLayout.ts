/**
 * Symmetric matrices in tiles of 4 x 4, how they lie in memory, and the functions on them: sums of outer
 * products, Cholesky factor, solution, products.
 *
 * Layouts: a symmetric matrix holds the tiles of its lower triangle, row of tiles after row, each by
 * columns. A panel (`columns` columns of 4 * tiles numbers) holds, row of tiles after row, for each
 * column its 4 numbers; so does a factor, whose columns are as many as its rows. What a factor holds
 * above its diagonal means nothing.
 */

export const TILE = 4;

/** Tiles along the side of an n x n matrix. */
export function tilesFor(n: number): number {
  return Math.ceil(n / TILE);
}

/** Numbers in a tiled symmetric matrix. */
export function tiledLength(tiles: number): number {
  return ((tiles * (tiles + 1)) / 2) * TILE * TILE;
}

/** Where the entry (row, column), row >= column, stands in a tiled symmetric matrix. */
export function tiledPlace(row: number, column: number): number {
  const [i, j] = [Math.floor(row / TILE), Math.floor(column / TILE)];
  return ((i * (i + 1)) / 2 + j) * TILE * TILE + (column % TILE) * TILE + (row % TILE);
}

/** Where the entry stands in a panel of so many columns. */
export function panelPlace(row: number, column: number, columns: number): number {
  return TILE * (Math.floor(row / TILE) * columns + column) + (row % TILE);
}

/** The functions on arrays of one memory; arrays are given by their byteOffset. */
export interface TileFunctions {
  /** out = base + sum of h h' over the panel's columns 0..added - the same over added..total. base and out may be one. */
  addOuterProducts(
    base: number,
    panel: number,
    columns: number,
    added: number,
    total: number,
    tiles: number,
    out: number,
  ): void;
  /**
   * Cholesky factor L of a matrix; `inverse` takes 1 over its diagonal. Returns the smallest pivot
   * (square of a diagonal entry), or 0 where the matrix is not positive definite; the factor is then
   * of no use.
   */
  factorize(matrix: number, tiles: number, factor: number, inverse: number): number;
  /** Solves L L' x = b in place of b. */
  solve(factor: number, inverse: number, tiles: number, x: number): void;
  /** out = panel times the vector of `columns` numbers: 4 * tiles numbers. */
  multiply(panel: number, columns: number, tiles: number, vector: number, out: number): void;
  /** out = panel' times the vector of 4 * tiles numbers: `columns` numbers, which must be a multiple of 4. */
  multiplyTransposed(
    panel: number,
    columns: number,
    tiles: number,
    vector: number,
    out: number,
  ): void;
}
