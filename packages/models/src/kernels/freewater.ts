/** The free-water tensor model of a voxel: a tensor and a share of free water. */
import { InputError, type OutputView, type VoxelKernel, VoxelStatus } from "../model.ts";
import { eigen3 } from "./eigen3.ts";
import { createFreeWaterGrid, type FreeWaterGrid, MIN_SIGNAL } from "./freewaterGrid.ts";
import { createFreeWaterMemory } from "./freewaterMemory.ts";
import { createFreeWaterSearch, type FreeWaterSearch } from "./freewaterSearch.ts";
import type { KernelEngine } from "./kernelMemory.ts";
import type { SampleParameters } from "./tensor.ts";
import { createTensorDesign, fractionalAnisotropy, readSamples, SampleState } from "./tensor.ts";

/** A voxel whose plain tensor has a greater mean diffusivity is water alone, mm²/s. */
const WATER_THRESHOLD = 2.7e-3;

/** Found with more f than this, or with a greater share of the signal left over, the grid has its say. */
const WATER_PREVAILS = 0.9;
const NOISE_PREVAILS = 0.1;

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
  /** What the search has left of the signal, over the square of the mean b0 signal. */
  cost: number;
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
export function createFreeWaterKernel(
  parameters: FreeWaterParameters,
  engine?: KernelEngine,
): VoxelKernel {
  const fitter = createFitter(parameters, engine);
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

function createFitter(parameters: FreeWaterParameters, engine?: KernelEngine): Fitter {
  const design = createTensorDesign(parameters);
  const memory = createFreeWaterMemory(design, engine);
  const { samples } = memory.arrays;
  const grid = createFreeWaterGrid(design, memory);
  const search = createFreeWaterSearch(design, memory);
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
    cost: 0,
    status: VoxelStatus.fitted,
  };

  function fit(signals: Float32Array | Float64Array, index: number): void {
    voxel.evaluations = 0;
    const state = readSamples(signals, index, parameters, samples);
    if (state === SampleState.notFinite) giveUp(voxel, VoxelStatus.notFinite);
    else if (state === SampleState.noSignal) giveUp(voxel, VoxelStatus.noSignal);
    else fitUsable();
    // Sums of signals beyond about 1e150 leave the range of float64: that is no fit.
    if (!isInRange(voxel)) giveUp(voxel, VoxelStatus.notFinite);
  }

  function fitUsable(): void {
    let b0Sum = 0;
    for (let i = 0; i < b0.length; i++) b0Sum += samples[b0[i]];
    const s0 = b0Sum / b0.length;
    const alive = meanOf(samples, design.samples) > MIN_SIGNAL && s0 > MIN_SIGNAL;
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
    if (parameters.method === "wls") {
      if (grid.run(s0, parameters.gridRounds)) takeGrid(voxel, grid, design.unit);
      else giveUp(voxel, VoxelStatus.notFinite);
      return;
    }
    // The search finds the same optimum from almost anywhere, but for where water or noise prevails: there may be
    // other valleys, and there is no search at all from 0.99 on the grid on. Such voxels take the grid as well.
    grid.fitTissue(s0);
    search.run(grid.tensor, s0);
    takeSearch(voxel, search, design.unit);
    if (search.f < WATER_PREVAILS && search.noise < NOISE_PREVAILS) return;
    if (!grid.run(s0, parameters.gridRounds)) {
      giveUp(voxel, VoxelStatus.notFinite);
      return;
    }
    if (grid.f >= 0.99) {
      voxel.evaluations = 0;
      takeGrid(voxel, grid, design.unit);
      return;
    }
    searchFrom(grid.tensor, s0);
    searchFrom(search.typical, s0);
  }

  /** One more search: of valleys the deepest is the answer. */
  function searchFrom(tensor: Float64Array, s0: number): void {
    const before = voxel.evaluations;
    search.run(tensor, s0);
    if (search.cost < voxel.cost) takeSearch(voxel, search, design.unit);
    voxel.evaluations = before + search.evaluations;
  }

  return { voxel, fit };
}

function takeSearch(voxel: Voxel, search: FreeWaterSearch, unit: number): void {
  voxel.tensor.set(search.tensor);
  voxel.f = search.f;
  voxel.s0 = search.s0;
  voxel.evaluations = search.evaluations;
  voxel.cost = search.cost;
  voxel.status = search.converged ? VoxelStatus.fitted : VoxelStatus.notConverged;
  decompose(voxel, unit);
}

function takeGrid(voxel: Voxel, grid: FreeWaterGrid, unit: number): void {
  voxel.tensor.set(grid.tensor);
  voxel.f = grid.f;
  voxel.s0 = grid.s0;
  voxel.status = VoxelStatus.fitted;
  decompose(voxel, unit);
}

/** Eigenvalues in mm²/s, not below 0, and eigenvectors of the scaled tensor. */
function decompose(voxel: Voxel, unit: number): void {
  eigen3(voxel.tensor, voxel.values, voxel.vectors);
  for (let k = 0; k < 3; k++) voxel.values[k] = Math.max(voxel.values[k] * unit, 0);
}

function isInRange({ values, f, s0 }: Voxel): boolean {
  return Number.isFinite(values[0] + values[1] + values[2] + f + s0);
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

function meanOf(samples: Float64Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += samples[i];
  return sum / count;
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
