/** The part of the page for the scan itself: what the models were given. */
import type { Dwi } from "@fascicle/models";
import { windowOf } from "./colours.ts";
import type { MapFigure, ReportSection } from "./input.ts";
import type { Plane } from "./planes.ts";
import { meansOverVolumes } from "./scanMeans.ts";
import { type DisplaySlice, maskedRow, planeRows, sliceOf } from "./slices.ts";

/** Volumes whose b differs by no more than this belong to one shell, s/mm². */
const shellWidth = 100;

export interface Shell {
  /** Mean b of its volumes, s/mm². */
  readonly b: number;
  readonly volumes: readonly number[];
}

/** The scan's shells, lowest first; b0 volumes are the first if there are any. */
export function shellsOf(dwi: Dwi): Shell[] {
  const { bvals, isB0 } = dwi.gradients;
  const order = [...bvals.keys()].sort((a, b) => bvals[a] - bvals[b]);
  const groups: number[][] = [];
  for (const volume of order) {
    const last = groups.at(-1);
    const together =
      last !== undefined &&
      isB0[last[0]] === isB0[volume] &&
      (isB0[volume] === 1 || bvals[volume] - bvals[last[0]] <= shellWidth);
    if (together) last.push(volume);
    else groups.push([volume]);
  }
  return groups.map((volumes) => ({
    b: Math.round(volumes.reduce((sum, volume) => sum + bvals[volume], 0) / volumes.length),
    volumes,
  }));
}

export async function scanSection(dwi: Dwi, planes: readonly Plane[]): Promise<ReportSection> {
  const shells = shellsOf(dwi);
  const shown = shells.length > 1 ? [shells[0], shells[shells.length - 1]] : shells;
  const slices = await meanSlices(dwi, planes, shown);
  const items: MapFigure[] = shown.map((shell, i) => {
    const fitted = slices[i];
    const count = shell.volumes.length;
    return {
      kind: "map",
      name: `b = ${shell.b} s/mm²`,
      description: `mean of ${count} volume${count === 1 ? "" : "s"}`,
      units: "1",
      window: windowOf(fitted),
      ramp: "grey",
      fitted,
    };
  });
  const table = shells.map(({ b, volumes }) => `${volumes.length} at b = ${b}`).join(", ");
  return {
    title: "The scan",
    lead: `${dwi.gradients.bvals.length} volumes: ${table} s/mm².`,
    items,
    warnings: dwi.warnings,
  };
}

/** Slices of the mean over each shell's volumes. */
async function meanSlices(
  dwi: Dwi,
  planes: readonly Plane[],
  shells: readonly Shell[],
): Promise<DisplaySlice[][]> {
  const inPlanes = planes.flatMap((plane) => [...planeRows(plane, dwi.voxels)]);
  const rows = Uint32Array.from(new Set(inPlanes.filter((row) => row >= 0))).sort();
  const means = await meansOverVolumes(
    dwi,
    rows,
    shells.map(({ volumes }) => volumes),
  );
  return means.map((mean) =>
    planes.map((plane) => sliceOf(plane, dwi.voxels, (row) => mean[maskedRow(rows, row)])),
  );
}
