/** A made-up brain on a grid: what is in each voxel, and the signal a scanner would measure there. */
import { cos, exp, log } from "../kernels/elementary.ts";
import { createTissue, fieldOfView, headDepth, mostFibres, tissueAt } from "./anatomy.ts";
import { type PhantomOptions, type ResolvedPhantomOptions, resolvePhantomOptions } from "./options.ts";
import { threefry2x32 } from "./random.ts";
import { type GradientScheme, gradientScheme } from "./scheme.ts";

/** Diffusivities in mm²/s. */
export const phantomDiffusivities = {
  /** Along a fibre and across it. */
  fibre: [1.7e-3, 0.3e-3],
  /** Isotropic tissue. */
  tissue: 0.8e-3,
  water: 3e-3,
} as const;

/** Signal at b0, arbitrary units as a scanner stores them. */
export const phantomSignalsAtB0 = { white: 1000, grey: 1250, water: 2200 } as const;

/** Voxel edge in mm. */
export const phantomVoxelSize = 2;

/**
 * What each voxel of the head truly holds, voxel after voxel in the order of `voxels`. With the
 * water's share f of the signal at b0, the tissue's signal is
 * S(b, g) = S0 [(1 - f) (sum_i w_i exp(-b g' D_i g) + w_iso exp(-0.8e-3 b)) + f exp(-3e-3 b)]
 * where every D_i has the eigenvalues 1.7, 0.3, 0.3 (1e-3 mm²/s) and w_1 + w_2 + w_3 + w_iso = 1.
 */
export interface PhantomTruth {
  /** w_1, w_2, w_3, largest first, 0 where there is no such fibre. */
  readonly fractions: Float32Array;
  /** Unit vectors of the three fibres along the grid's axes (9 per voxel), 0 where there is none. */
  readonly directions: Float32Array;
  readonly fibres: Uint8Array;
  /** f, the water's share of the signal at b0 (not of the volume). */
  readonly water: Float32Array;
  readonly s0: Float32Array;
}

export interface Phantom {
  readonly options: ResolvedPhantomOptions;
  readonly shape: readonly [number, number, number];
  /** Voxel index to scanner millimetres (x right, y front, z up), 4x4 by rows; x runs to the left. */
  readonly affine: Float64Array;
  readonly gradients: GradientScheme;
  /** Standard deviation of the noise in each of the two channels. */
  readonly sigma: number;
  /** Flat grid index of each voxel of the head, ascending, x fastest. */
  readonly voxels: Uint32Array;
  readonly truth: PhantomTruth;
}

/** Makes the phantom at once. Throws `InputError` for options that cannot be used. */
export function makePhantom(options?: PhantomOptions): Phantom {
  const steps = phantomSteps(options);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** As `makePhantom`, slice by slice: yields the share done so far, so that a caller can breathe. */
export function* phantomSteps(options?: PhantomOptions): Generator<number, Phantom> {
  const resolved = resolvePhantomOptions(options);
  const [nx, ny, nz] = resolved.size;
  const voxels = headVoxels(resolved.size);
  const truth: PhantomTruth = {
    fractions: new Float32Array(mostFibres * voxels.length),
    directions: new Float32Array(3 * mostFibres * voxels.length),
    fibres: new Uint8Array(voxels.length),
    water: new Float32Array(voxels.length),
    s0: new Float32Array(voxels.length),
  };
  for (let z = 0, first = 0; z < nz; z++) {
    let end = first;
    while (end < voxels.length && voxels[end] < (z + 1) * nx * ny) end++;
    fillTruth(resolved.size, voxels, first, end, truth);
    first = end;
    yield (z + 1) / nz;
  }
  return {
    options: resolved,
    shape: resolved.size,
    affine: gridAffine(resolved.size),
    gradients: gradientScheme(resolved.scheme),
    sigma: phantomSignalsAtB0.white / resolved.snr,
    voxels,
    truth,
  };
}

/**
 * Stored the radiological way, x to the left, as most scanners' files are: only then are the
 * directions of an FSL bvec file the grid's own, and every reader agrees about them.
 */
function gridAffine(size: readonly [number, number, number]): Float64Array {
  const origin = size.map((n) => ((n - 1) * phantomVoxelSize) / 2);
  const d = phantomVoxelSize;
  return Float64Array.of(-d, 0, 0, origin[0], 0, d, 0, -origin[1], 0, 0, d, -origin[2], 0, 0, 0, 1);
}

/** Place of a voxel's centre along one axis, canonical millimetres. */
function canonical(index: number, count: number, axis: number): number {
  return ((2 * index + 1) / count - 1) * fieldOfView[axis];
}

function headVoxels(size: readonly [number, number, number]): Uint32Array {
  const [nx, ny, nz] = size;
  const inside = new Uint8Array(nx * ny * nz);
  let count = 0;
  for (let z = 0, at = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, at++) {
        const depth = headDepth(canonical(x, nx, 0), canonical(y, ny, 1), canonical(z, nz, 2));
        if (depth > 0) {
          inside[at] = 1;
          count++;
        }
      }
    }
  }
  const voxels = new Uint32Array(count);
  for (let at = 0, n = 0; at < inside.length; at++) if (inside[at] === 1) voxels[n++] = at;
  return voxels;
}

function fillTruth(
  size: readonly [number, number, number],
  voxels: Uint32Array,
  first: number,
  end: number,
  truth: PhantomTruth,
): void {
  const [nx, ny, nz] = size;
  // Canonical millimetres of one voxel, by axis: tangents are scaled back from there to the grid.
  const edge = [0, 1, 2].map((axis) => (2 * fieldOfView[axis]) / size[axis]);
  const width = (edge[0] + edge[1] + edge[2]) / 3;
  const tissue = createTissue();
  for (let v = first; v < end; v++) {
    const x = canonical(voxels[v] % nx, nx, 0);
    const y = canonical(Math.floor(voxels[v] / nx) % ny, ny, 1);
    const z = canonical(Math.floor(voxels[v] / (nx * ny)), nz, 2);
    tissueAt(x, y, z, headDepth(x, y, z), width, tissue);
    for (let n = 0; n < tissue.fibreCount; n++) {
      const tx = tissue.tangents[3 * n] / edge[0];
      const ty = tissue.tangents[3 * n + 1] / edge[1];
      const tz = tissue.tangents[3 * n + 2] / edge[2];
      const length = Math.sqrt(tx * tx + ty * ty + tz * tz);
      truth.directions[9 * v + 3 * n] = tx / length;
      truth.directions[9 * v + 3 * n + 1] = ty / length;
      truth.directions[9 * v + 3 * n + 2] = tz / length;
      truth.fractions[3 * v + n] = tissue.fractions[n];
    }
    truth.fibres[v] = tissue.fibreCount;
    const { white, grey, water } = phantomSignalsAtB0;
    const wet = tissue.water * water;
    const dry = (1 - tissue.water) * (white + tissue.grey * (grey - white));
    truth.s0[v] = wet + dry;
    truth.water[v] = wet / (wet + dry);
  }
}

/** The noise-free signal of voxel `v` of the head in a volume. */
export function phantomSignal(phantom: Phantom, v: number, volume: number): number {
  const { truth, gradients } = phantom;
  const b = gradients.bvals[volume];
  const s0 = truth.s0[v];
  if (b === 0) return s0;
  const { fibre, tissue, water } = phantomDiffusivities;
  const gx = gradients.bvecs[3 * volume];
  const gy = gradients.bvecs[3 * volume + 1];
  const gz = gradients.bvecs[3 * volume + 2];
  let rest = 1;
  let dry = 0;
  for (let n = 0; n < truth.fibres[v]; n++) {
    const at = 9 * v + 3 * n;
    const along =
      gx * truth.directions[at] + gy * truth.directions[at + 1] + gz * truth.directions[at + 2];
    const share = truth.fractions[3 * v + n];
    rest -= share;
    dry += share * exp(-b * (fibre[1] + (fibre[0] - fibre[1]) * along * along));
  }
  dry += Math.max(0, rest) * exp(-b * tissue);
  const f = truth.water[v];
  return s0 * ((1 - f) * dry + f * exp(-b * water));
}

const words = new Uint32Array(2);

/**
 * One measured sample: the length of the signal with noise in both channels (Rician), rounded to
 * what a scanner stores. It depends on seed, grid index and volume alone, whatever is made before it.
 */
function measure(signal: number, sigma: number, seed: number, at: number, volume: number): number {
  if (sigma === 0) return Math.round(Math.min(32767, signal));
  threefry2x32(at, volume, seed, 0x7261776e, words);
  // Box and Muller's radius and angle; only the sum with the signal is needed, so one cosine will do.
  const radius = sigma * Math.sqrt(-2 * log((words[0] + 0.5) / 4294967296));
  const angle = (2 * Math.PI * words[1]) / 4294967296;
  const square = signal * signal + 2 * signal * radius * cos(angle) + radius * radius;
  return Math.round(Math.min(32767, Math.sqrt(Math.max(0, square))));
}

/** Measures one slice of one volume into `out` (nx * ny samples from `offset` on, x fastest). */
export function measureSlice(
  phantom: Phantom,
  volume: number,
  z: number,
  out: Int16Array,
  offset = 0,
): void {
  const { shape, voxels, sigma, options } = phantom;
  const area = shape[0] * shape[1];
  let v = firstAtLeast(voxels, z * area);
  for (let at = z * area, i = offset; at < (z + 1) * area; at++, i++) {
    const inHead = v < voxels.length && voxels[v] === at;
    const signal = inHead ? phantomSignal(phantom, v++, volume) : 0;
    out[i] = measure(signal, sigma, options.seed, at, volume);
  }
}

/** Measures a whole volume: nx * ny * nz samples, x fastest. */
export function measureVolume(phantom: Phantom, volume: number, out?: Int16Array): Int16Array {
  const [nx, ny, nz] = phantom.shape;
  const samples = out ?? new Int16Array(nx * ny * nz);
  for (let z = 0; z < nz; z++) measureSlice(phantom, volume, z, samples, z * nx * ny);
  return samples;
}

function firstAtLeast(sorted: Uint32Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
