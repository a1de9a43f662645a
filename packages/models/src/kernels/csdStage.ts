/** The memory in which the voxels of the lanes take their iterations, in one precision. */
import type { CsdSize } from "./csdDesign.ts";
import {
  BLOCK_DIRECTIONS,
  blocksFor,
  type CsdFunctions,
  type CsdPrecision,
  type Evaluate,
  type Factorize,
  type Solve,
  TILE,
  tiledLength,
  tiledPlace,
  VECTOR_BYTES,
} from "./csdFunctions.ts";
import type { CsdMatrices } from "./csdMatrices.ts";
import type { Arrays } from "./csdMemory.ts";

/**
 * In float32 a row's numbers below this share of the greatest are 0. That is far below its rounding, and
 * their products could be below its normal range, where processors are a hundred times slower.
 */
const SMALLEST_SHARE = 1e-12;

type Numbers = Float64Array | Float32Array;

export interface CsdStage {
  readonly lanes: number;
  /** In numbers of the precision, whatever their type says; for their addresses. */
  readonly arrays: CsdStageArrays;
  /** P and the rows, and of what belongs to voxels the z, the solution and the thresholds. */
  readonly normal: Numbers;
  readonly rows: Numbers;
  readonly z: Numbers;
  readonly x: Numbers;
  readonly thresholds: Numbers;
  /** Bits of the directions that are too small. */
  readonly small: Uint8Array;
  /** Weaves the moments of one voxel for each lane. */
  weave(sums: readonly number[], count: number): void;
  readonly factorize: Factorize;
  readonly solve: Solve;
  readonly evaluate: Evaluate;
}

export type CsdStageArrays = Arrays<ReturnType<typeof stageLengths>>;

/** Lengths in float64; all 0 without a size. */
export function stageLengths(size: CsdSize | undefined, precision: CsdPrecision) {
  const { tiles, count, directionBlocks, momentLength } = size ?? {
    ...{ tiles: 0, count: 0, directionBlocks: 0, momentLength: 0 },
  };
  const vector = VECTOR_BYTES / Float64Array.BYTES_PER_ELEMENT;
  const inNumbers = (length: number) => (precision === "float64" ? length : blocksFor(length, 2));
  const directions = directionBlocks * BLOCK_DIRECTIONS;
  return {
    /** P. */
    normal: inNumbers(tiledLength(tiles)),
    /** Arrays of lanes; `woven` are the moments. */
    woven: vector * momentLength,
    z: vector * TILE * tiles,
    factor: vector * tiledLength(tiles),
    inverse: vector * TILE * tiles,
    x: vector * TILE * tiles,
    /** The thresholds, and how close to them float32 is not to be trusted. */
    thresholds: 2 * vector,
    /** Weighted amplitudes of the basis in the watched directions; bits of those that are too small. */
    rows: inNumbers(directions * count),
    small: blocksFor(directions, 8),
  };
}

export function stageOf(
  arrays: CsdStageArrays,
  functions: CsdFunctions,
  precision: CsdPrecision,
): CsdStage {
  const isDouble = precision === "float64";
  const numbers = ({ buffer, byteOffset, length }: Float64Array): Numbers =>
    isDouble
      ? new Float64Array(buffer, byteOffset, length)
      : new Float32Array(buffer, byteOffset, 2 * length);
  const { normal, rows, z, x, thresholds, small, woven } = arrays;
  const out = woven.byteOffset;
  return {
    arrays,
    lanes: isDouble ? 2 : 4,
    ...{ normal: numbers(normal), rows: numbers(rows), z: numbers(z), x: numbers(x) },
    thresholds: numbers(thresholds),
    small: new Uint8Array(small.buffer, small.byteOffset, small.byteLength),
    weave: isDouble
      ? ([first, second], count) => functions.csdWeave64(first, second, count, out)
      : ([first, second, third, fourth], count) =>
          functions.csdWeave32(first, second, third, fourth, count, out),
    factorize: isDouble ? functions.csdFactorize64 : functions.csdFactorize32,
    solve: isDouble ? functions.csdSolve64 : functions.csdSolve32,
    evaluate: isDouble ? functions.csdEvaluate64 : functions.csdEvaluate32,
  };
}

export function fillStage(stage: CsdStage, matrices: CsdMatrices, size: CsdSize): void {
  const { count, tiles } = size;
  // What fills the last tile: unknowns of their own, that are 0.
  for (let n = count; n < TILE * tiles; n++) stage.normal[tiledPlace(n, n)] = 1;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      stage.normal[tiledPlace(i, j)] = matrices.normal[i * count + j];
    }
  }
  const greatest = matrices.rows.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const least = stage.rows instanceof Float32Array ? SMALLEST_SHARE * greatest : 0;
  matrices.rows.forEach((value, i) => {
    const [direction, n] = [Math.floor(i / count), i % count];
    const block = Math.floor(direction / BLOCK_DIRECTIONS);
    stage.rows[(block * count + n) * BLOCK_DIRECTIONS + (direction % BLOCK_DIRECTIONS)] =
      Math.abs(value) < least ? 0 : value;
  });
}
