/** The fibre orientation distribution of a voxel by constrained spherical deconvolution. */
import { type OutputView, type VoxelKernel, VoxelStatus } from "../model.ts";
import { type CsdDesign, createCsdDesign } from "./csdDesign.ts";
import { CsdFlow } from "./csdFlow.ts";
import type { CsdParameters } from "./csdParameters.ts";
import { startVoxel, unconstrainedHarmonics } from "./csdStart.ts";
import { coefficientIndex, mrtrixPlaces } from "./sphericalHarmonics.ts";

/** Names of the outputs in the order in which the kernel takes their views. `sh` is as wide as there are coefficients. */
export const CSD_OUTPUTS = ["sh", "gfa", "iterations", "status"] as const;

/**
 * Constrained spherical deconvolution (Tournier, Calamante & Connelly 2007): least squares with a
 * penalty on the directions in which the amplitude is too small, repeated until that set of
 * directions stays the same. Start, threshold and stop are those of DIPY's csdeconv.
 *
 * Outputs: sh (coefficients, in signal units over those of the response), gfa, iterations (0 where no
 * direction was too small), status. All 0 where the status is 2, 3 or 4.
 */
export function createCsdKernel(parameters: CsdParameters): VoxelKernel {
  return kernelOf(parameters, createCsdDesign(parameters));
}

/** The kernel that works in the memory of a design. */
export function kernelOf(parameters: CsdParameters, design: CsdDesign): VoxelKernel {
  const { width, shOrder, shBasis } = parameters;
  const flow = new CsdFlow(design, parameters);
  const places =
    shBasis === "mrtrix3"
      ? mrtrixPlaces(shOrder)
      : Uint16Array.from({ length: design.count }, (_, i) => i);
  return {
    fit(signals, first, count, out, outFirst) {
      const write = (voxel: number, f: Float64Array, iterations: number, status: number) =>
        writeVoxel(f, iterations, finished(f, status), places, out, outFirst + voxel);
      flow.run({
        count,
        start(voxel) {
          const at = (first + voxel.index) * width;
          const status = startVoxel(design, voxel, signals, at, parameters);
          if (status !== undefined) write(voxel.index, unconstrainedHarmonics(design), 0, status);
          return status === undefined;
        },
        finish(voxel, lane, status) {
          write(voxel.index, harmonicsOf(design, lane), voxel.iterations, status);
        },
      });
    },
  };
}

/** The harmonics of the voxel in a lane of the float64 stage. */
function harmonicsOf(design: CsdDesign, lane: number): Float64Array {
  const { functions, arrays, float64, blocks, count } = design;
  const { coefficients, toHarmonics, harmonics } = arrays;
  for (let n = 0; n < count; n++) coefficients[n] = float64.x[float64.lanes * n + lane];
  const [from, to] = [toHarmonics.byteOffset, harmonics.byteOffset];
  functions.csdMultiply(from, blocks, count, count, coefficients.byteOffset, to);
  return harmonics.subarray(0, count);
}

/** A result beyond the range of float64 is no result. */
function finished(f: Float64Array, status: number): number {
  if (status !== VoxelStatus.fitted && status !== VoxelStatus.notConverged) return status;
  let check = 0;
  for (let i = 0; i < f.length; i++) check += f[i] - f[i];
  return check === 0 ? status : VoxelStatus.notFinite;
}

function writeVoxel(
  f: Float64Array,
  iterations: number,
  status: number,
  places: Uint16Array,
  out: readonly OutputView[],
  at: number,
): void {
  const [sh, gfa, rounds, statuses] = out;
  const start = at * places.length;
  statuses[at] = status;
  if (status !== VoxelStatus.fitted && status !== VoxelStatus.notConverged) {
    sh.fill(0, start, start + places.length);
    gfa[at] = 0;
    rounds[at] = 0;
    return;
  }
  for (let i = 0; i < places.length; i++) sh[start + places[i]] = f[i];
  gfa[at] = generalisedFractionalAnisotropy(f);
  rounds[at] = iterations;
}

/** Generalised fractional anisotropy (Tuch 2004) of harmonic coefficients: sqrt(1 - f0²/|f|²); 0 where all are 0. */
export function generalisedFractionalAnisotropy(f: Float64Array): number {
  let greatest = 0;
  for (let i = 0; i < f.length; i++) greatest = Math.max(greatest, Math.abs(f[i]));
  if (greatest === 0) return 0;
  const mean = f[coefficientIndex(0, 0)] / greatest;
  let power = mean * mean;
  for (let i = 1; i < f.length; i++) power += (f[i] / greatest) * (f[i] / greatest);
  return Math.sqrt(1 - (mean * mean) / power);
}
