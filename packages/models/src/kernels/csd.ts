/** The fibre orientation distribution of a voxel by constrained spherical deconvolution. */
import { type OutputView, type VoxelKernel, VoxelStatus } from "../model.ts";
import { type CsdDesign, type CsdParameters, createCsdDesign } from "./csdDesign.ts";
import { coefficientIndex, mrtrixPlaces } from "./sphericalHarmonics.ts";
import { TILE } from "./tiles.ts";

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
  const { signal, f } = design.arrays;
  const places =
    shBasis === "mrtrix3"
      ? mrtrixPlaces(shOrder)
      : Uint16Array.from({ length: design.count }, (_, i) => i);
  return {
    fit(signals, first, count, out, outFirst) {
      for (let v = 0; v < count; v++) {
        const sampled = readSamples(signals, (first + v) * width, parameters, signal);
        work.iterations = 0;
        const status = sampled === VoxelStatus.fitted ? deconvolve(design, work) : sampled;
        writeVoxel(f, work.iterations, status, places, out, outFirst + v);
      }
    },
  };
}

/** What a voxel works in beside the arrays of the design. */
interface CsdWorkspace {
  /** 1 where the amplitude is too small, and how many there are. */
  readonly active: Uint8Array;
  activeCount: number;
  /** Directions that came in since the last iteration, and those that went out. */
  readonly entered: Int32Array;
  readonly left: Int32Array;
  enteredCount: number;
  leftCount: number;
  /** Rows added or taken since `q` was last built from the start. */
  drift: number;
  iterations: number;
}

function createWorkspace({ vertices }: CsdDesign): CsdWorkspace {
  return {
    active: new Uint8Array(vertices),
    activeCount: 0,
    entered: new Int32Array(vertices),
    left: new Int32Array(vertices),
    enteredCount: 0,
    leftCount: 0,
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

/** Fits the signal of the design's arrays; leaves `f` there and `iterations`, and returns the status. */
function deconvolve(design: CsdDesign, work: CsdWorkspace): number {
  if (!design.solvable) return VoxelStatus.singular;
  const { functions, arrays, tiles, lowTiles, side, samples } = design;
  const { x, signal, z, f, low, factor, inverse } = arrays;
  functions.multiply(x.byteOffset, samples, tiles, signal.byteOffset, z.byteOffset);
  functions.multiply(low.byteOffset, side, lowTiles, z.byteOffset, f.byteOffset);
  const threshold = design.thresholdScale * f[0];
  if (threshold - threshold !== 0) return VoxelStatus.notFinite;
  work.active.fill(0);
  work.activeCount = 0;
  evaluate(design, lowTiles);
  updateActive(threshold, arrays.amplitudes, work);
  if (work.activeCount === 0) {
    solve(design, arrays.startFactor, arrays.startInverse);
    evaluate(design, tiles);
    updateActive(threshold, arrays.amplitudes, work);
    if (work.activeCount === 0) return finished(f, VoxelStatus.fitted);
  }
  buildNormalMatrix(design, work);
  while (work.iterations < design.iterations) {
    work.iterations++;
    const pivot = factorize(design);
    if (!(pivot > 0)) return VoxelStatus.singular;
    solve(design, factor, inverse);
    evaluate(design, tiles);
    updateActive(threshold, arrays.amplitudes, work);
    if (work.enteredCount + work.leftCount === 0) return finished(f, VoxelStatus.fitted);
    updateNormalMatrix(design, work);
  }
  return finished(f, VoxelStatus.notConverged);
}

/** A result beyond the range of float64 is no result. */
function finished(f: Float64Array, status: number): number {
  let check = 0;
  for (let i = 0; i < f.length; i++) check += f[i] - f[i];
  return check === 0 ? status : VoxelStatus.notFinite;
}

/** The factor of q; returns its smallest pivot, 0 where there is none. */
function factorize({ functions, tiles, arrays }: CsdDesign): number {
  const { q, factor, inverse } = arrays;
  return functions.factorize(q.byteOffset, tiles, factor.byteOffset, inverse.byteOffset);
}

/** f = the solution for z by the factor. */
function solve(design: CsdDesign, factor: Float64Array, inverse: Float64Array): void {
  const { functions, tiles, arrays } = design;
  arrays.f.set(arrays.z);
  functions.solve(factor.byteOffset, inverse.byteOffset, tiles, arrays.f.byteOffset);
}

/** The weighted amplitudes of the coefficients in the first `tiles` tiles. */
function evaluate({ functions, arrays, columns }: CsdDesign, tiles: number): void {
  const { rows, f, amplitudes } = arrays;
  const out = amplitudes.byteOffset;
  functions.multiplyTransposed(rows.byteOffset, columns, tiles, f.byteOffset, out);
}

/** Notes which directions fell below the threshold and which rose above it. */
function updateActive(threshold: number, amplitudes: Float64Array, work: CsdWorkspace): void {
  const { active, entered, left } = work;
  let enteredCount = 0;
  let leftCount = 0;
  for (let v = 0; v < active.length; v++) {
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
  const { vertices, arrays } = design;
  const { active, entered } = work;
  const few = work.activeCount <= vertices - work.activeCount;
  const wanted = few ? 1 : 0;
  let count = 0;
  for (let v = 0; v < vertices; v++) if (active[v] === wanted) entered[count++] = v;
  gather(design, entered, count, 0);
  sumRows(design, few ? arrays.normal : arrays.normalAll, few ? count : 0, count);
  work.drift = count;
}

/**
 * Adds the rows that entered and takes away those that left. Each round leaves its rounding errors in
 * q, so q is built anew once as many rows have passed through it as there are directions: its error
 * stays that of one sum over all directions, however many iterations a voxel takes.
 */
function updateNormalMatrix(design: CsdDesign, work: CsdWorkspace): void {
  const { vertices, arrays } = design;
  const { enteredCount, leftCount, activeCount } = work;
  const changes = enteredCount + leftCount;
  work.drift += changes;
  if (work.drift > vertices || changes >= Math.min(activeCount, vertices - activeCount)) {
    buildNormalMatrix(design, work);
    return;
  }
  gather(design, work.entered, enteredCount, 0);
  gather(design, work.left, leftCount, enteredCount);
  sumRows(design, arrays.q, enteredCount, changes);
}

/** q = base + the products of the panel's first `added` rows - those of the rows from there to `total`. */
function sumRows(design: CsdDesign, base: Float64Array, added: number, total: number): void {
  const { functions, columns, tiles, arrays } = design;
  const panel = arrays.panel.byteOffset;
  const out = arrays.q.byteOffset;
  functions.addOuterProducts(base.byteOffset, panel, columns, added, total, tiles, out);
}

/** Copies the listed directions' rows into the panel from column `first` on. */
function gather(design: CsdDesign, list: Int32Array, count: number, first: number): void {
  const { columns, tiles, arrays } = design;
  const { rows, panel } = arrays;
  for (let i = 0; i < tiles; i++) {
    const start = TILE * i * columns;
    for (let k = 0, to = start + TILE * first; k < count; k++, to += TILE) {
      const from = start + TILE * list[k];
      panel[to] = rows[from];
      panel[to + 1] = rows[from + 1];
      panel[to + 2] = rows[from + 2];
      panel[to + 3] = rows[from + 3];
    }
  }
}

function writeVoxel(
  f: Float64Array,
  iterations: number,
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
