/** The part of the page for fibre orientations: colours, solids, and angles to the truth. */

import {
  densityOf,
  type ErrorEntry,
  type ErrorTable,
  errorEntries,
  histogramOf,
  tableByClass,
  tissueClassOf,
} from "./errors.ts";
import type { FodSource } from "./fibres.ts";
import { fodColour, fodPeaks, lineAngleDegrees } from "./fibres.ts";
import type { ReportFit } from "./fit.ts";
import { fodSource } from "./fodSource.ts";
import { patientFromGrid } from "./frames.ts";
import { glyphFigure } from "./glyphFigure.ts";
import type { DirectionFigure, DisplayPicture, Figure, ReportSection } from "./input.ts";
import type { Plane } from "./planes.ts";
import { planeRows, summariseSlices } from "./slices.ts";
import { sphereMesh } from "./sphere.ts";
import type { PhantomVoxels } from "./truth.ts";

/** Voxels whose peaks are looked for at most; a larger fit is sampled evenly. */
const mostPeakVoxels = 40_000;
/** Voxels whose amplitudes are held at a time. */
const batchVoxels = 1000;

export function csdSection(
  fit: ReportFit,
  planes: readonly Plane[],
  truth: PhantomVoxels | undefined,
): ReportSection {
  const { options } = fit.model;
  const source = fodSource(fit, sphereMesh(3));
  const items: (Figure | ErrorTable)[] = [];
  if ("gfa" in fit.maps) items.push(...gfaItems(fit, planes, truth));
  items.push(directionFigure(fit, source, planes, truth));
  if (truth !== undefined) items.push(angleTable(source, fit, truth));
  const coronal = planes.find(({ name }) => name === "coronal");
  if (coronal !== undefined) items.push(glyphFigure(fit, source, coronal, truth));
  const order = options.shOrder;
  return {
    title: "Fibre orientations",
    lead: `Constrained spherical deconvolution${typeof order === "number" ? ` of order ${order}` : ""}: how fibres are spread over directions in every voxel, crossings included.`,
    items,
    receipt: fit.receipt,
    warnings: fit.model.warnings,
  };
}

/** FODs are sharp wherever there is tissue: the lower half of the scale would show nothing. */
const gfaWindow = [0.5, 1] as const;

/** GFA, and how far it is from that of the scan without noise. */
function gfaItems(
  fit: ReportFit,
  planes: readonly Plane[],
  truth: PhantomVoxels | undefined,
): (Figure | ErrorTable)[] {
  const grid = { ...fit.model.dwi.geometry, voxels: fit.model.dwi.voxels };
  const { data, units } = fit.maps.gfa;
  const slicesOf = (values: ArrayLike<number>) =>
    summariseSlices(grid, values, { planes: [...planes] });
  const figure: Figure = {
    kind: "map",
    name: "GFA",
    description:
      truth?.gfa === undefined
        ? "generalised fractional anisotropy of the FOD"
        : "generalised fractional anisotropy of the FOD. Its truth is the same fit without noise: 0 where there is no fibre, where the fit sees the shape of the noise",
    units,
    window: gfaWindow,
    ramp: "grey",
    fitted: slicesOf(data),
    truth: truth?.gfa && slicesOf(truth.gfa),
  };
  if (truth?.gfa === undefined) return [figure];
  const status = fit.maps.status?.data;
  // Where there is no fibre, GFA is that of the noise alone and says nothing.
  const counts = (row: number) =>
    (status === undefined || status[row] <= 1) && truth.fibres[row] > 0;
  const table = tableByClass("Error of GFA", units, errorEntries(data, truth.gfa, truth, counts));
  return [figure, { ...table, plot: densityOf(data, truth.gfa, [0, 1], counts) }];
}

/** Direction-encoded colours of the fitted FODs and of the true fibres, each as bright as its largest. */
function directionFigure(
  fit: ReportFit,
  source: FodSource,
  planes: readonly Plane[],
  truth: PhantomVoxels | undefined,
): DirectionFigure {
  const { voxels, geometry } = fit.model.dwi;
  const count = source.mesh.vertices.length / 3;
  const fitted = (rows: Int32Array) => {
    const amplitudes = source.amplitudes(rows);
    return Array.from(rows, (_, i) =>
      fodColour(amplitudes.subarray(i * count, (i + 1) * count), source.mesh),
    );
  };
  const toPatient = patientFromGrid(geometry.affine);
  const expected = (rows: Int32Array, known: PhantomVoxels) =>
    Array.from(rows, (row) => trueColour(known, row, toPatient));
  return {
    kind: "directions",
    name: "Directions",
    description: "colour is the mean fibre direction, brightness the amount of fibre",
    fitted: paintPlanes(planes, voxels, fitted),
    truth: truth && paintPlanes(planes, voxels, (rows) => expected(rows, truth)),
  };
}

type Rgb = readonly [number, number, number];

function trueColour(
  truth: PhantomVoxels,
  row: number,
  toPatient: (vector: ArrayLike<number>) => Rgb,
): Rgb {
  const colour: [number, number, number] = [0, 0, 0];
  const tissue = 1 - truth.water[row];
  for (let n = 0; n < truth.fibres[row]; n++) {
    const direction = toPatient(truth.directions.subarray(9 * row + 3 * n, 9 * row + 3 * n + 3));
    for (let k = 0; k < 3; k++) colour[k] += Math.abs(direction[k]) * tissue;
  }
  return colour;
}

function paintPlanes(
  planes: readonly Plane[],
  voxels: Uint32Array,
  coloursOf: (rows: Int32Array) => readonly Rgb[],
): DisplayPicture[] {
  const painted = planes.map((plane) => {
    const rows = planeRows(plane, voxels);
    const pixels = [...rows.keys()].filter((pixel) => rows[pixel] >= 0);
    const colours = coloursOf(Int32Array.from(pixels, (pixel) => rows[pixel]));
    return { plane, pixels, colours };
  });
  const sizes = painted.flatMap(({ colours }) => colours.map((c) => Math.max(...c)));
  sizes.sort((a, b) => a - b);
  const full = sizes[Math.floor(0.985 * (sizes.length - 1))] || 1;
  return painted.map(({ plane, pixels, colours }) => {
    const rgba = new Uint8Array(4 * plane.width * plane.height);
    pixels.forEach((pixel, i) => {
      for (let k = 0; k < 3; k++) {
        rgba[4 * pixel + k] = Math.round(255 * Math.min(1, colours[i][k] / full));
      }
      rgba[4 * pixel + 3] = 255;
    });
    return { plane, pixels: { width: plane.width, height: plane.height, rgba } };
  });
}

/** For each voxel of mostly tissue: the mean angle from its true fibres to the nearest found ones. */
function angleTable(source: FodSource, fit: ReportFit, truth: PhantomVoxels): ErrorTable {
  const status = fit.maps.status?.data;
  const toPatient = patientFromGrid(fit.model.dwi.geometry.affine);
  const rows: number[] = [];
  for (let row = 0; row < truth.fibres.length; row++) {
    const tissue = truth.fibres[row] > 0 && truth.water[row] < 0.05;
    if (tissue && (status === undefined || status[row] <= 1)) rows.push(row);
  }
  const stride = Math.ceil(rows.length / mostPeakVoxels) || 1;
  const sampled = rows.filter((_, i) => i % stride === 0);
  const count = source.mesh.vertices.length / 3;
  const entries: ErrorEntry[] = [];
  for (let first = 0; first < sampled.length; first += batchVoxels) {
    const batch = sampled.slice(first, first + batchVoxels);
    const amplitudes = source.amplitudes(batch);
    batch.forEach((row, i) => {
      const peaks = fodPeaks(amplitudes.subarray(i * count, (i + 1) * count), source.mesh);
      if (peaks.length === 0) return;
      let sum = 0;
      for (let n = 0; n < truth.fibres[row]; n++) {
        const at = 9 * row + 3 * n;
        const line = toPatient(truth.directions.subarray(at, at + 3));
        sum += Math.min(...peaks.map((peak) => lineAngleDegrees(peak.direction, line)));
      }
      entries.push({
        tissue: tissueClassOf(truth, row),
        error: sum / truth.fibres[row],
        matched: peaks.length === truth.fibres[row],
      });
    });
  }
  const table = tableByClass(
    "Angle from true to nearest found fibre",
    "°",
    entries,
    "number right",
  );
  return { ...table, plot: histogramOf(entries, 45, 45) };
}
