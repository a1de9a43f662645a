/** The free-water tensor model of a voxel: a tensor and a share of free water. */
import { InputError, type OutputView, type VoxelKernel, VoxelStatus } from "../model.ts";
import { eigen3 } from "./eigen3.ts";
import { createFreeWaterGrid, type FreeWaterGrid, MIN_SIGNAL } from "./freewaterGrid.ts";
import { createFreeWaterSearch } from "./freewaterSearch.ts";
import type { SampleParameters } from "./tensor.ts";
import { createTensorDesign, fractionalAnisotropy, readSamples, SampleState } from "./tensor.ts";

/** A voxel whose plain tensor has a greater mean diffusivity is water alone, mm²/s. */
const WATER_THRESHOLD = 2.7e-3;

export interface FreeWaterParameters extends SampleParameters {
  readonly method: "nls" | "wls";
  /** Which of the `width` samples count as b0; at least one of the used ones. */
  readonly isB0: Uint8Array;
  /** Rounds of the grid over f, each ten times finer than the one before; 3 gives steps of 0.001. */
  readonly gridRounds: number;
}

/** Names of the outputs in the order in which the kernel takes their views, with their widths. */
export const FREE_WATER_OUTPUTS = [
  ["params", 13],
  ["fa", 1],
  ["md", 1],
  ["f", 1],
  ["s0", 1],
  ["evaluations", 1],
  ["status", 1],
] as const;

/** One voxel's answer, as the stages fill it in. */
interface Voxel {
  /** Scaled tensor (xx, xy, yy, xz, yz, zz). */
  readonly tensor: Float64Array;
  readonly values: Float64Array;
  readonly vectors: Float64Array;
  f: number;
  s0: number;
  evaluations: number;
  status: number;
}

/**
 * S = S0 ((1-f) exp(-b g'Dg) + f exp(-b 3e-3)) (Pasternak et al. 2009), fitted by weighted linear
 * least squares on a grid of f (Hoy et al. 2014; Henriques et al. 2017), and with "nls" then by least
 * squares of the signal in D, S0 and f.
 *
 * Throws InputError without a b0 volume or where the directions do not determine a tensor.
 *
 * Outputs: params (13: eigenvalues in mm²/s, falling and not below 0; eigenvector matrix by rows; f),
 * fa, md (mm²/s), f, s0, evaluations (of the nonlinear search; 0 where there was none), status.
 * Water alone is f = 1 with a zero tensor and the s0 that fits best; a voxel without b0 signal is all 0 with status 3.
 */
export function createFreeWaterKernel(parameters: FreeWaterParameters): VoxelKernel {
  const fitter = createFitter(parameters);
  return {
    fit(signals, first, count, out, outFirst) {
      for (let v = 0; v < count; v++) {
        fitter.fit(signals, first + v);
        writeVoxel(fitter.voxel, out, outFirst + v);
      }
    },
  };
}

interface Fitter {
  readonly voxel: Voxel;
  fit(signals: Float32Array | Float64Array, index: number): void;
}

function createFitter(parameters: FreeWaterParameters): Fitter {
  const design = createTensorDesign(parameters);
  const samples = new Float64Array(design.samples);
  const grid = createFreeWaterGrid(design, samples);
  const search = createFreeWaterSearch(design, samples);
  const b0 = Int32Array.from(parameters.volumes.keys()).filter(
    (i) => parameters.isB0[parameters.volumes[i]] === 1,
  );
  if (b0.length === 0) throw new InputError("Free water needs at least one b0 volume.");
  const voxel: Voxel = {
    tensor: new Float64Array(6),
    values: new Float64Array(3),
    vectors: new Float64Array(9),
    f: 0,
    s0: 0,
    evaluations: 0,
    status: VoxelStatus.fitted,
  };

  function fit(signals: Float32Array | Float64Array, index: number): void {
    voxel.evaluations = 0;
    const state = readSamples(signals, index, parameters, samples);
    if (state === SampleState.notFinite) giveUp(voxel, VoxelStatus.notFinite);
    else if (state === SampleState.noSignal) giveUp(voxel, VoxelStatus.noSignal);
    else fitUsable();
  }

  function fitUsable(): void {
    let b0Sum = 0;
    for (let i = 0; i < b0.length; i++) b0Sum += samples[b0[i]];
    const s0 = b0Sum / b0.length;
    const alive = meanOf(samples) > MIN_SIGNAL && s0 > MIN_SIGNAL;
    if (!grid.prepare()) {
      giveUp(voxel, alive ? VoxelStatus.singular : VoxelStatus.noSignal);
      return;
    }
    const diffusivity = grid.plainMeanDiffusivity();
    if (diffusivity > WATER_THRESHOLD) giveWater(voxel, grid.waterS0());
    else if (alive) fitTissue(s0);
    else giveUp(voxel, VoxelStatus.noSignal);
  }

  function fitTissue(s0: number): void {
    const searching = parameters.method === "nls";
    grid.begin(s0);
    // Where tissue prevails the search reaches the same optimum from a coarse start. Where water does, there
    // may be a second valley, and there is no search at all from 0.99 on: both take the whole grid.
    if (searching) grid.scout();
    if (!searching || grid.f > 0.6) for (let k = 0; k < parameters.gridRounds; k++) grid.round();
    voxel.status = VoxelStatus.fitted;
    takeGrid(voxel, grid, design.unit);
    if (!searching || grid.f >= 0.99) return;
    search.run(voxel.values, voxel.vectors, design.unit, grid.f, s0);
    voxel.tensor.set(search.tensor);
    voxel.f = search.f;
    voxel.s0 = search.s0;
    voxel.evaluations = search.evaluations;
    voxel.status = search.converged ? VoxelStatus.fitted : VoxelStatus.notConverged;
    decompose(voxel, design.unit);
  }

  return { voxel, fit };
}

function takeGrid(voxel: Voxel, grid: FreeWaterGrid, unit: number): void {
  voxel.tensor.set(grid.tensor);
  voxel.f = grid.f;
  voxel.s0 = grid.s0;
  decompose(voxel, unit);
}

/** Eigenvalues in mm²/s, not below 0, and eigenvectors of the scaled tensor. */
function decompose(voxel: Voxel, unit: number): void {
  eigen3(voxel.tensor, voxel.values, voxel.vectors);
  for (let k = 0; k < 3; k++) voxel.values[k] = Math.max(voxel.values[k] * unit, 0);
}

function giveUp(voxel: Voxel, status: number): void {
  voxel.values.fill(0);
  voxel.vectors.fill(0);
  voxel.f = 0;
  voxel.s0 = 0;
  voxel.status = status;
}

function giveWater(voxel: Voxel, s0: number): void {
  giveUp(voxel, VoxelStatus.fitted);
  voxel.f = 1;
  voxel.s0 = s0;
}

function meanOf(samples: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += samples[i];
  return sum / samples.length;
}

function writeVoxel(voxel: Voxel, out: readonly OutputView[], at: number): void {
  const { values, vectors } = voxel;
  const [params, fa, md, f, s0, evaluations, status] = out;
  params.set(values, 13 * at);
  params.set(vectors, 13 * at + 3);
  params[13 * at + 12] = voxel.f;
  fa[at] = fractionalAnisotropy(values[0], values[1], values[2]);
  md[at] = (values[0] + values[1] + values[2]) / 3;
  f[at] = voxel.f;
  s0[at] = voxel.s0;
  evaluations[at] = voxel.evaluations;
  status[at] = voxel.status;
}
