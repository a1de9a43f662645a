/** The response of a single fibre as the deconvolution takes it. */
import type { Dwi } from "../io/dwi.ts";
import { exp } from "../kernels/elementary.ts";
import {
  coefficientCount,
  coefficientIndex,
  realShBasis,
  zonalAtPole,
} from "../kernels/sphericalHarmonics.ts";
import { InputError, type Json } from "../model.ts";
import { autoResponse, type TensorResponse } from "./autoResponse.ts";
import { minimumNorm } from "./minimumNorm.ts";
import { readResponseFile, responseRowFor } from "./responseFile.ts";
import type { ChosenShells } from "./shells.ts";

/**
 * `auto`; eigenvalues (mm²/s) and b0 signal of a tensor as [E1, E2, E3, S0]; a response file of MRtrix3
 * by its path, with the b0 signal where it is known and the file has no row for b = 0.
 */
export type ResponseChoice =
  | string
  | readonly [number, number, number, number]
  | { readonly file: string; readonly s0?: number };

export interface Response {
  /** Rotational harmonics for l = 0, 2, ..., the order of the fit: zonal coefficients over Y_l0 of the pole. */
  readonly harmonics: Float64Array;
  /** b0 signal that belongs to it, where known. */
  readonly s0?: number;
  /** How it came to be, for sidecars. */
  readonly record: { readonly [key: string]: Json };
  readonly warnings: readonly string[];
}

/** Where the response is sampled: the fitted volumes and their directions, 3 numbers each. */
export interface ResponseDesign {
  readonly shOrder: number;
  readonly chosen: ChosenShells;
  readonly directions: Float64Array;
}

/** Throws InputError on a choice that cannot be followed. */
export function resolveResponse(
  dwi: Dwi,
  design: ResponseDesign,
  choice: ResponseChoice,
): Response {
  if (typeof choice === "string") {
    if (choice !== "auto") return fromFile(design, { file: choice });
    const estimate = autoResponse(dwi, design.chosen.volumes);
    const { evals, s0, ratio, voxels } = estimate;
    return fromTensor(dwi, design, estimate, { source: "auto", evals, s0, ratio, voxels });
  }
  if (!Array.isArray(choice)) return fromFile(design, choice as { readonly file: string });
  const [e1, e2, e3, s0] = choice as readonly number[];
  const isTensor = choice.length === 4 && [e1, e2, e3].every((value) => value >= 0 && value < 1);
  if (!isTensor || !(e1 > 0) || !(s0 > 0 && Number.isFinite(s0))) {
    throw new InputError(
      `The response ${choice.join(",")} is not one; give three eigenvalues in mm²/s and the b0 signal, as 0.0015,0.0003,0.0003,1000.`,
    );
  }
  const evals = [e1, e2, e3] as const;
  return fromTensor(dwi, design, { evals, s0 }, { source: "given", evals, s0 });
}

function fromTensor(
  dwi: Dwi,
  design: ResponseDesign,
  tensor: TensorResponse,
  record: { [key: string]: Json },
): Response {
  const bvals = Float64Array.from(design.chosen.volumes, (i) => dwi.gradients.bvals[i]);
  const harmonics = tensorHarmonics(design.shOrder, bvals, design.directions, tensor);
  if (!(harmonics[0] > 0)) {
    throw new InputError(
      `The response (eigenvalues ${tensor.evals.join(", ")}, b0 signal ${tensor.s0}) gives no signal in the fitted volumes; give another response.`,
    );
  }
  return { harmonics, s0: tensor.s0, record, warnings: [] };
}

/**
 * Rotational harmonics of a tensor whose first eigenvector is z, its second y: its signal at the
 * measured b-values and directions, projected on the basis by least squares.
 */
export function tensorHarmonics(
  shOrder: number,
  bvals: Float64Array,
  directions: Float64Array,
  { evals, s0 }: TensorResponse,
): Float64Array {
  const signal = bvals.map((b, i) => {
    const [x, y, z] = directions.subarray(3 * i, 3 * i + 3);
    return s0 * exp(-b * (evals[2] * x * x + evals[1] * y * y + evals[0] * z * z));
  });
  const basis = realShBasis(shOrder, directions);
  const coefficients = minimumNorm(basis, bvals.length, coefficientCount(shOrder), signal);
  const zonal = Array.from(
    { length: shOrder / 2 + 1 },
    (_, k) => coefficients[coefficientIndex(2 * k, 0)],
  );
  return rotationalHarmonics(zonal);
}

/** Zonal coefficients over Y_l0 of the pole. */
function rotationalHarmonics(zonal: readonly number[]): Float64Array {
  return Float64Array.from(zonal, (value, k) => value / zonalAtPole(2 * k));
}

function fromFile(
  { shOrder, chosen }: ResponseDesign,
  { file: path, s0: given }: { readonly file: string; readonly s0?: number },
): Response {
  const table = readResponseFile(path);
  const { file, sha256, subject } = table;
  const bval = chosen.shells.length === 1 ? chosen.shells[0].bval : undefined;
  const { row, b0Row } = responseRowFor(table, bval);
  if (!(row[0] > 0)) {
    throw new InputError(
      `${subject} begins its row with ${row[0]}; the first coefficient must be above 0.`,
    );
  }
  const wanted = shOrder / 2 + 1;
  const zonal = Array.from({ length: wanted }, (_, k) => row[k] ?? 0);
  const warnings =
    row.length < wanted
      ? [
          `${subject} ends at order ${2 * row.length - 2}; it counts as 0 from there to order ${shOrder}.`,
        ]
      : [];
  const s0 = given ?? (b0Row === undefined ? undefined : b0Row[0] * zonalAtPole(0));
  const record = { source: "file", file, sha256, s0: s0 ?? null };
  return { harmonics: rotationalHarmonics(zonal), s0, record, warnings };
}
