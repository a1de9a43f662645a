/** The parts of the page for the tensor models: maps, and how far they are from the truth. */
import { windowOf } from "./colours.ts";
import { densityOf, type ErrorTable, errorEntries, histogramOf, tableByClass } from "./errors.ts";
import type { ReportFit } from "./fit.ts";
import type { Figure, MapFigure, ReportSection } from "./input.ts";
import type { Plane } from "./planes.ts";
import { summariseSlices } from "./slices.ts";
import type { PhantomVoxels } from "./truth.ts";

interface ShownMap {
  readonly field: string;
  readonly name: string;
  readonly description: string;
  readonly ramp: MapFigure["ramp"];
  readonly window?: readonly [number, number];
  readonly truth?: (truth: PhantomVoxels) => Float64Array;
  /** Whether a voxel that is all water has a true value. */
  readonly inWater: boolean;
  /** Errors up to here are shown as a histogram, where the truth hardly varies; else true against fitted. */
  readonly histogramEnd?: number;
}

const tissueFa: ShownMap = {
  field: "fa",
  name: "FA",
  description: "fractional anisotropy",
  ramp: "grey",
  window: [0, 1],
  truth: ({ fa }) => fa,
  inWater: false,
};
const tissueMd: ShownMap = {
  field: "md",
  name: "MD",
  description: "mean diffusivity",
  ramp: "ember",
  window: [0, 1.5e-3],
  truth: ({ md }) => md,
  inWater: false,
  histogramEnd: 3e-4,
};
const waterFraction: ShownMap = {
  field: "f",
  name: "f",
  description: "free water’s share of the signal",
  ramp: "water",
  window: [0, 1],
  truth: ({ water }) => water,
  inWater: true,
};
const signalAtB0: ShownMap = {
  field: "s0",
  name: "S0",
  description: "signal without diffusion weighting",
  ramp: "grey",
  inWater: true,
};

const texts = {
  freewater: {
    title: "Free water",
    lead: "A tissue tensor and a share of freely diffusing water in every voxel. FA and MD are those of the tissue, cleaned of water.",
    caveat:
      "Where fibres cross, tissue is no longer one tensor, and a part of that misfit is taken for water: those errors are the model’s own.",
    maps: [waterFraction, tissueFa, tissueMd, signalAtB0],
  },
  dti: {
    title: "Diffusion tensor",
    lead: "One tensor in every voxel; water and crossing fibres are part of what it describes.",
    caveat: "The truth is that of the tissue alone, so they differ where there is water.",
    maps: [
      tissueFa,
      // A tensor without a water term is not in error where it sees water.
      { ...tissueMd, window: [0, 3e-3], truth: undefined } satisfies ShownMap,
      signalAtB0,
    ],
  },
} as const;

export type TensorModel = keyof typeof texts;

export function isTensorModel(name: string): name is TensorModel {
  return name in texts;
}

export function tensorSection(
  name: TensorModel,
  fit: ReportFit,
  planes: readonly Plane[],
  truth: PhantomVoxels | undefined,
): ReportSection {
  const { title, lead, caveat, maps } = texts[name];
  const shown: readonly ShownMap[] = maps.filter(({ field }) => field in fit.maps);
  return {
    title,
    lead: truth === undefined ? lead : `${lead} ${caveat}`,
    items: shown.flatMap((map) => [
      mapFigure(map, fit, planes, truth),
      ...errorsOf(map, fit, truth),
    ]),
    receipt: fit.receipt,
    warnings: fit.model.warnings,
  };
}

function mapFigure(
  map: ShownMap,
  fit: ReportFit,
  planes: readonly Plane[],
  truth: PhantomVoxels | undefined,
): Figure {
  const grid = { ...fit.model.dwi.geometry, voxels: fit.model.dwi.voxels };
  const field = fit.maps[map.field];
  const fitted = summariseSlices(grid, field.data, { planes: [...planes] });
  const expected = truth && map.truth?.(truth);
  return {
    kind: "map",
    name: map.name,
    description: map.description,
    units: field.units,
    window: map.window ?? windowOf(fitted),
    ramp: map.ramp,
    fitted,
    truth: expected && summariseSlices(grid, expected, { planes: [...planes] }),
  };
}

function errorsOf(map: ShownMap, fit: ReportFit, truth: PhantomVoxels | undefined): ErrorTable[] {
  const expected = truth && map.truth?.(truth);
  if (truth === undefined || expected === undefined) return [];
  const { data, units } = fit.maps[map.field];
  const status = fit.maps.status?.data;
  const counts = (row: number) =>
    (status === undefined || status[row] <= 1) && (map.inWater || truth.water[row] <= 0.95);
  const entries = errorEntries(data, expected, truth, counts);
  const table = tableByClass(`Error of ${map.name}`, units, entries);
  const plot =
    map.histogramEnd === undefined
      ? densityOf(data, expected, map.window ?? [0, 1], counts)
      : histogramOf(entries, map.histogramEnd, 40);
  return [{ ...table, plot }];
}
