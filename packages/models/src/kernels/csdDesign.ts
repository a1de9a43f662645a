/** What constrained spherical deconvolution computes once for all voxels. */
import { InputError } from "../model.ts";
import {
  addOuterProducts,
  factorizeTiled,
  solveTiled,
  TILE,
  tiledLength,
  tilesFor,
} from "./cholesky.ts";
import type { CsdParameters } from "./csd.ts";
import { HEMISPHERE181, SYMMETRIC362_VERTICES } from "./sphere.ts";
import { coefficientCount, harmonicOrders, realShBasis } from "./sphericalHarmonics.ts";

/** Coefficients up to order 4: the smooth fit whose small amplitudes start the iteration. */
const LOW_COUNT = 15;

/** A pivot of P below this share of its greatest diagonal entry is rounding noise: P is singular. */
const SMALLEST_PIVOT = 1e-12;
/** Share of the greatest diagonal entry that is then added to the diagonal: far above rounding, far below what moves an answer. */
const DIAGONAL_LIFT = 4.3e-13;

/** Matrices in the layouts of cholesky.ts. `side` is the number of coefficients, rounded up to whole tiles. */
export interface CsdDesign {
  readonly count: number;
  readonly tiles: number;
  readonly side: number;
  readonly samples: number;
  readonly vertices: number;
  readonly iterations: number;
  /** X, which turns coefficients into samples, as a panel of `samples` columns. */
  readonly x: Float64Array;
  /** The weighted basis at the watched directions, as a panel of `vertices` columns. */
  readonly rows: Float64Array;
  /** P = X'X, lifted where it is singular. */
  readonly normal: Float64Array;
  /** P and the products of all watched directions' rows. */
  readonly normalAll: Float64Array;
  /** Cholesky factor of P. */
  readonly factor: Float64Array;
  readonly inverse: Float64Array;
  /** Whether P, lifted, has a factor. */
  readonly solvable: boolean;
  /** The first rows of P's inverse, `side` numbers each, to order 4 at most, in whole tiles. */
  readonly lowRows: Float64Array;
  readonly lowTiles: number;
  /** Times the first coefficient of the start: the amplitude below which a direction is too small. */
  readonly thresholdScale: number;
}

export function createCsdDesign(parameters: CsdParameters): CsdDesign {
  const { shOrder, directions, lambda, tau, iterations, responseHarmonics } = parameters;
  const count = coefficientCount(shOrder);
  const tiles = tilesFor(count);
  const side = TILE * tiles;
  const watched = parameters.regularisation ?? HEMISPHERE181;
  const vertices = watched.length / 3;
  const samples = parameters.volumes.length;

  const diagonal = forwardSdeconvMatrix(responseHarmonics, harmonicOrders(shOrder));
  const x = panelOf(realShBasis(shOrder, directions), samples, count, tiles, diagonal);
  const weight = lambdaEffective(lambda, shOrder, responseHarmonics[0], vertices);
  const weights = new Float64Array(count).fill(weight);
  const rows = panelOf(realShBasis(shOrder, watched), vertices, count, tiles, weights);

  const normal = new Float64Array(tiledLength(tiles));
  addOuterProducts(normal, x, samples, samples, samples, tiles, normal);
  const factor = new Float64Array(side * side);
  const inverse = new Float64Array(side);
  const solvable = makeSolvable(normal, count, tiles, factor, inverse);
  const normalAll = new Float64Array(normal.length);
  addOuterProducts(normal, rows, vertices, vertices, vertices, tiles, normalAll);

  const lowTiles = tilesFor(Math.min(LOW_COUNT, count));
  const lowRows = new Float64Array(TILE * lowTiles * side);
  if (solvable) fillInverseRows(factor, inverse, tiles, Math.min(LOW_COUNT, count), lowRows);
  return {
    ...{ count, tiles, side, samples, vertices, iterations, x, rows, normal, normalAll },
    ...{ factor, inverse, solvable, lowRows, lowTiles },
    thresholdScale: tau * weight * (1 / Math.sqrt(4 * Math.PI)),
  };
}

/** A matrix of `columns` rows and `count` entries each, times a diagonal, as a panel whose rows are the entries. */
function panelOf(
  basis: Float64Array,
  columns: number,
  count: number,
  tiles: number,
  diagonal: Float64Array,
): Float64Array {
  const panel = new Float64Array(TILE * tiles * columns);
  for (let n = 0; n < count; n++) {
    const start = TILE * Math.floor(n / TILE) * columns + (n % TILE);
    for (let k = 0; k < columns; k++) panel[start + TILE * k] = basis[k * count + n] * diagonal[n];
  }
  return panel;
}

/** Factorises P; lifts its diagonal first where it is singular. False where even that does not help. */
function makeSolvable(
  normal: Float64Array,
  count: number,
  tiles: number,
  factor: Float64Array,
  inverse: Float64Array,
): boolean {
  let greatest = 0;
  for (let n = 0; n < count; n++) greatest = Math.max(greatest, normal[diagonalPlace(n)]);
  // What fills the last tile must be neither the smallest pivot nor foreign to the matrix' scale.
  for (let n = count; n < TILE * tiles; n++) normal[diagonalPlace(n)] = greatest;
  if (factorizeTiled(normal, tiles, factor, inverse) >= SMALLEST_PIVOT * greatest) {
    return greatest > 0;
  }
  for (let n = 0; n < count; n++) normal[diagonalPlace(n)] += DIAGONAL_LIFT * greatest;
  return factorizeTiled(normal, tiles, factor, inverse) > 0;
}

/** Where the diagonal entry n stands in a tiled symmetric matrix. */
function diagonalPlace(n: number): number {
  const tile = Math.floor(n / TILE);
  return ((tile * (tile + 3)) / 2) * TILE * TILE + (n % TILE) * (TILE + 1);
}

function fillInverseRows(
  factor: Float64Array,
  inverse: Float64Array,
  tiles: number,
  count: number,
  rows: Float64Array,
): void {
  const side = TILE * tiles;
  for (let n = 0; n < count; n++) {
    const row = rows.subarray(n * side, (n + 1) * side);
    row[n] = 1;
    solveTiled(factor, inverse, tiles, row, row);
  }
}

/**
 * The weight of the constraint's rows (Tournier 2007, scaled as in MRtrix and DIPY by the numbers of
 * coefficients and directions): lambda N r0 / (sqrt(vertices) sqrt(362)).
 */
export function lambdaEffective(
  lambda: number,
  shOrder: number,
  firstHarmonic: number,
  vertices = HEMISPHERE181.length / 3,
): number {
  const scale = Math.sqrt(vertices) * Math.sqrt(SYMMETRIC362_VERTICES);
  return (lambda * coefficientCount(shOrder) * firstHarmonic) / scale;
}

/**
 * The diagonal of the matrix that convolves with the response: the rotational harmonic of each
 * coefficient's order. `harmonics` holds those of l = 0, 2, 4, ...; `orders` the l of each
 * coefficient. Throws InputError on an odd or negative l, or one beyond the harmonics.
 */
export function forwardSdeconvMatrix(
  harmonics: ArrayLike<number>,
  orders: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(orders, (l) => {
    if (!Number.isInteger(l) || l < 0 || l % 2 === 1) {
      throw new InputError(
        `The spherical harmonic order ${l} is not an even number; give even ones.`,
      );
    }
    if (l / 2 >= harmonics.length) {
      throw new InputError(
        `The response ends at order ${2 * harmonics.length - 2}, below ${l}; give one that reaches it.`,
      );
    }
    return harmonics[l / 2];
  });
}
