/** The response of a single fibre, estimated from the voxels of highest anisotropy. */
import type { Dwi } from "../io/dwi.ts";
import { createDtiKernel, DTI_OUTPUTS } from "../kernels/dti.ts";
import { InputError } from "../model.ts";

/** Voxels above this fractional anisotropy count as single fibres. */
const FA_THRESHOLD = 0.7;

/** A tensor along its first eigenvector, and the signal without diffusion weighting. */
export interface TensorResponse {
  /** mm²/s. */
  readonly evals: readonly [number, number, number];
  readonly s0: number;
}

export interface AutoResponse extends TensorResponse {
  /** Second eigenvalue over the first. */
  readonly ratio: number;
  /** Voxels that it was estimated from. */
  readonly voxels: number;
}

/** Smaller samples are lifted to this before the logarithm, as in DIPY's TensorModel. */
const MIN_SIGNAL = 1e-4;

const remedy = "give the response as E1,E2,E3,S0 or as a file";

/**
 * DIPY's auto_response_ssst with its defaults: weighted tensor fits of the cuboid around the centre of
 * the volume (radius 10), voxels with FA > 0.7; of these the mean eigenvalues (the second one twice)
 * and the mean b0 signal. Where a mask file was given, only voxels in it count, as if DIPY were given
 * masked data. Only b0 volumes and `volumes` are used. Throws InputError where there is no
 * b0 volume or no such voxel.
 */
export function autoResponse(dwi: Dwi, volumes: Int32Array): AutoResponse {
  const { isB0 } = dwi.gradients;
  const b0Volumes = Int32Array.from(isB0.keys()).filter((i) => isB0[i] === 1);
  if (b0Volumes.length === 0) {
    throw new InputError(`The response cannot be estimated without a b0 volume; ${remedy}.`);
  }
  const { evals, fa } = fitTensors(dwi, Int32Array.from([...b0Volumes, ...volumes]).sort());
  const chosen = Array.from(fa.keys()).filter((v) => fa[v] > FA_THRESHOLD);
  if (chosen.length === 0) {
    throw new InputError(
      `None of the ${fa.length} voxels around the centre of the volume (${dwi.centre.shape.join(" x ")}) has a fractional anisotropy above ${FA_THRESHOLD} (signals below ${MIN_SIGNAL} count as that), so the response cannot be estimated; ${remedy}.`,
    );
  }
  const first = mean(chosen.map((v) => evals[3 * v]));
  const second = mean(chosen.map((v) => evals[3 * v + 1]));
  const width = isB0.length;
  const s0 = mean(
    chosen.flatMap((v) => Array.from(b0Volumes, (i) => dwi.centre.signals[v * width + i])),
  );
  return { evals: [first, second, second], s0, ratio: second / first, voxels: chosen.length };
}

function fitTensors(dwi: Dwi, volumes: Int32Array): { evals: Float64Array; fa: Float64Array } {
  const { bvals, bvecs } = dwi.gradients.given ?? dwi.gradients;
  const { signals } = dwi.centre;
  const width = bvals.length;
  const count = signals.length / width;
  const kernel = createDtiKernel({
    ...{ width, volumes, bvals, bvecs, slope: 1, intercept: 0 },
    method: "wls",
    minSignal: MIN_SIGNAL,
  });
  const views = DTI_OUTPUTS.map(([, numbers]) => new Float64Array(numbers * count));
  kernel.fit(signals, 0, count, views, 0);
  const view = (name: string) => views[DTI_OUTPUTS.findIndex(([output]) => output === name)];
  return { evals: view("evals"), fa: view("fa") };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
