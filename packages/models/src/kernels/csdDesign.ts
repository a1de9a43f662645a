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
import { type Arrays, createCsdMemory } from "./csdMemory.ts";
import type { CsdParameters } from "./csdParameters.ts";
import { type CsdStage, fillStage, stageLengths, stageOf } from "./csdStage.ts";
import type { KernelEngine } from "./kernelMemory.ts";

/** Coefficients up to order 4: the smooth fit whose small amplitudes start the iteration. */
const LOW_COUNT = 15;
const NUMBER_BYTES = 8;
const BLOCK_NUMBERS = BLOCK_BYTES / NUMBER_BYTES;
/** Voxels that may be under way at once: those in the lanes of both precisions, and as many between them. */
const MOST_VOXELS = 12;

/** What the voxels share and what they work in, in one memory and in the layouts of csdFunctions.ts. */
export interface CsdDesign extends CsdSize {
  readonly iterations: number;
  /** Whether P, lifted, has a factor. */
  readonly solvable: boolean;
  /** Times the first coefficient of the start: the amplitude below which a direction is too small. */
  readonly thresholdScale: number;
  /** By which amplitudes in the lanes are smaller than those. */
  readonly unit: number;
  readonly functions: CsdFunctions;
  readonly arrays: CsdArrays;
  /** Views of arrays that hold 32-bit integers. */
  readonly below: Uint32Array;
  readonly others: Uint32Array;
  /** Where the iteration runs in float64 and, where that is wanted, before it in float32. */
  readonly float64: CsdStage;
  readonly float32: CsdStage | undefined;
}

export type CsdSize = ReturnType<typeof sizeOf>;
export type CsdArrays = Arrays<ReturnType<typeof lengthsOf>>;

export function createCsdDesign(parameters: CsdParameters, engine?: KernelEngine): CsdDesign {
  const matrices = csdMatrices(parameters);
  const size = sizeOf(matrices);
  const isFloat32 = parameters.precision === "float32";
  const memory = createCsdMemory(
    {
      shared: lengthsOf(size),
      float64: stageLengths(size, "float64"),
      float32: stageLengths(isFloat32 ? size : undefined, "float32"),
    },
    engine,
  );
  const { functions, groups } = memory;
  const arrays = groups.shared;
  fillBlocks(arrays.start, matrices.rightHand, size.samples, 0);
  fillBlocks(arrays.start, matrices.unconstrained, size.samples, size.count);
  fillBlocks(arrays.harmonicRows, matrices.harmonicRows, size.count, 0);
  fillBlocks(arrays.toHarmonics, matrices.toHarmonics, size.count, 0);
  fillPlaces(arrays.places, matrices, size);
  fillMoments(arrays, matrices.moments, size);
  const float64 = stageOf(groups.float64, functions, "float64");
  const float32 = isFloat32 ? stageOf(groups.float32, functions, "float32") : undefined;
  fillStage(float64, matrices, size);
  if (float32 !== undefined) fillStage(float32, matrices, size);
  const { below, others } = arrays;
  return {
    ...size,
    ...{ functions, arrays, float64, float32 },
    iterations: parameters.iterations,
    solvable: matrices.unconstrained.length > 0,
    thresholdScale: matrices.thresholdScale,
    unit: matrices.unit,
    below: new Uint32Array(below.buffer, below.byteOffset, size.vertices),
    others: new Uint32Array(others.buffer, others.byteOffset, size.vertices),
  };
}

function sizeOf({ count, samples, vertices, moments }: CsdMatrices) {
  const momentCount = moments.length / vertices;
  // One place more than there are moments: what fills the last tile finds 0 there.
  const momentBlocks = blocksFor(momentCount + 1, BLOCK_NUMBERS);
  return {
    ...{ count, samples, vertices, momentCount, momentBlocks },
    tiles: blocksFor(count, TILE),
    /** Float64 of a voxel's moments. */
    momentLength: momentBlocks * BLOCK_NUMBERS,
    mostVoxels: MOST_VOXELS,
    low: Math.min(LOW_COUNT, count),
    /** Blocks that hold the coefficients; z and the coefficients to order 4; z and all; the watched directions. */
    blocks: blocksFor(count, BLOCK_ROWS),
    lowBlocks: blocksFor(count + Math.min(LOW_COUNT, count), BLOCK_ROWS),
    startBlocks: blocksFor(2 * count, BLOCK_ROWS),
    rowBlocks: blocksFor(vertices, BLOCK_ROWS),
    directionBlocks: blocksFor(vertices, BLOCK_DIRECTIONS),
  };
}

function lengthsOf(size: CsdSize) {
  const { count, samples, vertices, momentLength } = size;
  return {
    /** The voxel's samples. */
    signal: samples,
    /** Block matrix that turns samples into z, and below it into the unconstrained harmonics. */
    start: size.startBlocks * BLOCK_ROWS * samples,
    started: size.startBlocks * BLOCK_ROWS,
    /** Block matrix: weighted amplitudes of harmonics in the watched directions. */
    harmonicRows: size.rowBlocks * BLOCK_ROWS * count,
    amplitudes: size.rowBlocks * BLOCK_ROWS,
    /** Block matrix that turns the coefficients of the lanes' basis into those of harmonics. */
    toHarmonics: size.blocks * BLOCK_ROWS * count,
    coefficients: count,
    harmonics: size.blocks * BLOCK_ROWS,
    /** The places (32 bits each) of the moments of P's entries. */
    places: blocksFor(tiledLength(size.tiles), 2),
    /** What each watched direction adds to the moments; the moments of all of them and of none. */
    moments: vertices * momentLength,
    allMoments: momentLength,
    noMoments: momentLength,
    /** The moments of the active directions of each voxel that is under way. */
    sums: size.mostVoxels * momentLength,
    /** Directions (32 bits each): too small ones and the others, or those that came in and went out. */
    below: blocksFor(vertices, 2),
    others: blocksFor(vertices, 2),
  };
}

/** Fills a block matrix from the given row on. */
function fillBlocks(blocks: Float64Array, matrix: Float64Array, width: number, first: number) {
  for (let i = 0; i < matrix.length; i++) {
    blocks[blockPlace(first + Math.floor(i / width), i % width, width)] = matrix[i];
  }
}

function fillPlaces(places: Float64Array, { momentOf }: CsdMatrices, size: CsdSize): void {
  const table = new Uint32Array(places.buffer, places.byteOffset, tiledLength(size.tiles));
  table.fill(VECTOR_BYTES * size.momentCount);
  for (let i = 0; i < size.count; i++) {
    for (let j = 0; j <= i; j++) table[tiledPlace(i, j)] = VECTOR_BYTES * momentOf(i, j);
  }
}

function fillMoments(
  { moments, allMoments }: CsdArrays,
  matrix: Float64Array,
  { vertices, momentCount }: CsdSize,
): void {
  for (let i = 0; i < matrix.length; i++) {
    const [direction, n] = [Math.floor(i / momentCount), i % momentCount];
    const block = Math.floor(n / BLOCK_NUMBERS) * vertices + direction;
    moments[block * BLOCK_NUMBERS + (n % BLOCK_NUMBERS)] = matrix[i];
    allMoments[n] += matrix[i];
  }
}
