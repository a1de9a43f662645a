/** What a scanner would measure in the phantom. */
import { cos, exp, log } from "../kernels/elementary.ts";
import { fibreDiffusivities, type Phantom, phantomDiffusivities } from "./phantom.ts";
import { threefry2x32 } from "./random.ts";

/** The noise-free signal of voxel `v` of the head in a volume. */
export function phantomSignal(phantom: Phantom, v: number, volume: number): number {
  const { truth, gradients } = phantom;
  const b = gradients.bvals[volume];
  const s0 = truth.s0[v];
  if (b === 0) return s0;
  const { tissue, water } = phantomDiffusivities;
  const [parallel, across] = fibreDiffusivities(truth.coherence[v]);
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
    dry += share * exp(-b * (across + (parallel - across) * along * along));
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

/** One measured sample of voxel `v` of the head: that of the written scan. */
export function measureVoxel(phantom: Phantom, v: number, volume: number): number {
  const { sigma, options, voxels } = phantom;
  return measure(phantomSignal(phantom, v, volume), sigma, options.seed, voxels[v], volume);
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
