/** The diffusion tensor model. */
import type { Dwi } from "./io/dwi.ts";
import { kernelWarnings } from "./kernelEngine.ts";
import { kernelHash } from "./kernelHash.ts";
import { DTI_OUTPUTS, type DtiParameters } from "./kernels/dti.ts";
import { createTensorDesign } from "./kernels/tensor.ts";
import { type DwiModel, InputError } from "./model.ts";
import {
  checkMethod,
  type Descriptions,
  fieldOf,
  mapFiles,
  outputFields,
  STATUS_DESCRIPTION,
  sampleParameters,
} from "./tensor/model.ts";
import { predictTensor } from "./tensor/predict.ts";

export interface DtiOptions {
  /** Weighted (default) or ordinary least squares of the logarithm of the signal. */
  readonly method?: "wls" | "ols";
  /** Samples below this count as this before the logarithm, in units of the signal. Default 1e-4, as in DIPY. */
  readonly minSignal?: number;
}

export interface DtiExtras {
  /** The signal of every fitted tensor: `[voxels, volumes]`, in units of the signal; 0 where a voxel was not fitted. */
  predict(): Float64Array;
}

/** DIPY's; data in tiny units need a smaller one. */
const defaultMinSignal = 1e-4;

const DESCRIPTIONS: Descriptions = {
  evals: ["mm2/s", "Eigenvalues of the diffusion tensor, falling"],
  evecs: [
    "1",
    "Matrix of eigenvectors by rows; its columns are the vectors, in the frame of the bvecs, with the component of greatest size positive",
  ],
  fa: ["1", "Fractional anisotropy"],
  md: ["mm2/s", "Mean diffusivity"],
  ad: ["mm2/s", "Axial diffusivity, the greatest eigenvalue"],
  rd: ["mm2/s", "Radial diffusivity, the mean of the two smaller eigenvalues"],
  s0: ["signal", "Fitted signal without diffusion weighting"],
  status: ["1", STATUS_DESCRIPTION],
};

/**
 * Fits a diffusion tensor to all volumes (Basser et al. 1994), by default with the weights of an
 * ordinary first fit (Chung, Lu & Henry 2006). Samples below `minSignal` count as that: a constant, so
 * that a voxel's answer never depends on other voxels. Throws InputError on an unknown method and where the directions do not
 * determine a tensor.
 */
export function dti(dwi: Dwi, options: DtiOptions = {}): DwiModel<DtiExtras> {
  const method = checkMethod("dti", options.method ?? "wls", ["wls", "ols"]);
  const parameters: DtiParameters = {
    ...sampleParameters(dwi),
    method,
    minSignal: checkMinSignal(options.minSignal ?? defaultMinSignal),
  };
  createTensorDesign(parameters);
  return {
    name: "dti",
    dwi,
    signals: dwi.signals,
    outputs: outputFields(DTI_OUTPUTS, DESCRIPTIONS),
    kernel: { module: "@fascicle/models/kernels", name: "dti", hash: kernelHash(), parameters },
    options: { method, minSignal: parameters.minSignal },
    warnings: kernelWarnings(),
    files: mapFiles("dti", DTI_OUTPUTS, DESCRIPTIONS),
    extend: (fit) => ({
      predict: () =>
        predictTensor(parameters, fieldOf(fit, "evals"), fieldOf(fit, "evecs"), fieldOf(fit, "s0")),
    }),
  };
}

function checkMinSignal(minSignal: number): number {
  if (!(minSignal > 0 && Number.isFinite(minSignal))) {
    throw new InputError(`The least signal is ${minSignal}; give a number above 0.`);
  }
  return minSignal;
}
