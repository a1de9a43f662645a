/** A made-up brain on a grid: what is in each voxel, and the signal a scanner would measure there. */
import { createTissue, fieldOfView, headDepth, mostFibres, tissueAt } from "./anatomy.ts";
import {
  type PhantomOptions,
  type ResolvedPhantomOptions,
  resolvePhantomOptions,
} from "./options.ts";
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
 * S(b, g) = S0 [(1 - f) (sum_i w_i exp(-b g' D_i g) + w_grey exp(-0.8e-3 b)) + f exp(-3e-3 b)]
 * with w_1 + w_2 + w_3 + w_grey = 1 and D_i = c P_i + (1 - c) 0.8e-3, where P_i has the eigenvalues
 * 1.7, 0.3, 0.3 (1e-3 mm²/s) and c is the coherence: 1 inside the bundles, less in other white matter.
 */
export interface PhantomTruth {
  /** w_1, w_2, w_3, largest first, 0 where there is no such fibre. */
  readonly fractions: Float32Array;
  /** Unit vectors of the three fibres along the grid's axes (9 per voxel), 0 where there is none. */
  readonly directions: Float32Array;
  readonly fibres: Uint8Array;
  /** c. */
  readonly coherence: Float32Array;
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
    coherence: new Float32Array(voxels.length),
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
    // Where all is water there is no tissue to speak of.
    if (tissue.water === 1) tissue.fibreCount = 0;
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
    truth.coherence[v] = tissue.coherence;
    const { white, grey, water } = phantomSignalsAtB0;
    const wet = tissue.water * water;
    const dry = (1 - tissue.water) * (white + tissue.grey * (grey - white));
    truth.s0[v] = wet + dry;
    truth.water[v] = wet / (wet + dry);
  }
}

/** Diffusivity in mm²/s along and across a fibre population of that coherence. */
export function fibreDiffusivities(coherence: number): readonly [number, number] {
  const { fibre, tissue } = phantomDiffusivities;
  const rest = (1 - coherence) * tissue;
  return [coherence * fibre[0] + rest, coherence * fibre[1] + rest];
}
