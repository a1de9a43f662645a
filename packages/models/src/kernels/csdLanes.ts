/**
 * The iteration of CSD with a voxel in each lane. All lanes take a step together, but each voxel enters,
 * changes its directions and leaves for itself: when one is done, the next takes its lane, so that none
 * waits for another.
 */
import { VoxelStatus } from "../model.ts";
import type { CsdDesign } from "./csdDesign.ts";
import type { CsdStage } from "./csdStage.ts";
import { type CsdVoxel, mustSumAnew, sumChanges, sumListed } from "./csdVoxel.ts";

/**
 * A direction whose amplitude comes closer to the threshold than this share of it is left to float64. At
 * order 8 float32 is off by 0.001 of the threshold in the worst direction as a rule, seldom by 0.01.
 */
const MARGIN = 1 / 256;

export interface CsdLanes {
  readonly stage: CsdStage;
  /** With fewer active directions a voxel takes its step elsewhere. */
  readonly leastActive: number;
  /** The voxel in each lane. */
  readonly voxels: (CsdVoxel | undefined)[];
  /** The address of its moments. */
  readonly sums: number[];
  /** For each watched direction a bit for each lane in which it is active. */
  readonly active: Uint8Array;
  /** The same, and what the last step found, four directions at a time. */
  readonly activeWords: Int32Array;
  readonly smallWords: Int32Array;
}

export function createLanes({ arrays }: CsdDesign, stage: CsdStage, leastActive: number): CsdLanes {
  const { small, lanes } = stage;
  const words = small.length / Int32Array.BYTES_PER_ELEMENT;
  const active = new Uint8Array(small.length);
  return {
    stage,
    leastActive,
    voxels: Array.from({ length: lanes }, () => undefined),
    sums: Array.from({ length: lanes }, () => arrays.noMoments.byteOffset),
    active,
    activeWords: new Int32Array(active.buffer),
    smallWords: new Int32Array(small.buffer, small.byteOffset, words),
  };
}

export function countTaken({ voxels }: CsdLanes): number {
  let taken = 0;
  for (let lane = 0; lane < voxels.length; lane++) if (voxels[lane] !== undefined) taken++;
  return taken;
}

/** Puts a voxel into a free lane, which works with its z times a power of two. */
export function enterLane(
  design: CsdDesign,
  { stage, voxels, sums, activeWords }: CsdLanes,
  lane: number,
  voxel: CsdVoxel,
  scale: number,
): void {
  voxels[lane] = voxel;
  sums[lane] = voxel.sums;
  const others = ~(0x01010101 << lane);
  const own = voxel.activeWords;
  for (let word = 0; word < own.length; word++) {
    activeWords[word] = (activeWords[word] & others) | (own[word] << lane);
  }
  const { z, lanes } = stage;
  for (let n = 0; n < design.count; n++) z[lanes * n + lane] = voxel.z[n] * scale;
  const threshold = (voxel.threshold / design.unit) * scale;
  stage.thresholds[lane] = threshold;
  stage.thresholds[lanes + lane] = MARGIN * Math.abs(threshold);
}

/** Gives a voxel its active directions, for another lane. */
export function keepActive({ activeWords }: CsdLanes, lane: number, voxel: CsdVoxel): void {
  const own = voxel.activeWords;
  for (let word = 0; word < own.length; word++) {
    own[word] = (activeWords[word] >>> lane) & 0x01010101;
  }
}

/** Takes back the last step of a voxel that is in no lane. */
export function undoStep(voxel: CsdVoxel): void {
  const { active, entered, left, enteredCount, leftCount } = voxel;
  for (let i = 0; i < enteredCount; i++) active[entered[i]] = 0;
  for (let i = 0; i < leftCount; i++) active[left[i]] = 1;
  voxel.activeCount += leftCount - enteredCount;
  voxel.iterations--;
}

/** Lists the active directions of the voxel in a lane, and the others, in the design. */
function listActive({ vertices, below, others }: CsdDesign, { active }: CsdLanes, lane: number) {
  let found = 0;
  for (let v = 0; v < vertices; v++) {
    if ((active[v] >> lane) & 1) below[found++] = v;
    else others[v - found] = v;
  }
}

/**
 * One iteration of the voxels in all lanes. `leave` is told of each that is done; its lane is free then.
 * With `single` those that go on leave as well, with no status.
 */
export function stepLanes(
  design: CsdDesign,
  lanes: CsdLanes,
  leave: (voxel: CsdVoxel, lane: number, status: number | undefined) => void,
  single = false,
): void {
  const { good, near } = solveLanes(design, lanes);
  noteChanges(design, lanes);
  for (let lane = 0; lane < lanes.voxels.length; lane++) {
    const voxel = lanes.voxels[lane];
    if (voxel === undefined) continue;
    voxel.iterations++;
    const hadFew = voxel.activeCount - voxel.enteredCount + voxel.leftCount < lanes.leastActive;
    const isUnsure = hadFew || ((near >> lane) & 1) === 1;
    const status = statusOf(voxel, good >> lane, isUnsure, design.iterations);
    if (status === undefined) updateMoments(design, lanes, lane, voxel);
    if (status !== undefined || single) {
      leave(voxel, lane, status);
      lanes.voxels[lane] = undefined;
      lanes.sums[lane] = design.arrays.noMoments.byteOffset;
    }
  }
}

function statusOf(
  voxel: CsdVoxel,
  good: number,
  isUnsure: boolean,
  most: number,
): number | undefined {
  if ((good & 1) === 0) return VoxelStatus.singular;
  if (voxel.enteredCount + voxel.leftCount === 0) return VoxelStatus.fitted;
  return voxel.iterations === most || isUnsure ? VoxelStatus.notConverged : undefined;
}

/** The coefficients and too small directions of all lanes by their moments; a bit for each lane that has a solution, and for each that is near its threshold. */
export function solveLanes(design: CsdDesign, { stage, sums }: CsdLanes) {
  const { tiles, count } = design;
  const places = design.arrays.places.byteOffset;
  const { normal, woven, z, rows, thresholds, small } = stage.arrays;
  const factor = stage.arrays.factor.byteOffset;
  const inverse = stage.arrays.inverse.byteOffset;
  const x = stage.arrays.x.byteOffset;
  stage.weave(sums, design.momentLength);
  const good = stage.factorize(
    normal.byteOffset,
    places,
    woven.byteOffset,
    tiles,
    z.byteOffset,
    factor,
    inverse,
    x,
  );
  stage.solve(factor, inverse, tiles, x);
  const near = stage.evaluate(
    rows.byteOffset,
    design.directionBlocks,
    count,
    x,
    thresholds.byteOffset,
    small.byteOffset,
  );
  return { good, near };
}

/** Notes which directions fell below the threshold and which rose above it, in each lane. */
function noteChanges(
  { vertices }: CsdDesign,
  { voxels, active, activeWords, smallWords }: CsdLanes,
): void {
  let taken = 0;
  for (let lane = 0; lane < voxels.length; lane++) {
    const voxel = voxels[lane];
    if (voxel === undefined) continue;
    voxel.enteredCount = 0;
    voxel.leftCount = 0;
    taken |= 0x01010101 << lane;
  }
  for (let word = 0; word < smallWords.length; word++) {
    let changed = (smallWords[word] ^ activeWords[word]) & taken;
    activeWords[word] ^= changed;
    while (changed !== 0) {
      const bit = 31 - Math.clz32(changed & -changed);
      changed &= changed - 1;
      const [direction, lane] = [4 * word + (bit >> 3), bit & 7];
      // What fills the last block has no direction.
      if (direction < vertices) noteChange(voxels[lane], direction, active[direction] >> lane);
    }
  }
}

/** The last bit of `flags` says whether the direction is active now. */
function noteChange(voxel: CsdVoxel | undefined, direction: number, flags: number): void {
  if (voxel === undefined) return;
  if ((flags & 1) === 1) {
    voxel.activeCount++;
    voxel.entered[voxel.enteredCount++] = direction;
  } else {
    voxel.activeCount--;
    voxel.left[voxel.leftCount++] = direction;
  }
}

function updateMoments(design: CsdDesign, lanes: CsdLanes, lane: number, voxel: CsdVoxel): void {
  if (mustSumAnew(design, voxel)) {
    listActive(design, lanes, lane);
    sumListed(design, voxel);
  } else {
    sumChanges(design, voxel);
  }
}
