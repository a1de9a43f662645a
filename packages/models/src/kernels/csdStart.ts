/** What a voxel of CSD begins with: its samples, the unconstrained fit and the directions that are too small in it. */
import { VoxelStatus } from "../model.ts";
import type { CsdDesign } from "./csdDesign.ts";
import { BLOCK_ROWS } from "./csdFunctions.ts";
import type { CsdParameters } from "./csdParameters.ts";

/**
 * A voxel's start; the z of its samples stands at the beginning of the design's `started`, its too small
 * directions in `below` and the rest in `others`.
 */
export interface CsdStart {
  /** The amplitude below which a direction is too small. */
  threshold: number;
  /** How many directions are. */
  activeCount: number;
}

/**
 * Starts with the samples of the row from `at` on. Returns the status of a voxel that needs no iteration:
 * `fitted` where no direction is too small, the coefficients then being the design's unconstrained ones.
 */
export function startVoxel(
  design: CsdDesign,
  start: CsdStart,
  signals: Float32Array | Float64Array,
  at: number,
  parameters: CsdParameters,
): number | undefined {
  const status = readSamples(signals, at, parameters, design.arrays.signal);
  if (status !== VoxelStatus.fitted) return status;
  if (!design.solvable) return VoxelStatus.singular;
  const { functions, arrays, blocks, lowBlocks, low, count, samples } = design;
  const { signal, start: matrix, started } = arrays;
  const [from, to] = [matrix.byteOffset, started.byteOffset];
  functions.csdMultiply(from, blocks + lowBlocks, samples, samples, signal.byteOffset, to);
  start.threshold = design.thresholdScale * started[blocks * BLOCK_ROWS];
  if (start.threshold - start.threshold !== 0) return VoxelStatus.notFinite;
  findSmall(design, start, low);
  if (start.activeCount > 0) return undefined;
  const below = matrix.subarray(blocks * BLOCK_ROWS * samples).byteOffset;
  const out = started.subarray(blocks * BLOCK_ROWS).byteOffset;
  functions.csdMultiply(below, blocks, samples, samples, signal.byteOffset, out);
  findSmall(design, start, count);
  return start.activeCount > 0 ? undefined : VoxelStatus.fitted;
}

/** The unconstrained harmonics of the voxel that was started last. */
export function unconstrainedHarmonics({ arrays, blocks, count }: CsdDesign): Float64Array {
  return arrays.started.subarray(blocks * BLOCK_ROWS, blocks * BLOCK_ROWS + count);
}

function readSamples(
  signals: Float32Array | Float64Array,
  start: number,
  { volumes, slope, intercept }: CsdParameters,
  samples: Float64Array,
): number {
  let check = 0;
  let anySignal = false;
  for (let i = 0; i < samples.length; i++) {
    const value = slope * signals[start + volumes[i]] + intercept;
    samples[i] = value;
    // x - x is 0 for every finite x and NaN for the rest.
    check += value - value;
    if (value !== 0) anySignal = true;
  }
  if (check !== 0) return VoxelStatus.notFinite;
  return anySignal ? VoxelStatus.fitted : VoxelStatus.noSignal;
}

/** Notes the directions in which the first `columns` unconstrained harmonics are too small. */
function findSmall(design: CsdDesign, start: CsdStart, columns: number): void {
  const { functions, arrays, rowBlocks, count, vertices, blocks } = design;
  const { harmonicRows, started, amplitudes } = arrays;
  const harmonics = started.byteOffset + blocks * BLOCK_ROWS * started.BYTES_PER_ELEMENT;
  const [from, to] = [harmonicRows.byteOffset, amplitudes.byteOffset];
  functions.csdMultiply(from, rowBlocks, count, columns, harmonics, to);
  const [below, others] = [arrays.below.byteOffset, arrays.others.byteOffset];
  start.activeCount = functions.csdListBelow(to, vertices, start.threshold, below, others);
}
