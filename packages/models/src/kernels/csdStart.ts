/** What a voxel of CSD begins with: its samples, the unconstrained fit and the directions that are too small in it. */
import { VoxelStatus } from "../model.ts";
import type { CsdDesign } from "./csdDesign.ts";
import type { CsdParameters } from "./csdParameters.ts";
import type { CsdVoxel } from "./csdVoxel.ts";

/**
 * Starts with the samples of the row from `at` on: leaves z in the design's `started`, and lists the
 * directions that are too small in `below`, the others in `others`. Returns the status of a voxel that needs no iteration:
 * `fitted` where no direction is too small, the coefficients then being the design's unconstrained ones.
 */
export function startVoxel(
  design: CsdDesign,
  voxel: CsdVoxel,
  signals: Float32Array | Float64Array,
  at: number,
  parameters: CsdParameters,
): number | undefined {
  const status = readSamples(signals, at, parameters, design.arrays.signal);
  return status === VoxelStatus.fitted ? startSamples(design, voxel) : status;
}

/** Starts with the samples in the design's `signal`. */
export function startSamples(design: CsdDesign, voxel: CsdVoxel): number | undefined {
  if (!design.solvable) return VoxelStatus.singular;
  startWith(design, design.lowBlocks);
  const { arrays, low, count } = design;
  voxel.threshold = design.thresholdScale * arrays.started[count];
  if (voxel.threshold - voxel.threshold !== 0) return VoxelStatus.notFinite;
  findSmall(design, voxel, low);
  if (voxel.activeCount > 0) return undefined;
  startWith(design, design.startBlocks);
  findSmall(design, voxel, count);
  return voxel.activeCount > 0 ? undefined : VoxelStatus.fitted;
}

/** z and the unconstrained harmonics of the samples, as far as the blocks reach. */
function startWith({ functions, arrays, samples }: CsdDesign, blocks: number): void {
  const { signal, start, started } = arrays;
  const [from, to] = [start.byteOffset, started.byteOffset];
  functions.csdMultiply(from, blocks, samples, samples, signal.byteOffset, to);
}

/** The unconstrained harmonics of the voxel that was started last. */
export function unconstrainedHarmonics({ arrays, count }: CsdDesign): Float64Array {
  return arrays.started.subarray(count, 2 * count);
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
function findSmall(design: CsdDesign, voxel: CsdVoxel, columns: number): void {
  const { functions, arrays, rowBlocks, count, vertices } = design;
  const { harmonicRows, started, amplitudes } = arrays;
  const harmonics = started.byteOffset + count * started.BYTES_PER_ELEMENT;
  const [from, to] = [harmonicRows.byteOffset, amplitudes.byteOffset];
  functions.csdMultiply(from, rowBlocks, count, columns, harmonics, to);
  const [below, others] = [arrays.below.byteOffset, arrays.others.byteOffset];
  voxel.activeCount = functions.csdListBelow(to, vertices, voxel.threshold, below, others);
}
