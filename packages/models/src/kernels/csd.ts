/** The fibre orientation distribution of a voxel by constrained spherical deconvolution. */
import { type OutputView, type VoxelKernel, VoxelStatus } from "../model.ts";
import { addOuterProducts, factorizeTiled, solveTiled } from "./cholesky.ts";
import { type CsdDesign, createCsdDesign } from "./csdDesign.ts";
import { coefficientIndex, mrtrixPlaces } from "./sphericalHarmonics.ts";

/** How the coefficients are ordered: the same functions, m and -m exchanged. */
export type ShBasis = "descoteaux07" | "mrtrix3";

export interface CsdParameters {
  /** Samples in each row of the signals. */
  readonly width: number;
  /** The diffusion-weighted samples that are fitted, as indices into a row. */
  readonly volumes: Int32Array;
  /** Their directions, 3 numbers each. */
  readonly directions: Float64Array;
  readonly slope: number;
  readonly intercept: number;
  /** Even, 0 to 16. */
  readonly shOrder: number;
  readonly shBasis: ShBasis;
  /** Rotational harmonics of the response for l = 0, 2, ..., shOrder, in units of the signal. */
  readonly responseHarmonics: Float64Array;
  /** Weight of the constraint; 1 is the usual. */
  readonly lambda: number;
  /** Amplitudes below this share of the mean count as too small. */
  readonly tau: number;
  /** Most iterations in a voxel, 1 to 65535. */
  readonly iterations: number;
  /** Directions in which amplitudes are watched, 3 numbers each; the 181 of symmetric362 by default. */
  readonly regularisation?: Float64Array;
}

/** Names of the outputs in the order in which the kernel takes their views. `sh` is as wide as there are coefficients. */
export const CSD_OUTPUTS = ["sh", "gfa", "iterations", "status"] as const;

/**
 * Constrained spherical deconvolution (Tournier, Calamante & Connelly 2007): least squares with a
 * penalty on the directions in which the amplitude is too small, repeated until that set of
 * directions stays the same. Start, threshold and stop are those of DIPY's csdeconv.
 *
 * Outputs: sh (coefficients, in signal units over those of the response), gfa, iterations (0 where no
 * direction was too small), status. All 0 where the status is 2, 3 or 4.
 */
export function createCsdKernel(parameters: CsdParameters): VoxelKernel {
  const { width, shOrder, shBasis } = parameters;
  const design = createCsdDesign(parameters);
  const work = createWorkspace(design);
  const places =
    shBasis === "mrtrix3"
      ? mrtrixPlaces(shOrder)
      : Uint16Array.from({ length: design.count }, (_, i) => i);
  return {
    fit(signals, first, count, out, outFirst) {
      for (let v = 0; v < count; v++) {
        const sampled = readSamples(signals, (first + v) * width, parameters, work.samples);
        work.iterations = 0;
        const status = sampled === VoxelStatus.fitted ? deconvolve(design, work) : sampled;
        writeVoxel(work, status, places, out, outFirst + v);
      }
    },
  };
}

interface CsdWorkspace {
  readonly samples: Float64Array;
  /** X's, the right-hand side. */
  readonly z: Float64Array;
  /** Coefficients in the order of descoteaux07. */
  readonly f: Float64Array;
  /** Weighted amplitude in each watched direction. */
  readonly amplitudes: Float64Array;
  /** 1 where the amplitude is too small, and how many there are. */
  readonly active: Uint8Array;
  activeCount: number;
  /** Directions that came in since the last iteration, and those that went out. */
  readonly entered: Int32Array;
  readonly left: Int32Array;
  enteredCount: number;
  leftCount: number;
  /** The normal matrix with the penalty of the active directions, and its factor. */
  readonly q: Float64Array;
  readonly factor: Float64Array;
  readonly inverse: Float64Array;
  /** Rows of the directions that are added to or taken from `q`. */
  readonly panel: Float64Array;
  /** Rows added or taken since `q` was last built from the start. */
  drift: number;
  iterations: number;
}

function createWorkspace(design: CsdDesign): CsdWorkspace {
  const { side, vertices } = design;
  return {
    samples: new Float64Array(design.samples),
    z: new Float64Array(side),
    f: new Float64Array(side),
    amplitudes: new Float64Array(vertices),
    active: new Uint8Array(vertices),
    activeCount: 0,
    entered: new Int32Array(vertices),
    left: new Int32Array(vertices),
    enteredCount: 0,
    leftCount: 0,
    q: new Float64Array(design.normal.length),
    factor: new Float64Array(side * side),
    inverse: new Float64Array(side),
    panel: new Float64Array(side * vertices),
    drift: 0,
    iterations: 0,
  };
}

function readSamples(
  signals: Float32Array | Float64Array,
  start: number,
  { volumes, slope, intercept }: CsdParameters,
  samples: Float64Array,
): number {
  let check = 0;
  let anySignal = false;
  for (let i = 0; i < samples.length; i++) {
    const value = slope * signals[start + volumes[i]] + intercept;
    samples[i] = value;
    // x - x is 0 for every finite x and NaN for the rest.
    check += value - value;
    if (value !== 0) anySignal = true;
  }
  if (check !== 0) return VoxelStatus.notFinite;
  return anySignal ? VoxelStatus.fitted : VoxelStatus.noSignal;
}

/** Fits the samples of the workspace; leaves `f` and `iterations`, and returns the status. */
function deconvolve(design: CsdDesign, work: CsdWorkspace): number {
  if (!design.solvable) return VoxelStatus.singular;
  const { z, f } = work;
  multiplyTransposed(design, work.samples, z);
  startLow(design, z, f);
  const threshold = design.thresholdScale * f[0];
  if (threshold - threshold !== 0) return VoxelStatus.notFinite;
  work.active.fill(0);
  work.activeCount = 0;
  evaluate(design, design.lowTiles, work);
  updateActive(threshold, work);
  if (work.activeCount === 0) {
    solveTiled(design.factor, design.inverse, design.tiles, z, f);
    evaluate(design, design.tiles, work);
    updateActive(threshold, work);
    if (work.activeCount === 0) return finished(work, VoxelStatus.fitted);
  }
  buildNormalMatrix(design, work);
  while (work.iterations < design.iterations) {
    work.iterations++;
    const pivot = factorizeTiled(work.q, design.tiles, work.factor, work.inverse);
    if (!(pivot > 0)) return VoxelStatus.singular;
    solveTiled(work.factor, work.inverse, design.tiles, z, f);
    evaluate(design, design.tiles, work);
    updateActive(threshold, work);
    if (work.enteredCount + work.leftCount === 0) return finished(work, VoxelStatus.fitted);
    updateNormalMatrix(design, work);
  }
  return finished(work, VoxelStatus.notConverged);
}

/** A result beyond the range of float64 is no result. */
function finished({ f }: CsdWorkspace, status: number): number {
  let check = 0;
  for (let i = 0; i < f.length; i++) check += f[i] - f[i];
  return check === 0 ? status : VoxelStatus.notFinite;
}

/** z = X's. */
function multiplyTransposed(design: CsdDesign, samples: Float64Array, z: Float64Array): void {
  const { x, tiles } = design;
  let p = 0;
  for (let i = 0; i < tiles; i++) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    for (let k = 0; k < samples.length; k++, p += 3) {
      const value = samples[k];
      s0 += x[p] * value;
      s1 += x[p + 1] * value;
      s2 += x[p + 2] * value;
    }
    z[3 * i] = s0;
    z[3 * i + 1] = s1;
    z[3 * i + 2] = s2;
  }
}

/** The first coefficients (to order 4) of the unconstrained fit; the start needs no others. */
function startLow(design: CsdDesign, z: Float64Array, f: Float64Array): void {
  const { lowRows, lowTiles, side } = design;
  for (let i = 0, p = 0; i < 3 * lowTiles; i++) {
    let sum = 0;
    for (let k = 0; k < side; k++, p++) sum += lowRows[p] * z[k];
    f[i] = sum;
  }
}

/** The weighted amplitudes of the coefficients in the first `tiles` tiles, four directions at a time. */
function evaluate(design: CsdDesign, tiles: number, work: CsdWorkspace): void {
  const { rows, vertices } = design;
  const { f, amplitudes } = work;
  const step = 3 * vertices;
  let v = 0;
  for (; v + 4 <= vertices; v += 4) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = 0, p = 3 * v; i < 3 * tiles; i += 3, p += step) {
      const f0 = f[i];
      const f1 = f[i + 1];
      const f2 = f[i + 2];
      s0 += rows[p] * f0 + rows[p + 1] * f1 + rows[p + 2] * f2;
      s1 += rows[p + 3] * f0 + rows[p + 4] * f1 + rows[p + 5] * f2;
      s2 += rows[p + 6] * f0 + rows[p + 7] * f1 + rows[p + 8] * f2;
      s3 += rows[p + 9] * f0 + rows[p + 10] * f1 + rows[p + 11] * f2;
    }
    amplitudes[v] = s0;
    amplitudes[v + 1] = s1;
    amplitudes[v + 2] = s2;
    amplitudes[v + 3] = s3;
  }
  for (; v < vertices; v++) {
    let sum = 0;
    for (let i = 0, p = 3 * v; i < 3 * tiles; i += 3, p += step) {
      sum += rows[p] * f[i] + rows[p + 1] * f[i + 1] + rows[p + 2] * f[i + 2];
    }
    amplitudes[v] = sum;
  }
}

/** Notes which directions fell below the threshold and which rose above it. */
function updateActive(threshold: number, work: CsdWorkspace): void {
  const { amplitudes, active, entered, left } = work;
  let enteredCount = 0;
  let leftCount = 0;
  for (let v = 0; v < amplitudes.length; v++) {
    const isSmall = amplitudes[v] < threshold ? 1 : 0;
    if (isSmall === active[v]) continue;
    active[v] = isSmall;
    if (isSmall === 1) entered[enteredCount++] = v;
    else left[leftCount++] = v;
  }
  work.enteredCount = enteredCount;
  work.leftCount = leftCount;
  work.activeCount += enteredCount - leftCount;
}

/** q = P + the active rows' products, or P + all rows' products less the others', whichever takes fewer rows. */
function buildNormalMatrix(design: CsdDesign, work: CsdWorkspace): void {
  const { vertices, tiles } = design;
  const { active, entered, panel, q } = work;
  const few = work.activeCount <= vertices - work.activeCount;
  const wanted = few ? 1 : 0;
  let count = 0;
  for (let v = 0; v < vertices; v++) if (active[v] === wanted) entered[count++] = v;
  gather(design, entered, count, panel, 0);
  const base = few ? design.normal : design.normalAll;
  addOuterProducts(base, panel, vertices, few ? count : 0, count, tiles, q);
  work.drift = count;
}

/**
 * Adds the rows that entered and takes away those that left. Each round leaves its rounding errors in
 * q, so q is built anew once as many rows have passed through it as there are directions: its error
 * stays that of one sum over all directions, however many iterations a voxel takes.
 */
function updateNormalMatrix(design: CsdDesign, work: CsdWorkspace): void {
  const { vertices, tiles } = design;
  const { enteredCount, leftCount, activeCount, panel, q } = work;
  const changes = enteredCount + leftCount;
  work.drift += changes;
  if (work.drift > vertices || changes >= Math.min(activeCount, vertices - activeCount)) {
    buildNormalMatrix(design, work);
    return;
  }
  gather(design, work.entered, enteredCount, panel, 0);
  gather(design, work.left, leftCount, panel, enteredCount);
  addOuterProducts(q, panel, vertices, enteredCount, changes, tiles, q);
}

/** Copies the listed directions' rows into the panel from column `first` on. */
function gather(
  design: CsdDesign,
  list: Int32Array,
  count: number,
  panel: Float64Array,
  first: number,
): void {
  const { rows, vertices, tiles } = design;
  for (let i = 0; i < tiles; i++) {
    const start = 3 * i * vertices;
    for (let k = 0, to = start + 3 * first; k < count; k++, to += 3) {
      const from = start + 3 * list[k];
      panel[to] = rows[from];
      panel[to + 1] = rows[from + 1];
      panel[to + 2] = rows[from + 2];
    }
  }
}

function writeVoxel(
  { f, iterations }: CsdWorkspace,
  status: number,
  places: Uint16Array,
  out: readonly OutputView[],
  at: number,
): void {
  const [sh, gfa, rounds, statuses] = out;
  const start = at * places.length;
  statuses[at] = status;
  if (status !== VoxelStatus.fitted && status !== VoxelStatus.notConverged) {
    sh.fill(0, start, start + places.length);
    gfa[at] = 0;
    rounds[at] = 0;
    return;
  }
  for (let i = 0; i < places.length; i++) sh[start + places[i]] = f[i];
  gfa[at] = generalisedFractionalAnisotropy(f);
  rounds[at] = iterations;
}

/** Generalised fractional anisotropy (Tuch 2004) of harmonic coefficients: sqrt(1 - f0²/|f|²); 0 where all are 0. */
export function generalisedFractionalAnisotropy(f: Float64Array): number {
  let greatest = 0;
  for (let i = 0; i < f.length; i++) greatest = Math.max(greatest, Math.abs(f[i]));
  if (greatest === 0) return 0;
  const mean = f[coefficientIndex(0, 0)] / greatest;
  let power = mean * mean;
  for (let i = 1; i < f.length; i++) power += (f[i] / greatest) * (f[i] / greatest);
  return Math.sqrt(1 - (mean * mean) / power);
}
