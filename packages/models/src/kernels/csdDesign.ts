/** What constrained spherical deconvolution computes once for all voxels. */
import { InputError } from "../model.ts";
import { HEMISPHERE181, SYMMETRIC362_VERTICES } from "./sphere.ts";
import { coefficientCount, harmonicOrders, realShBasis } from "./sphericalHarmonics.ts";
import {
  createTileMemory,
  panelPlace,
  TILE,
  type TileFunctions,
  tiledLength,
  tiledPlace,
  tilesFor,
} from "./tiles.ts";

/** How the coefficients are ordered: the same functions, m and -m exchanged. */
export type ShBasis = "descoteaux07" | "mrtrix3";

export interface CsdParameters {
  /** Samples in each row of the signals. */
  readonly width: number;
  /** The diffusion-weighted samples that are fitted, as indices into a row. */
  readonly volumes: Int32Array;
  /** Their directions, 3 numbers each. */
  readonly directions: Float64Array;
  readonly slope: number;
  readonly intercept: number;
  /** Even, 0 to 16. */
  readonly shOrder: number;
  readonly shBasis: ShBasis;
  /** Rotational harmonics of the response for l = 0, 2, ..., shOrder, in units of the signal. */
  readonly responseHarmonics: Float64Array;
  /** Weight of the constraint; 1 is the usual. */
  readonly lambda: number;
  /** Amplitudes below this share of the mean count as too small. */
  readonly tau: number;
  /** Most iterations in a voxel, 1 to 65535. */
  readonly iterations: number;
  /** Directions in which amplitudes are watched, 3 numbers each; the 181 of symmetric362 by default. */
  readonly regularisation?: Float64Array;
}

/** Coefficients up to order 4: the smooth fit whose small amplitudes start the iteration. */
const LOW_COUNT = 15;

/** A pivot of P below this share of its greatest diagonal entry is rounding noise: P is singular. */
const SMALLEST_PIVOT = 1e-12;
/** Share of the greatest diagonal entry that is then added to the diagonal: far above rounding, far below what moves an answer. */
const DIAGONAL_LIFT = 4.3e-13;

/**
 * What the voxels share and what each of them works in, in the layouts of tileLayout.ts and in one
 * memory. `side` is the number of coefficients, `columns` that of the watched directions, both rounded
 * up to whole tiles.
 */
export interface CsdDesign {
  readonly count: number;
  readonly tiles: number;
  readonly side: number;
  readonly samples: number;
  readonly vertices: number;
  readonly columns: number;
  readonly iterations: number;
  readonly lowTiles: number;
  /** Whether P, lifted, has a factor. */
  readonly solvable: boolean;
  /** Times the first coefficient of the start: the amplitude below which a direction is too small. */
  readonly thresholdScale: number;
  readonly functions: TileFunctions;
  readonly arrays: CsdArrays;
}

interface CsdArrays {
  /** X, which turns coefficients into samples, as a panel: its columns are the samples. */
  readonly x: Float64Array;
  /** The weighted basis at the watched directions, as a panel of `columns` columns. */
  readonly rows: Float64Array;
  /** P = X'X, lifted where it is singular. */
  readonly normal: Float64Array;
  /** P and the products of all watched directions' rows. */
  readonly normalAll: Float64Array;
  /** Cholesky factor of P. */
  readonly startFactor: Float64Array;
  readonly startInverse: Float64Array;
  /** The rows of P's inverse for the coefficients to order 4, as a panel of `side` columns. */
  readonly low: Float64Array;
  /** The voxel's samples, and X's. */
  readonly signal: Float64Array;
  readonly z: Float64Array;
  /** Coefficients in the order of descoteaux07. */
  readonly f: Float64Array;
  /** Weighted amplitude in each watched direction. */
  readonly amplitudes: Float64Array;
  /** The normal matrix with the penalty of the active directions, and its factor. */
  readonly q: Float64Array;
  readonly factor: Float64Array;
  readonly inverse: Float64Array;
  /** Rows of the directions that are added to or taken from `q`. */
  readonly panel: Float64Array;
}

export function createCsdDesign(parameters: CsdParameters): CsdDesign {
  const { shOrder, directions, lambda, tau, iterations, responseHarmonics } = parameters;
  const watched = parameters.regularisation ?? HEMISPHERE181;
  const size = sizeOf(coefficientCount(shOrder), parameters.volumes.length, watched.length / 3);
  const { count, tiles, side, samples, vertices, columns } = size;
  const { functions, arrays } = createTileMemory(lengthsOf(size));

  const diagonal = forwardSdeconvMatrix(responseHarmonics, harmonicOrders(shOrder));
  fillPanel(arrays.x, samples, realShBasis(shOrder, directions), diagonal);
  const weight = lambdaEffective(lambda, shOrder, responseHarmonics[0], vertices);
  const weights = new Float64Array(count).fill(weight);
  fillPanel(arrays.rows, columns, realShBasis(shOrder, watched), weights);

  const { x, rows, normal, normalAll } = arrays;
  /** out = base + the products of all the panel's columns. */
  const sumUp = (base: Float64Array, panel: Float64Array, length: number, out: Float64Array) => {
    const [from, to] = [base.byteOffset, out.byteOffset];
    functions.addOuterProducts(from, panel.byteOffset, length, length, length, tiles, to);
  };
  sumUp(normal, x, samples, normal);
  const solvable = makeSolvable(size, functions, arrays);
  sumUp(normal, rows, columns, normalAll);
  if (solvable) fillLow(size, functions, arrays);
  return {
    ...{ count, tiles, side, samples, vertices, columns, iterations, solvable, functions, arrays },
    lowTiles: size.lowTiles,
    thresholdScale: tau * weight * (1 / Math.sqrt(4 * Math.PI)),
  };
}

type Size = ReturnType<typeof sizeOf>;

function sizeOf(count: number, samples: number, vertices: number) {
  const tiles = tilesFor(count);
  const low = Math.min(LOW_COUNT, count);
  return {
    ...{ count, samples, vertices, tiles, low },
    side: TILE * tiles,
    columns: TILE * tilesFor(vertices),
    lowTiles: tilesFor(low),
  };
}

function lengthsOf({ tiles, side, columns, samples, lowTiles }: Size) {
  const matrix = tiledLength(tiles);
  return {
    ...{ x: side * samples, rows: side * columns, normal: matrix, normalAll: matrix },
    ...{ startFactor: side * side, startInverse: side, low: TILE * lowTiles * side },
    ...{ signal: samples, z: side, f: side, amplitudes: columns },
    ...{ q: matrix, factor: side * side, inverse: side, panel: side * columns },
  };
}

/** Fills a panel with a basis ([directions, coefficients] by rows) times a diagonal. */
function fillPanel(
  panel: Float64Array,
  columns: number,
  basis: Float64Array,
  diagonal: Float64Array,
): void {
  const count = diagonal.length;
  for (let i = 0; i < basis.length; i++) {
    const n = i % count;
    panel[panelPlace(n, Math.floor(i / count), columns)] = basis[i] * diagonal[n];
  }
}

/** Factorises P; lifts its diagonal first where it is singular. False where even that does not help. */
function makeSolvable(
  { count, side, tiles }: Size,
  functions: TileFunctions,
  { normal, startFactor, startInverse }: CsdArrays,
): boolean {
  const factorize = () =>
    functions.factorize(normal.byteOffset, tiles, startFactor.byteOffset, startInverse.byteOffset);
  let greatest = 0;
  for (let n = 0; n < count; n++) greatest = Math.max(greatest, normal[tiledPlace(n, n)]);
  // What fills the last tile must be neither the smallest pivot nor foreign to the matrix' scale.
  for (let n = count; n < side; n++) normal[tiledPlace(n, n)] = greatest;
  if (factorize() >= SMALLEST_PIVOT * greatest) return greatest > 0;
  for (let n = 0; n < count; n++) normal[tiledPlace(n, n)] += DIAGONAL_LIFT * greatest;
  return factorize() > 0;
}

function fillLow(
  { low, side, tiles }: Size,
  functions: TileFunctions,
  { startFactor, startInverse, f, low: panel }: CsdArrays,
): void {
  for (let n = 0; n < low; n++) {
    f.fill(0);
    f[n] = 1;
    functions.solve(startFactor.byteOffset, startInverse.byteOffset, tiles, f.byteOffset);
    for (let k = 0; k < side; k++) panel[panelPlace(n, k, side)] = f[k];
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
