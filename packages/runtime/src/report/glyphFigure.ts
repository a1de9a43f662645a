/** The region of a plane where most fibres cross, drawn large. */
import { dot, type FodSource, fodPeaks } from "./fibres.ts";
import type { ReportFit } from "./fit.ts";
import { patientFromGrid } from "./frames.ts";
import { drawGlyphs, type Glyph } from "./glyphs.ts";
import type { GlyphFigure, Stick } from "./input.ts";
import type { Plane } from "./planes.ts";
import { planeRows } from "./slices.ts";
import type { PhantomVoxels } from "./truth.ts";

const regionColumns = 21;
const regionRows = 12;
/** Pixels of a voxel's edge. */
const cell = 52;

export function glyphFigure(
  fit: ReportFit,
  source: FodSource,
  plane: Plane,
  truth: PhantomVoxels | undefined,
): GlyphFigure {
  const { voxels, geometry } = fit.model.dwi;
  const rows = planeRows(plane, voxels);
  const fods = planeFods(rows, source);
  const region = mostCrossings(plane, crossingsOf(rows, fods, source));
  const gfa = fit.maps.gfa?.data;
  const glyphs: Glyph[] = [];
  const sticks: Stick[] = [];
  const background = new Float64Array(region.columns * region.rows).fill(Number.NaN);
  const toPatient = patientFromGrid(geometry.affine);
  const tops: number[] = [];
  for (let y = 0; y < region.rows; y++) {
    for (let x = 0; x < region.columns; x++) {
      const pixel = (region.top + y) * plane.width + region.left + x;
      const row = rows[pixel];
      const amplitudes = fods[pixel];
      if (row < 0 || amplitudes === undefined) continue;
      glyphs.push({ column: x, row: y, amplitudes });
      tops.push(amplitudes.reduce((a, b) => Math.max(a, b), 0));
      if (gfa !== undefined) background[y * region.columns + x] = 2 * gfa[row] - 1;
      if (truth !== undefined) sticks.push(...trueSticks(truth, row, x, y, plane, toPatient));
    }
  }
  tops.sort((a, b) => a - b);
  const scene = {
    columns: region.columns,
    rows: region.rows,
    glyphs,
    mesh: source.mesh,
    fullAmplitude: tops[Math.floor(0.9 * (tops.length - 1))] || 1,
    background,
    toView: plane.toView,
  };
  return {
    kind: "glyphs",
    name: "Where fibres cross",
    description: "FODs of the fit over GFA; weak ones are drawn larger than to scale",
    plane,
    columns: region.columns,
    rows: region.rows,
    pixels: drawGlyphs(scene, cell),
    truth: truth && sticks,
  };
}

/** The FOD of each pixel that lies in the mask. */
function planeFods(rows: Int32Array, source: FodSource): (Float64Array | undefined)[] {
  const pixels = [...rows.keys()].filter((pixel) => rows[pixel] >= 0);
  const amplitudes = source.amplitudes(pixels.map((pixel) => rows[pixel]));
  const count = source.mesh.vertices.length / 3;
  const fods: (Float64Array | undefined)[] = new Array(rows.length);
  pixels.forEach((pixel, i) => {
    fods[pixel] = amplitudes.subarray(i * count, (i + 1) * count);
  });
  return fods;
}

/** For each pixel how clearly fibres cross there: the squared amplitude of its second peak. */
function crossingsOf(
  rows: Int32Array,
  fods: readonly (Float64Array | undefined)[],
  source: FodSource,
): Float64Array {
  return Float64Array.from(rows, (_, pixel) => {
    const fod = fods[pixel];
    const peaks = fod === undefined ? [] : fodPeaks(fod, source.mesh);
    return peaks.length < 2 ? 0 : peaks[1].amplitude ** 2;
  });
}

interface Region {
  readonly left: number;
  readonly top: number;
  readonly columns: number;
  readonly rows: number;
}

/** The window of the plane with the greatest sum of crossings, the first on ties. */
function mostCrossings(plane: Plane, crossings: Float64Array): Region {
  const columns = Math.min(regionColumns, plane.width);
  const rows = Math.min(regionRows, plane.height);
  let best = { left: 0, top: 0, sum: -1 };
  for (let top = 0; top + rows <= plane.height; top++) {
    for (let left = 0; left + columns <= plane.width; left++) {
      let sum = 0;
      for (let y = top; y < top + rows; y++) {
        for (let x = left; x < left + columns; x++) sum += crossings[y * plane.width + x];
      }
      if (sum > best.sum) best = { left, top, sum };
    }
  }
  return { left: best.left, top: best.top, columns, rows };
}

/** The true fibres of a voxel as lines in the picture; one that points at the viewer is a dot. */
function trueSticks(
  truth: PhantomVoxels,
  row: number,
  column: number,
  line: number,
  plane: Plane,
  toPatient: (vector: ArrayLike<number>) => readonly [number, number, number],
): Stick[] {
  if (truth.water[row] > 0.5) return [];
  const sticks: Stick[] = [];
  for (let n = 0; n < truth.fibres[row]; n++) {
    const direction = toPatient(truth.directions.subarray(9 * row + 3 * n, 9 * row + 3 * n + 3));
    const [right, up] = plane.toView(direction);
    const half = 0.42 / Math.sqrt(dot(direction, direction));
    sticks.push({
      from: [column + 0.5 - half * right, line + 0.5 + half * up],
      to: [column + 0.5 + half * right, line + 0.5 - half * up],
    });
  }
  return sticks;
}
