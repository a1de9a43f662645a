/** What the two tensor models share in the making: names of files, sample parameters, checks of options. */
import type { Dwi } from "../io/dwi.ts";
import type { SampleParameters } from "../kernels/tensor.ts";
import { type FittedMaps, InputError, type MapFile, type OutputField } from "../model.ts";
import { tensorTable } from "./table.ts";

/** All volumes of the data, scaled, with their weighting. */
export function sampleParameters(dwi: Dwi): SampleParameters {
  const { bvals, bvecs } = tensorTable(dwi.gradients);
  return {
    width: dwi.signals.width,
    volumes: Int32Array.from(bvals, (_, i) => i),
    bvals,
    bvecs,
    slope: dwi.scale.slope,
    intercept: dwi.scale.intercept,
  };
}

/** One of the names allowed, or InputError. */
export function checkMethod<Name extends string>(
  model: string,
  given: string,
  allowed: readonly Name[],
): Name {
  const method = allowed.find((name) => name === given);
  if (method !== undefined) return method;
  throw new InputError(
    `${model} has no method "${given}"; choose ${allowed.map((name) => `"${name}"`).join(" or ")}.`,
  );
}

/** Unit and meaning of each output. */
export type Descriptions = Readonly<Record<string, readonly [units: string, description: string]>>;

export function outputFields(
  outputs: readonly (readonly [name: string, width: number])[],
  descriptions: Descriptions,
): readonly OutputField[] {
  const dtypes: Readonly<Record<string, OutputField["dtype"]>> = {
    status: "uint8",
    evaluations: "uint16",
  };
  return outputs.map(([name, width]) => ({
    name,
    width,
    dtype: dtypes[name] ?? "float64",
    units: descriptions[name][0],
  }));
}

export function mapFiles(
  prefix: string,
  outputs: readonly (readonly [name: string, width: number])[],
  descriptions: Descriptions,
): readonly MapFile[] {
  return outputs.map(([name]) => ({
    file: `${prefix}_${name}`,
    field: name,
    description: descriptions[name][1],
  }));
}

/** The values of one field of a fit. */
export function fieldOf(fit: FittedMaps, name: string): ArrayLike<number> {
  const field = fit.maps[name];
  if (field === undefined) throw new InputError(`The fit has no field "${name}".`);
  return field.data;
}

/** How the sentence of an error calls an input: its file where it has one. */
export function nameOfInput(dwi: Dwi, role: string): string {
  const input = dwi.inputs.find((candidate) => candidate.role === role);
  return input === undefined ? `The ${role} table` : `The ${role} file "${input.file}"`;
}

export const STATUS_DESCRIPTION =
  "How the voxel ended: 0 fitted, 1 not converged, 2 input not finite, 3 no signal, 4 singular, 6 crashed, 7 timed out, 255 outside the mask";
