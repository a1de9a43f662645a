import { describe, expect, it } from "vitest";
import {
  gradientTable,
  readReferenceGradients,
  readReferenceImage,
} from "../tensor/referenceCase.ts";
import { createDtiKernel, DTI_OUTPUTS, type DtiParameters } from "./dti.ts";

const dwi = readReferenceImage("csd_real_64dir/dwi.nii.gz");
const gradients = readReferenceGradients("csd_real_64dir");

function parameters(changes: Partial<DtiParameters> = {}): DtiParameters {
  return {
    width: gradients.bvals.length,
    volumes: Int32Array.from(gradients.bvals, (_, i) => i),
    bvals: gradients.bvals,
    bvecs: gradients.bvecs,
    slope: 1,
    intercept: 0,
    method: "wls",
    minSignal: 1e-4,
    ...changes,
  };
}

type Fitted = Record<(typeof DTI_OUTPUTS)[number][0], Float64Array>;

/** Fits in chunks of the given sizes, taken in turn. */
function fit(settings: DtiParameters, signals: Float64Array, chunks: number[] = []): Fitted {
  const count = signals.length / settings.width;
  const views = DTI_OUTPUTS.map(([, width]) => new Float64Array(count * width).fill(-7));
  for (let first = 0, turn = 0; first < count; turn++) {
    const size = Math.min(count - first, chunks.length > 0 ? chunks[turn % chunks.length] : count);
    createDtiKernel(settings).fit(signals, first, size, views, first);
    first += size;
  }
  return Object.fromEntries(DTI_OUTPUTS.map(([name], i) => [name, views[i]])) as Fitted;
}

function greatestDifference(left: Float64Array, right: Float64Array): number {
  let greatest = 0;
  for (let i = 0; i < left.length; i++) {
    const difference = Math.abs(left[i] - right[i]);
    if (!(difference <= greatest)) greatest = difference;
  }
  return greatest;
}

describe("dti kernel", () => {
  it("gives DIPY's weighted fit of real data, zero samples included", () => {
    const fitted = fit(parameters(), dwi.data);
    const evals = readReferenceImage("dti_real_64dir/expected_evals.nii.gz").data;
    expect(greatestDifference(fitted.evals, evals)).toBeLessThan(1e-12);
    const fa = readReferenceImage("dti_real_64dir/expected_fa.nii.gz").data;
    expect(greatestDifference(fitted.fa, fa)).toBeLessThan(1e-8);
    const md = readReferenceImage("dti_real_64dir/expected_md.nii.gz").data;
    expect(greatestDifference(fitted.md, md)).toBeLessThan(1e-12);
    expect(fitted.status.every((status) => status === 0)).toBe(true);
  });
});
void gradientTable;
