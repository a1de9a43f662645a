/** What constrained spherical deconvolution computes once for all voxels, and the memory that it works in. */
import {
  BLOCK_BYTES,
  BLOCK_DIRECTIONS,
  BLOCK_ROWS,
  blockPlace,
  blocksFor,
  type CsdFunctions,
  TILE,
  tiledLength,
  tiledPlace,
  VECTOR_BYTES,
} from "./csdFunctions.ts";
import { type CsdMatrices, csdMatrices } from "./csdMatrices.ts";
import { createCsdMemory } from "./csdMemory.ts";
import type { CsdParameters } from "./csdParameters.ts";
import type { KernelEngine } from "./kernelMemory.ts";

/** Coefficients up to order 4: the smooth fit whose small amplitudes start the iteration. */
const LOW_COUNT = 15;
const NUMBER_BYTES = 8;

/** What the voxels share and what they work in, in one memory and in the layouts of csdFunctions.ts. */
export interface CsdDesign extends CsdSize {
  readonly iterations: number;
  /** Whether P, lifted, has a factor. */
  readonly solvable: boolean;
  /** Times the first coefficient of the start: the amplitude below which a direction is too small. */
  readonly thresholdScale: number;
  readonly functions: CsdFunctions;
  readonly arrays: CsdArrays;
  /** Views of arrays that hold no float64. */
  readonly below: Uint32Array;
  readonly others: Uint32Array;
  readonly small: Uint8Array;
}

export type CsdSize = ReturnType<typeof sizeOf>;
export type CsdArrays = Readonly<Record<keyof ReturnType<typeof lengthsOf>, Float64Array>>;

export function createCsdDesign(parameters: CsdParameters, engine?: KernelEngine): CsdDesign {
  const matrices = csdMatrices(parameters);
  const size = sizeOf(matrices);
  const { functions, arrays } = createCsdMemory(lengthsOf(size), engine);
  fillBlocks(arrays.start, matrices.rightHand, size.samples, 0);
  fillBlocks(arrays.start, matrices.unconstrained, size.samples, size.count);
  fillBlocks(arrays.harmonicRows, matrices.harmonicRows, size.count, 0);
  fillBlocks(arrays.toHarmonics, matrices.toHarmonics, size.count, 0);
  fillNormal(arrays, matrices.normal, size);
  fillPlaces(arrays.places, matrices, size);
  fillRows(arrays.rows, matrices.rows, size);
  fillMoments(arrays, matrices.moments, size);
  const { below, others, small } = arrays;
  return {
    ...size,
    ...{ functions, arrays },
    iterations: parameters.iterations,
    solvable: matrices.unconstrained.length > 0,
    thresholdScale: matrices.thresholdScale,
    below: new Uint32Array(below.buffer, below.byteOffset, size.vertices),
    others: new Uint32Array(others.buffer, others.byteOffset, size.vertices),
    small: new Uint8Array(small.buffer, small.byteOffset, small.byteLength),
  };
}

function sizeOf({ count, samples, vertices, moments }: CsdMatrices) {
  const tiles = blocksFor(count, TILE);
  const momentCount = moments.length / vertices;
  return {
    ...{ count, samples, vertices, tiles, momentCount },
    lanes: VECTOR_BYTES / NUMBER_BYTES,
    low: Math.min(LOW_COUNT, count),
    /** Blocks that hold the coefficients; z and the coefficients to order 4; z and all; the watched directions. */
    blocks: blocksFor(count, BLOCK_ROWS),
    lowBlocks: blocksFor(count + Math.min(LOW_COUNT, count), BLOCK_ROWS),
    startBlocks: blocksFor(2 * count, BLOCK_ROWS),
    rowBlocks: blocksFor(vertices, BLOCK_ROWS),
    directionBlocks: blocksFor(vertices, BLOCK_DIRECTIONS),
    /** One place more than there are moments: what fills the last tile finds 0 there. */
    momentBlocks: blocksFor((momentCount + 1) * NUMBER_BYTES, BLOCK_BYTES),
  };
}

function lengthsOf(size: CsdSize) {
  const { count, samples, vertices, tiles, lanes } = size;
  const side = TILE * tiles;
  const moments = (size.momentBlocks * BLOCK_BYTES) / NUMBER_BYTES;
  const matrix = tiledLength(tiles);
  return {
    /** The voxel's samples. */
    signal: samples,
    /** Block matrix that turns samples into z for monomials, and below it into the unconstrained harmonics. */
    start: size.startBlocks * BLOCK_ROWS * samples,
    started: size.startBlocks * BLOCK_ROWS,
    /** Block matrix: weighted amplitudes of harmonics in the watched directions. */
    harmonicRows: size.rowBlocks * BLOCK_ROWS * count,
    amplitudes: size.rowBlocks * BLOCK_ROWS,
    /** Block matrix that turns coefficients of monomials into those of harmonics. */
    toHarmonics: size.blocks * BLOCK_ROWS * count,
    coefficients: count,
    harmonics: size.blocks * BLOCK_ROWS,
    /** P; the places (32 bits each) of its entries' moments. */
    normal: matrix,
    places: blocksFor(matrix, 2),
    /** What each watched direction adds to the moments; the moments of all of them and of none. */
    moments: vertices * moments,
    allMoments: moments,
    noMoments: moments,
    /** Directions (32 bits each): too small ones and the others, or those that came in and went out. */
    below: blocksFor(vertices, 2),
    others: blocksFor(vertices, 2),
    /** The moments of each voxel's active directions, and the same woven into lanes. */
    sums: lanes * moments,
    woven: lanes * moments,
    /** Arrays of lanes. */
    z: lanes * side,
    factor: lanes * matrix,
    inverse: lanes * side,
    x: lanes * side,
    thresholds: lanes,
    /** Weighted amplitudes of monomials in the watched directions; bits of those that are too small. */
    rows: size.directionBlocks * BLOCK_DIRECTIONS * count,
    small: blocksFor(size.directionBlocks * BLOCK_DIRECTIONS, 8),
  };
}

/** Fills a block matrix from the given row on. */
function fillBlocks(blocks: Float64Array, matrix: Float64Array, width: number, first: number) {
  for (let i = 0; i < matrix.length; i++) {
    blocks[blockPlace(first + Math.floor(i / width), i % width, width)] = matrix[i];
  }
}

function fillNormal({ normal }: CsdArrays, matrix: Float64Array, { count, tiles }: CsdSize): void {
  // What fills the last tile: unknowns of their own, that are 0.
  for (let n = count; n < TILE * tiles; n++) normal[tiledPlace(n, n)] = 1;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) normal[tiledPlace(i, j)] = matrix[i * count + j];
  }
}

function fillPlaces(places: Float64Array, { momentOf }: CsdMatrices, size: CsdSize): void {
  const table = new Uint32Array(places.buffer, places.byteOffset, tiledLength(size.tiles));
  table.fill(VECTOR_BYTES * size.momentCount);
  for (let i = 0; i < size.count; i++) {
    for (let j = 0; j <= i; j++) table[tiledPlace(i, j)] = VECTOR_BYTES * momentOf(i, j);
  }
}

function fillRows(rows: Float64Array, matrix: Float64Array, { count }: CsdSize): void {
  for (let i = 0; i < matrix.length; i++) {
    const [direction, n] = [Math.floor(i / count), i % count];
    const block = Math.floor(direction / BLOCK_DIRECTIONS);
    rows[(block * count + n) * BLOCK_DIRECTIONS + (direction % BLOCK_DIRECTIONS)] = matrix[i];
  }
}

function fillMoments(
  { moments, allMoments }: CsdArrays,
  matrix: Float64Array,
  { vertices }: CsdSize,
): void {
  const width = matrix.length / vertices;
  const block = BLOCK_BYTES / NUMBER_BYTES;
  for (let i = 0; i < matrix.length; i++) {
    const [direction, n] = [Math.floor(i / width), i % width];
    moments[(Math.floor(n / block) * vertices + direction) * block + (n % block)] = matrix[i];
    allMoments[n] += matrix[i];
  }
}
