/** The phantom's truth as maps that fitted ones can be compared with. */
import { mostFibres } from "./anatomy.ts";
import { fibreDiffusivities, type Phantom, phantomDiffusivities } from "./phantom.ts";

/** Whole grids, x fastest; 0 outside the head. */
export interface PhantomTruthMaps {
  /**
   * Fractional anisotropy of the tissue's mean diffusion tensor, that is of the sum of all fibres'
   * tensors and of the grey matter's weighted by their shares, water left out; 0 in pure water. A
   * single tensor that is fitted to crossing fibres comes near it, the nearer the lower b is.
   */
  readonly fa: Float32Array;
  /** Mean diffusivity of the same tensor, mm²/s; 0 in pure water. */
  readonly md: Float32Array;
  /** Free water's share of the signal at b0, 0..1. */
  readonly f: Float32Array;
  /** Fibre populations with at least a quarter of the tissue each, 0..3; 0 in pure water. */
  readonly fibres: Uint8Array;
}

export function phantomTruthMaps(phantom: Phantom): PhantomTruthMaps {
  const [nx, ny, nz] = phantom.shape;
  const count = nx * ny * nz;
  const maps: PhantomTruthMaps = {
    fa: new Float32Array(count),
    md: new Float32Array(count),
    f: new Float32Array(count),
    fibres: new Uint8Array(count),
  };
  phantom.voxels.forEach((at, v) => {
    maps.f[at] = phantom.truth.water[v];
    maps.fibres[at] = phantom.truth.fibres[v];
    if (phantom.truth.water[v] === 1) return;
    const { fa, md } = meanTensorMeasures(phantom, v);
    maps.fa[at] = fa;
    maps.md[at] = md;
  });
  return maps;
}

/**
 * One volume of the true directions: component 0..8 (x, y, z of the strongest fibre, then of the
 * others) of vectors along the grid's axes, as long as the fibre's share of the tissue times its
 * coherence.
 */
export function phantomDirectionVolume(phantom: Phantom, component: number): Float32Array {
  const [nx, ny, nz] = phantom.shape;
  const { directions, fractions, coherence } = phantom.truth;
  const volume = new Float32Array(nx * ny * nz);
  const fibre = Math.floor(component / 3);
  phantom.voxels.forEach((at, v) => {
    volume[at] =
      coherence[v] * fractions[mostFibres * v + fibre] * directions[3 * mostFibres * v + component];
  });
  return volume;
}

/** FA and MD from the invariants of the tensor, without its eigenvalues. */
function meanTensorMeasures(phantom: Phantom, v: number): { fa: number; md: number } {
  const { fractions, directions, fibres } = phantom.truth;
  const [along, across] = fibreDiffusivities(phantom.truth.coherence[v]);
  const d = new Float64Array(9);
  let rest = 1;
  for (let n = 0; n < fibres[v]; n++) {
    const share = fractions[mostFibres * v + n];
    rest -= share;
    const g = directions.subarray(3 * (mostFibres * v + n), 3 * (mostFibres * v + n) + 3);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        d[3 * i + j] += share * ((along - across) * g[i] * g[j] + (i === j ? across : 0));
      }
    }
  }
  for (let i = 0; i < 9; i += 4) d[i] += Math.max(0, rest) * phantomDiffusivities.tissue;
  const md = (d[0] + d[4] + d[8]) / 3;
  let square = 0;
  for (const value of d) square += value * value;
  return { fa: Math.sqrt(Math.max(0, 1.5 * (1 - (3 * md * md) / square))), md };
}
