/**
 * The iteration of CSD with a voxel in each lane. All lanes take a step together, but each voxel enters,
 * changes its directions and leaves for itself: when one is done, the next takes its lane, so that none
 * waits for another.
 */
import { VoxelStatus } from "../model.ts";
import type { CsdDesign } from "./csdDesign.ts";
import type { CsdStart } from "./csdStart.ts";

/** A voxel in its lane. */
export interface CsdLane {
  readonly lane: number;
  /** -1 where the lane is free. */
  voxel: number;
  iterations: number;
  activeCount: number;
  /** Directions added or taken since the moments were last summed from the start. */
  drift: number;
  /** Directions that came in since the last step, and those that went out. */
  readonly entered: Int32Array;
  readonly left: Int32Array;
  enteredCount: number;
  leftCount: number;
}

export interface CsdLanes {
  readonly lanes: readonly CsdLane[];
  /** For each watched direction a bit for each lane in which it is active. */
  readonly active: Uint8Array;
  /** The same, and what the last step found, four directions at a time. */
  readonly activeWords: Int32Array;
  readonly smallWords: Int32Array;
}

export function createCsdLanes({ lanes, vertices, small }: CsdDesign): CsdLanes {
  const words = small.length / Int32Array.BYTES_PER_ELEMENT;
  const active = new Uint8Array(small.length);
  return {
    lanes: Array.from({ length: lanes }, (_, lane) => ({
      ...{ lane, voxel: -1, iterations: 0, activeCount: 0, drift: 0 },
      ...{ entered: new Int32Array(vertices), left: new Int32Array(vertices) },
      ...{ enteredCount: 0, leftCount: 0 },
    })),
    active,
    activeWords: new Int32Array(active.buffer),
    smallWords: new Int32Array(small.buffer, small.byteOffset, words),
  };
}

/** Puts the voxel that was started last into a free lane. */
export function enterLane(
  design: CsdDesign,
  lanes: CsdLanes,
  lane: CsdLane,
  voxel: number,
  start: CsdStart,
): void {
  const { arrays, lanes: count } = design;
  lane.voxel = voxel;
  lane.iterations = 0;
  lane.activeCount = start.activeCount;
  takeAll(lanes, lane, design.below, start.activeCount);
  const { z, started, thresholds } = arrays;
  for (let n = 0; n < design.count; n++) z[count * n + lane.lane] = started[n];
  thresholds[lane.lane] = start.threshold;
  sumListed(design, lane);
}

/** Makes the listed directions the lane's active ones. */
function takeAll(
  { active, activeWords }: CsdLanes,
  { lane }: CsdLane,
  list: Uint32Array,
  count: number,
): void {
  const others = ~(0x01010101 << lane);
  for (let word = 0; word < activeWords.length; word++) activeWords[word] &= others;
  for (let i = 0; i < count; i++) active[list[i]] |= 1 << lane;
}

/** One iteration of the voxels in all lanes. `leave` is told of each that is done; its lane is free then. */
export function stepLanes(
  design: CsdDesign,
  lanes: CsdLanes,
  leave: (lane: CsdLane, status: number) => void,
): void {
  const good = solveLanes(design);
  noteChanges(design, lanes);
  for (const lane of lanes.lanes) {
    if (lane.voxel < 0) continue;
    lane.iterations++;
    const status = statusOf(lane, (good >> lane.lane) & 1, design.iterations);
    if (status === undefined) {
      updateMoments(design, lanes, lane);
    } else {
      leave(lane, status);
      lane.voxel = -1;
    }
  }
}

function statusOf(lane: CsdLane, isGood: number, most: number): number | undefined {
  if (isGood === 0) return VoxelStatus.singular;
  if (lane.enteredCount + lane.leftCount === 0) return VoxelStatus.fitted;
  return lane.iterations === most ? VoxelStatus.notConverged : undefined;
}

/** The coefficients and too small directions of all lanes by their moments; a bit for each lane that has a solution. */
function solveLanes({ functions, arrays, tiles, count, directionBlocks }: CsdDesign): number {
  const { allMoments, sums, woven, normal, places, z, rows, thresholds, small } = arrays;
  const factor = arrays.factor.byteOffset;
  const inverse = arrays.inverse.byteOffset;
  const x = arrays.x.byteOffset;
  functions.csdWeave64(sums.byteOffset, allMoments.length, woven.byteOffset);
  const good = functions.csdFactorize64(
    normal.byteOffset,
    places.byteOffset,
    woven.byteOffset,
    tiles,
    z.byteOffset,
    factor,
    inverse,
    x,
  );
  functions.csdSolve64(factor, inverse, tiles, x);
  functions.csdEvaluate64(
    rows.byteOffset,
    directionBlocks,
    count,
    x,
    thresholds.byteOffset,
    small.byteOffset,
  );
  return good;
}

/** Notes which directions fell below the threshold and which rose above it, in each lane. */
function noteChanges(
  { vertices }: CsdDesign,
  { lanes, active, activeWords, smallWords }: CsdLanes,
): void {
  let taken = 0;
  for (let i = 0; i < lanes.length; i++) {
    lanes[i].enteredCount = 0;
    lanes[i].leftCount = 0;
    if (lanes[i].voxel >= 0) taken |= 0x01010101 << i;
  }
  for (let word = 0; word < smallWords.length; word++) {
    const changed = (smallWords[word] ^ activeWords[word]) & taken;
    if (changed === 0) continue;
    activeWords[word] ^= changed;
    for (let v = 4 * word, bits = changed; bits !== 0 && v < vertices; v++, bits >>>= 8) {
      for (let i = 0; i < lanes.length; i++) {
        if ((bits >> i) & 1) noteChange(lanes[i], v, (active[v] >> i) & 1);
      }
    }
  }
}

function noteChange(lane: CsdLane, direction: number, isActive: number): void {
  lane.activeCount += 2 * isActive - 1;
  if (isActive === 1) lane.entered[lane.enteredCount++] = direction;
  else lane.left[lane.leftCount++] = direction;
}

/**
 * Adds the directions that entered and takes away those that left. Each round leaves its rounding errors
 * in the moments, so they are summed anew once as many directions have passed through them as there are:
 * their error stays that of one sum over all directions, however many iterations a voxel takes.
 */
function updateMoments(design: CsdDesign, lanes: CsdLanes, lane: CsdLane): void {
  const { vertices, below } = design;
  const { entered, left, enteredCount, leftCount, activeCount } = lane;
  const changes = enteredCount + leftCount;
  lane.drift += changes;
  if (lane.drift > vertices || changes >= Math.min(activeCount, vertices - activeCount)) {
    listActive(design, lanes, lane);
    sumListed(design, lane);
    return;
  }
  for (let i = 0; i < enteredCount; i++) below[i] = entered[i];
  for (let i = 0; i < leftCount; i++) below[enteredCount + i] = left[i];
  const sums = sumsOf(design, lane);
  const list = design.arrays.below.byteOffset;
  addListed(design, sums, list, enteredCount, changes, sums);
}

/** Lists the lane's active directions and the others. */
function listActive(
  { vertices, below, others }: CsdDesign,
  { active }: CsdLanes,
  { lane }: CsdLane,
) {
  let found = 0;
  for (let v = 0; v < vertices; v++) {
    if ((active[v] >> lane) & 1) below[found++] = v;
    else others[v - found] = v;
  }
}

/** A voxel's moments from the start: the listed active directions', or all less the others', whichever takes fewer. */
function sumListed(design: CsdDesign, lane: CsdLane): void {
  const { vertices, arrays } = design;
  const { noMoments, allMoments, below, others } = arrays;
  const sums = sumsOf(design, lane);
  const rest = vertices - lane.activeCount;
  lane.drift = Math.min(lane.activeCount, rest);
  if (lane.activeCount <= rest) {
    const count = lane.activeCount;
    addListed(design, noMoments.byteOffset, below.byteOffset, count, count, sums);
  } else {
    addListed(design, allMoments.byteOffset, others.byteOffset, 0, rest, sums);
  }
}

function sumsOf({ arrays }: CsdDesign, { lane }: CsdLane): number {
  return arrays.sums.byteOffset + lane * arrays.allMoments.byteLength;
}

function addListed(
  { functions, arrays, vertices, momentBlocks }: CsdDesign,
  base: number,
  list: number,
  added: number,
  total: number,
  out: number,
): void {
  const table = arrays.moments.byteOffset;
  functions.csdSumMoments64(base, table, vertices, list, added, total, momentBlocks, out);
}
