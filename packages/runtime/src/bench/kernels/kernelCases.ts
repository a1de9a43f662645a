/** What is measured: a model with its options, on a scan. */
import { csd, type Dwi, type DwiModel, dti, freeWater } from "@fascicle/models";
import type { BenchScheme } from "./benchScan.ts";

export const benchModels = ["csd", "freewater", "dti"] as const;
export type BenchModel = (typeof benchModels)[number];

/** Eigenvalues in mm²/s and b0 signal of the phantom's fibres. */
export const phantomResponse = [0.0017, 0.0003, 0.0003, 1000] as const;

/** Plain values: a case crosses to other processes as JSON. */
export interface ModelChoice {
  readonly model: BenchModel;
  /** For free water and dti. */
  readonly method?: "nls" | "wls";
  /** For csd: eigenvalues in mm²/s and b0 signal; by default estimated from the scan. */
  readonly response?: readonly [number, number, number, number];
  /** For csd: of the arithmetic. */
  readonly precision?: "float32";
  /** For csd: the share of the mean amplitude below which amplitudes are pushed to 0. */
  readonly tau?: number;
}

export interface KernelCase extends ModelChoice {
  /** Of the data, for people. */
  readonly data: string;
  /** Of the phantom; without it, the user's scan. */
  readonly scheme?: BenchScheme;
  /** Voxels, unless the user says otherwise: about half a second of the slowest peer. */
  readonly voxels: number;
}

/** Spherical harmonics of the csd cases. */
export const benchShOrder = 8;

/** Where there are fibres: in water and grey matter CSD has nothing to find, and may not come to an end. */
const directions64 = { scheme: "64dir", tissue: "white" } as const;
const twoShells = { scheme: "2shell" } as const;
const hcp = { scheme: "hcp" } as const;

const csdCase = { model: "csd", response: phantomResponse, voxels: 2000 } as const;
const at3000 = {
  data: "white matter, 64 directions at b=3000",
  scheme: { ...directions64, largestB: 3000 },
} as const;
const at1000 = { data: "white matter, 64 directions at b=1000", scheme: directions64 } as const;

export const phantomCases: readonly KernelCase[] = [
  { ...csdCase, ...at3000 },
  { ...csdCase, ...at3000, precision: "float32" },
  { ...csdCase, ...at1000 },
  { ...csdCase, ...at1000, precision: "float32" },
  {
    ...{ model: "freewater", method: "nls", voxels: 600 },
    ...{ data: "head, HCP scheme, 288 volumes", scheme: hcp },
  },
  {
    ...{ model: "freewater", method: "nls", voxels: 1000 },
    ...{ data: "head, 2 shells, 96 volumes", scheme: twoShells },
  },
  {
    ...{ model: "freewater", method: "nls", voxels: 1000 },
    ...{ data: "head, 2 shells, 41 volumes", scheme: { ...twoShells, volumes: 41 } },
  },
  {
    ...{ model: "freewater", method: "wls", voxels: 1000 },
    ...{ data: "head, HCP scheme, 288 volumes", scheme: hcp },
  },
  {
    ...{ model: "dti", method: "wls", voxels: 4000 },
    ...{ data: "head, HCP scheme, 288 volumes", scheme: hcp },
  },
];

/** The same models on a scan of the user's. */
export const scanCases = (data: string): readonly KernelCase[] => [
  { model: "csd", data, voxels: 2000 },
  { model: "csd", precision: "float32", data, voxels: 2000 },
  { model: "freewater", method: "nls", data, voxels: 1000 },
  { model: "freewater", method: "wls", data, voxels: 1000 },
  { model: "dti", method: "wls", data, voxels: 4000 },
];

/** Throws `InputError` where the model cannot be fitted to that scan. */
export function bindModel(dwi: Dwi, choice: ModelChoice): DwiModel {
  const { model, method, response, tau, precision } = choice;
  switch (model) {
    case "csd":
      return csd(dwi, {
        shOrder: benchShOrder,
        response: response ?? "auto",
        ...(tau === undefined ? {} : { tau }),
        ...(precision === undefined ? {} : { precision }),
      });
    case "freewater":
      return freeWater(dwi, { method: method ?? "nls" });
    case "dti":
      return dti(dwi, { method: "wls" });
  }
}

/** `csd, order 8`, `csd, order 8, float32`, `freewater, nls`. */
export function nameOfCase({ model, method, precision }: ModelChoice): string {
  const name = model === "csd" ? `csd, order ${benchShOrder}` : `${model}, ${method}`;
  return precision === undefined ? name : `${name}, ${precision}`;
}
