/** For tests only: the data of DIPY's own tests, and a fit without a runtime. */
import type { Dwi, GradientTable } from "../io/dwi.ts";
import { exp } from "../kernels/elementary.ts";
import { createKernel } from "../kernels/index.ts";
import type { DwiModel, FittedMaps, OutputView } from "../model.ts";
import { dwiOf, readReferenceGradients } from "../tensor/testing.ts";

/** DIPY's small_64D: one b0 and 64 directions at about b = 1000. */
export const small64 = readReferenceGradients("csd_real_64dir");

export const fibre = [0.0015, 0.0003, 0.0003] as const;

/** Numbers from 0 to 1, the same in every run (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
  };
}

export interface Compartment {
  readonly evals: readonly [number, number, number];
  /** Polar angle and azimuth of the first eigenvector, degrees. */
  readonly angles?: readonly [number, number];
  /** Default 1. */
  readonly fraction?: number;
}

/** The signal of prolate tensors, the second and third eigenvalue being equal. */
export function tensorSignal(
  table: GradientTable,
  s0: number,
  compartments: readonly Compartment[],
): Float64Array {
  return Float64Array.from(table.bvals, (b, i) => {
    const [x, y, z] = table.bvecs.subarray(3 * i, 3 * i + 3);
    return compartments.reduce((sum, { evals, angles = [0, 0], fraction = 1 }) => {
      const [polar, azimuth] = angles.map((angle) => (angle * Math.PI) / 180);
      const along =
        x * Math.sin(polar) * Math.cos(azimuth) +
        y * Math.sin(polar) * Math.sin(azimuth) +
        z * Math.cos(polar);
      const square = x * x + y * y + z * z;
      const decay = evals[1] * square + (evals[0] - evals[1]) * along * along;
      return sum + fraction * s0 * exp(-b * decay);
    }, 0);
  });
}

/** Two fibres of 60 degrees between them, half and half. */
export function crossingSignal(s0: number): Float64Array {
  return tensorSignal(small64, s0, [
    { evals: fibre, angles: [0, 0], fraction: 0.5 },
    { evals: fibre, angles: [60, 0], fraction: 0.5 },
  ]);
}

/** The magnitude of the signal with noise in both its channels. */
export function withRicianNoise(
  signal: Float64Array,
  sigma: number,
  random: () => number,
): Float64Array {
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()) * sigma;
  return signal.map((value) => Math.hypot(value + normal(), normal()));
}

export function small64Dwi(signals: readonly Float64Array[]): Dwi {
  return dwiOf(
    signals.flatMap((signal) => Array.from(signal)),
    small64,
  );
}

/** Fits the whole model in chunks of at most `chunk` voxels, with a kernel of its own for each. */
export function fitModel(model: DwiModel, chunk = Number.POSITIVE_INFINITY): FittedMaps {
  const { voxelCount, voxelsPerSlab, slabs, dtype } = model.signals;
  const views: OutputView[] = model.outputs.map(({ width, dtype: type }) => {
    const length = width * voxelCount;
    if (type === "float64") return new Float64Array(length);
    return type === "uint16" ? new Uint16Array(length) : new Uint8Array(length);
  });
  for (let first = 0; first < voxelCount; ) {
    const inSlab = first % voxelsPerSlab;
    const slab = slabs[Math.floor(first / voxelsPerSlab)];
    const count = Math.min(chunk, voxelCount - first, voxelsPerSlab - inSlab);
    const signals = dtype === "float32" ? new Float32Array(slab) : new Float64Array(slab);
    const kernel = createKernel(model.kernel.name, model.kernel.parameters);
    kernel.fit(signals, inSlab, count, views, first);
    first += count;
  }
  return {
    maps: Object.fromEntries(
      model.outputs.map(({ name, width, units }, i) => [
        name,
        { data: views[i], shape: [voxelCount, width] as const, units },
      ]),
    ),
  };
}

/** The greatest |a - b|; NaN is as far as can be. */
export function greatestDifference(left: ArrayLike<number>, right: ArrayLike<number>): number {
  if (left.length !== right.length) return Number.POSITIVE_INFINITY;
  let greatest = 0;
  for (let i = 0; i < left.length; i++) {
    const difference = Math.abs(left[i] - right[i]);
    if (!(difference <= greatest)) {
      greatest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    }
  }
  return greatest;
}

/** |a - b| over |b|, the greatest over rows of `width` numbers. */
export function greatestRelativeError(
  ours: ArrayLike<number>,
  theirs: ArrayLike<number>,
  width: number,
): number {
  let greatest = 0;
  for (let start = 0; start < theirs.length; start += width) {
    let error = 0;
    let size = 0;
    for (let i = start; i < start + width; i++) {
      error += (ours[i] - theirs[i]) ** 2;
      size += theirs[i] ** 2;
    }
    const relative = Math.sqrt(error / (size > 0 ? size : 1));
    if (!(relative <= greatest)) greatest = Number.isNaN(relative) ? Infinity : relative;
  }
  return greatest;
}
