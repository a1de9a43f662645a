/** What a CSD fit can do beyond its maps. */

import { forwardSdeconvMatrix } from "../kernels/csdMatrices.ts";
import type { ShBasis } from "../kernels/csdParameters.ts";
import { harmonicOrders, mrtrixPlaces, realShBasis } from "../kernels/sphericalHarmonics.ts";
import { type FittedMaps, InputError } from "../model.ts";

export interface CsdExtras {
  /**
   * Amplitudes of each voxel's fibre orientation distribution: [voxels, directions]. Directions are 3
   * numbers each, of any length, in the frame of the coefficients: that of the bvecs, or the scanner's
   * with shBasis "mrtrix3".
   */
  odf(directions: Float64Array): Float64Array;
  /**
   * The signal that the fit predicts: [voxels, volumes]. b0 volumes are s0 (a number, or one for each
   * voxel; default 1); fitted volumes the response turned by the fibre orientations, scaled by s0 over
   * the response's b0 signal; NaN for volumes of shells that were not fitted. A voxel that was not fitted has 0 in the fitted volumes. With s0 equal to the
   * response's, the fitted volumes are in units of the data.
   */
  predict(options?: { readonly s0?: Float64Array | number }): Float64Array;
}

export interface CsdExtrasDesign {
  readonly shOrder: number;
  readonly shBasis: ShBasis;
  /** Directions of the fitted volumes, 3 numbers each. */
  readonly directions: Float64Array;
  readonly volumes: Int32Array;
  readonly isB0: Uint8Array;
  readonly responseHarmonics: Float64Array;
  readonly responseS0?: number;
}

export function csdExtras(design: CsdExtrasDesign, fit: FittedMaps): CsdExtras {
  // Its values may lie on disk: they are asked for when they are needed, and not before.
  const { sh } = fit.maps;
  const [voxels, count] = sh.shape;
  return {
    odf(directions) {
      if (directions.length === 0 || directions.length % 3 !== 0) {
        throw new InputError(
          `The directions are ${directions.length} numbers; give 3 (x, y, z) for each direction.`,
        );
      }
      const matrix = ordered(realShBasis(design.shOrder, directions), design);
      const amplitudes = new Float64Array((voxels * directions.length) / 3);
      const all = Int32Array.from({ length: directions.length / 3 }, (_, i) => i);
      multiply(sh.data, count, matrix, amplitudes, all, all.length, () => 1);
      return amplitudes;
    },
    predict({ s0 = 1 } = {}) {
      const scale = scaleOf(design, s0, voxels);
      const width = design.isB0.length;
      const diagonal = forwardSdeconvMatrix(
        design.responseHarmonics,
        harmonicOrders(design.shOrder),
      );
      const matrix = ordered(
        realShBasis(design.shOrder, design.directions).map(
          (value, i) => value * diagonal[i % count],
        ),
        design,
      );
      const signal = new Float64Array(voxels * width).fill(Number.NaN);
      for (let v = 0; v < voxels; v++) {
        for (let i = 0; i < width; i++) {
          if (design.isB0[i] === 1) signal[v * width + i] = typeof s0 === "number" ? s0 : s0[v];
        }
      }
      multiply(sh.data, count, matrix, signal, design.volumes, width, scale);
      return signal;
    },
  };
}

/** The columns in the order of the written coefficients. */
function ordered(basis: Float64Array, { shOrder, shBasis }: CsdExtrasDesign): Float64Array {
  if (shBasis === "descoteaux07") return basis;
  const places = mrtrixPlaces(shOrder);
  const count = places.length;
  // The permutation is its own inverse.
  return basis.map((_, i) => basis[i - (i % count) + places[i % count]]);
}

function scaleOf(
  { responseS0 }: CsdExtrasDesign,
  s0: Float64Array | number,
  voxels: number,
): (voxel: number) => number {
  if (responseS0 === undefined) {
    throw new InputError(
      "The response file gives no b0 signal, by which a prediction is scaled; give it with the response, as { file, s0 }.",
    );
  }
  if (typeof s0 === "number") return () => s0 / responseS0;
  if (s0.length !== voxels) {
    throw new InputError(
      `s0 has ${s0.length} numbers for ${voxels} voxels; give one for each voxel, or one number.`,
    );
  }
  return (voxel) => s0[voxel] / responseS0;
}

/** out[v, places[i]] = scale(v) * matrix row i times the coefficients of voxel v. */
function multiply(
  coefficients: ArrayLike<number>,
  count: number,
  matrix: Float64Array,
  out: Float64Array,
  places: Int32Array,
  width: number,
  scale: (voxel: number) => number,
): void {
  const voxels = out.length / width;
  for (let v = 0; v < voxels; v++) {
    const factor = scale(v);
    for (let i = 0; i < places.length; i++) {
      let sum = 0;
      for (let n = 0; n < count; n++) sum += matrix[i * count + n] * coefficients[v * count + n];
      out[v * width + places[i]] = factor * sum;
    }
  }
}
