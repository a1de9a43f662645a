/** How far two answers to the same voxels are apart. */
import type { Dwi } from "@fascicle/models";
import { signalsOf } from "./caseFiles.ts";

/** mm²/s */
const waterDiffusivity = 3e-3;

/** Figures by name, and the same for people. */
export interface Agreement {
  readonly figures: Readonly<Record<string, number>>;
  readonly words: string;
}

/** |ours - theirs| / |theirs| of rows of coefficients: median and worst. */
export function agreeOnCoefficients(
  ours: Float64Array,
  theirs: Float64Array,
  width: number,
): Agreement {
  const errors: number[] = [];
  for (let row = 0; row < ours.length; row += width) {
    let error = 0;
    let size = 0;
    for (let i = row; i < row + width; i++) {
      error += (ours[i] - theirs[i]) ** 2;
      size += theirs[i] ** 2;
    }
    errors.push(error === 0 ? 0 : Math.sqrt(error / size));
  }
  const relativeL2Median = quantile(errors, 0.5);
  const relativeL2Worst = quantile(errors, 1);
  return {
    figures: { relativeL2Median, relativeL2Worst },
    words: `rel-L2 ${short(relativeL2Median)}, worst ${short(relativeL2Worst)}`,
  };
}

/** Values in each row of free-water parameters: eigenvalues, eigenvectors by rows, f. */
const waterParameters = 13;

/**
 * Rows of free-water parameters: differences of f, and how far our sum of squares is above theirs where both found tissue. Neither
 * side says its signal at b0 the same way, so each gets the one that suits its curve best.
 */
export function agreeOnWater(ours: Float64Array, theirs: Float64Array, scan: Dwi): Agreement {
  const { width } = scan.signals;
  const signals = signalsOf(scan);
  const differences: number[] = [];
  const excesses: number[] = [];
  for (let voxel = 0; voxel < scan.signals.voxelCount; voxel++) {
    const [a, b] = [ours, theirs].map((all) => {
      return all.subarray(voxel * waterParameters, (voxel + 1) * waterParameters);
    });
    differences.push(Math.abs(a[12] - b[12]));
    if (lacksTensor(a) || lacksTensor(b)) continue;
    const signal = signals.subarray(voxel * width, (voxel + 1) * width);
    excesses.push(sumOfSquares(signal, a, scan) / sumOfSquares(signal, b, scan) - 1);
  }
  const fDifference99 = quantile(differences, 0.99);
  const fDifferenceWorst = quantile(differences, 1);
  const costExcessMedian = quantile(excesses, 0.5);
  const costExcessWorst = quantile(excesses, 1);
  return {
    figures: { fDifference99, fDifferenceWorst, costExcessMedian, costExcessWorst },
    words: `f within ${short(fDifference99)} (99 %), ${short(fDifferenceWorst)} (all); squares above theirs by ${short(Math.max(0, costExcessWorst))} at most`,
  };
}

/** No tissue to compare, or a tensor that was cut off at 0 after the fit, so that its curve is another. */
const lacksTensor = (parameters: Float64Array) => parameters[12] >= 0.99 || parameters[2] <= 0;

/** What a free-water curve leaves of a signal, with the b0 signal that leaves least. */
function sumOfSquares(signal: Float64Array, parameters: Float64Array, { gradients }: Dwi): number {
  const { bvals, bvecs } = gradients;
  const f = parameters[12];
  const curve = bvals.map((b, k) => {
    let diffusivity = 0;
    for (let axis = 0; axis < 3; axis++) {
      let along = 0;
      for (let i = 0; i < 3; i++) along += bvecs[3 * k + i] * parameters[3 + 3 * i + axis];
      diffusivity += parameters[axis] * along * along;
    }
    return (1 - f) * Math.exp(-b * diffusivity) + f * Math.exp(-b * waterDiffusivity);
  });
  let cross = 0;
  let square = 0;
  for (const [k, value] of curve.entries()) {
    cross += value * signal[k];
    square += value * value;
  }
  const s0 = cross / square;
  return signal.reduce((sum, value, k) => sum + (value - s0 * curve[k]) ** 2, 0);
}

/** Values in each row of theirs: eigenvalues, eigenvectors. */
const tensorParameters = 12;

/** FA, and MD (mm²/s) relative to theirs. */
export function agreeOnTensor(
  ours: { readonly fa: Float64Array; readonly md: Float64Array },
  theirs: Float64Array,
): Agreement {
  let faDifferenceWorst = 0;
  let mdRelativeWorst = 0;
  for (const [voxel, fa] of ours.fa.entries()) {
    const [a, b, c] = theirs.subarray(voxel * tensorParameters, voxel * tensorParameters + 3);
    const mean = (a + b + c) / 3;
    const spread = (a - mean) ** 2 + (b - mean) ** 2 + (c - mean) ** 2;
    const size = a * a + b * b + c * c;
    const theirFa = size === 0 ? 0 : Math.sqrt((1.5 * spread) / size);
    faDifferenceWorst = Math.max(faDifferenceWorst, Math.abs(fa - theirFa));
    mdRelativeWorst = Math.max(mdRelativeWorst, Math.abs(ours.md[voxel] - mean) / mean);
  }
  return {
    figures: { faDifferenceWorst, mdRelativeWorst },
    words: `FA within ${short(faDifferenceWorst)}, MD within ${short(mdRelativeWorst)} of it`,
  };
}

/** The value below which so large a share of them lies; 0 of none. What is no number is worse than any. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

const short = (value: number) => (value === 0 ? "0" : value.toExponential(0));
