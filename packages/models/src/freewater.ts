/** The free-water tensor model. */
import type { Dwi } from "./io/dwi.ts";
import { kernelWarnings } from "./kernelEngine.ts";
import { kernelHash } from "./kernelHash.ts";
import { FREE_WATER_OUTPUTS, type FreeWaterParameters } from "./kernels/freewater.ts";
import { WATER_DIFFUSIVITY } from "./kernels/freewaterMemory.ts";
import { createTensorDesign } from "./kernels/tensor.ts";
import { type DwiModel, InputError } from "./model.ts";
import {
  checkMethod,
  type Descriptions,
  fieldOf,
  mapFiles,
  nameOfInput,
  outputFields,
  STATUS_DESCRIPTION,
  sampleParameters,
} from "./tensor/model.ts";
import { predictFreeWater } from "./tensor/predict.ts";

export interface FreeWaterOptions {
  /** Nonlinear least squares of the signal (default), or the weighted linear grid alone. */
  readonly method?: "nls" | "wls";
}

export interface FreeWaterExtras {
  /**
   * The signal of every fitted voxel: `[voxels, volumes]`, in units of the signal; 0 where a voxel was
   * not fitted. Eigenvalues of the maps are not below 0, so where the search ended with a negative one
   * this is not exactly the curve that was fitted.
   */
  predict(): Float64Array;
}

const DESCRIPTIONS: Descriptions = {
  params: [
    "mm2/s, 1",
    "3 eigenvalues of the tissue tensor (mm2/s, falling), its matrix of eigenvectors by rows (columns are the vectors, in the frame of the bvecs, with the component of greatest size positive), free-water fraction",
  ],
  fa: ["1", "Fractional anisotropy of the tissue tensor"],
  md: ["mm2/s", "Mean diffusivity of the tissue tensor"],
  f: ["1", "Free-water fraction; exactly 1 where the voxel is water alone"],
  s0: ["signal", "Fitted signal without diffusion weighting"],
  evaluations: ["1", "Model evaluations of the nonlinear search; 0 where there was none"],
  status: ["1", STATUS_DESCRIPTION],
};

/** Rounds of the grid over f: the last has steps of 0.001. */
const GRID_ROUNDS = 3;

/**
 * Fits a diffusion tensor and a share of free water (3e-3 mm²/s) to all volumes. Needs b0 volumes and
 * at least two further b-values: throws InputError where they are missing, on an unknown method, and
 * where the directions do not determine a tensor.
 */
export function freeWater(dwi: Dwi, options: FreeWaterOptions = {}): DwiModel<FreeWaterExtras> {
  const method = checkMethod("freewater", options.method ?? "nls", ["nls", "wls"]);
  const samples = sampleParameters(dwi);
  checkBvals(dwi, samples.bvals);
  createTensorDesign(samples);
  const parameters: FreeWaterParameters = {
    ...samples,
    method,
    isB0: dwi.gradients.isB0,
    gridRounds: GRID_ROUNDS,
  };
  return {
    name: "freewater",
    dwi,
    signals: dwi.signals,
    outputs: outputFields(FREE_WATER_OUTPUTS, DESCRIPTIONS),
    kernel: {
      module: "@fascicle/models/kernels",
      name: "freewater",
      hash: kernelHash(),
      parameters,
    },
    options: { method, waterDiffusivity: WATER_DIFFUSIVITY },
    warnings: kernelWarnings(),
    files: mapFiles("freewater", FREE_WATER_OUTPUTS, DESCRIPTIONS),
    extend: (fit) => ({
      predict: () =>
        predictFreeWater(samples, fieldOf(fit, "params"), fieldOf(fit, "s0"), WATER_DIFFUSIVITY),
    }),
  };
}

function checkBvals(dwi: Dwi, bvals: Float64Array): void {
  const { isB0, b0Threshold } = dwi.gradients;
  const subject = nameOfInput(dwi, "bval");
  if (!isB0.includes(1)) {
    throw new InputError(
      `${subject} has no b0 volume (b at or below ${b0Threshold}); free water needs at least one.`,
    );
  }
  const distinct = distinctBvals(bvals);
  if (distinct.length >= 3) return;
  const weighted = distinctBvals(bvals.filter((_, i) => isB0[i] === 0));
  const found =
    weighted.length === 1
      ? `one b-value above b0 (about ${weighted[0]} s/mm²)`
      : `too few b-values (about ${distinct.join(" and ")} s/mm²)`;
  throw new InputError(
    `${subject} has only ${found}; free water needs b0 and at least two shells, so fit dti or csd instead.`,
  );
}

/** The different b-values after rounding to the second digit of the greatest: to 100 from 1000 to 9999. */
function distinctBvals(bvals: Float64Array): number[] {
  const greatest = bvals.reduce((a, b) => Math.max(a, b), 0);
  if (greatest === 0) return bvals.length > 0 ? [0] : [];
  // 998 counts as 1000 here, or else a shell of 987 to 998 would be two.
  const digits = Math.floor(Math.log10(Number(greatest.toPrecision(2))) + 1e-9);
  const unit = 10 ** (digits - 1);
  return [...new Set(bvals.map((b) => Math.round(b / unit) * unit))].sort((a, b) => a - b);
}
