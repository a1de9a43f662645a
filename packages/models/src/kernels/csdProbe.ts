/** Whether float32 is fine enough for a design: tried out on voxels like those to come. */
import type { CsdDesign } from "./csdDesign.ts";
import { BLOCK_DIRECTIONS } from "./csdFunctions.ts";
import { type CsdLanes, enterLane, solveLanes } from "./csdLanes.ts";
import { powerOfTwo } from "./csdMatrices.ts";
import { startSamples } from "./csdStart.ts";
import { beginVoxel, type CsdVoxel } from "./csdVoxel.ts";

const PROBES = 16;

/**
 * How far float32 is off after one iteration, in the worst direction of the worst probe, as a share of the
 * threshold. Leaves the first lanes as they are after a step.
 */
export function probeFloat32(
  design: CsdDesign,
  fast: CsdLanes,
  slow: CsdLanes,
  voxel: CsdVoxel,
  directions: Float64Array,
): number {
  let worst = 0;
  for (let probe = 0; probe < PROBES; probe++) {
    fillSignal(design.arrays.signal, directions, probe);
    if (startSamples(design, voxel) !== undefined) continue;
    beginVoxel(design, voxel);
    const scale = 1 / powerOfTwo(voxel.z.reduce((most, z) => Math.max(most, Math.abs(z)), 0));
    const solutions = [fast, slow].map((lanes) => {
      enterLane(design, lanes, 0, voxel, scale);
      const { good } = solveLanes(design, lanes);
      const { x, lanes: count } = lanes.stage;
      return (good & 1) === 0 ? [] : Array.from({ length: design.count }, (_, n) => x[count * n]);
    });
    if (solutions[0].length !== solutions[1].length) return Number.POSITIVE_INFINITY;
    const error = solutions[0].map((value, n) => value - solutions[1][n]);
    const threshold = (voxel.threshold / design.unit) * scale;
    const share = greatestAmplitude(design, slow, error) / Math.abs(threshold);
    // NaN is not fine either.
    if (!(share <= worst)) worst = share >= 0 ? share : Number.POSITIVE_INFINITY;
  }
  return worst;
}

/** A fibre along one of the directions, with a tenth of noise that is the same everywhere. */
function fillSignal(signal: Float64Array, directions: Float64Array, probe: number): void {
  const at = 3 * ((probe * 5) % signal.length);
  let state = probe + 1;
  for (let i = 0; i < signal.length; i++) {
    let along = 0;
    for (let axis = 0; axis < 3; axis++) along += directions[at + axis] * directions[3 * i + axis];
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const decay = 1 + 3 * along * along;
    signal[i] = 1 / (decay * decay) + (0.2 * state) / 4294967296;
  }
}

/** Of coefficients, over the watched directions. */
function greatestAmplitude(
  { count, vertices }: CsdDesign,
  { stage }: CsdLanes,
  coefficients: readonly number[],
): number {
  let greatest = 0;
  for (let v = 0; v < vertices; v++) {
    const block = Math.floor(v / BLOCK_DIRECTIONS) * count * BLOCK_DIRECTIONS;
    let sum = 0;
    for (let n = 0; n < count; n++) {
      sum += stage.rows[block + n * BLOCK_DIRECTIONS + (v % BLOCK_DIRECTIONS)] * coefficients[n];
    }
    greatest = Math.max(greatest, Math.abs(sum));
  }
  return greatest;
}
