/**
 * The hot loops of CSD in AssemblyScript: several voxels at a time, one in each lane of a vector, two in
 * float64 and four in float32. All arithmetic is lane by lane, so no voxel sees its neighbours.
 * src/kernels/csdPlain.ts does the same in plain TypeScript, voxel by voxel, and gives the same bits: the
 * order in which terms are added may only change in both.
 *
 * Arguments are addresses in bytes in a memory that the caller owns; layouts and meanings are told in
 * src/kernels/csdFunctions.ts. Nothing is allocated here.
 *
 * Every multiplication and addition rounds on its own: a fused or relaxed instruction would give other
 * bits on other processors. Sums are locals written out one by one: so they stay in registers while the
 * long side runs by, which no array would.
 */

import { Lanes, SUMS } from "./csdLanes";
import { VECTOR } from "./csdTiles";

export function csdMultiply(
  matrix: usize,
  blocks: usize,
  width: usize,
  columns: usize,
  vector: usize,
  out: usize,
): void {
  const height = SUMS * VECTOR;
  const end = vector + columns * sizeof<f64>();
  for (const stop = out + blocks * height; out < stop; out += height) {
    let sum0 = f64x2.splat(0);
    let sum1 = f64x2.splat(0);
    let sum2 = f64x2.splat(0);
    let sum3 = f64x2.splat(0);
    let sum4 = f64x2.splat(0);
    let sum5 = f64x2.splat(0);
    let column = matrix;
    for (let place = vector; place < end; place += sizeof<f64>()) {
      const factor = v128.load64_splat(place);
      sum0 = f64x2.add(sum0, f64x2.mul(v128.load(column), factor));
      sum1 = f64x2.add(sum1, f64x2.mul(v128.load(column, VECTOR), factor));
      sum2 = f64x2.add(sum2, f64x2.mul(v128.load(column, 2 * VECTOR), factor));
      sum3 = f64x2.add(sum3, f64x2.mul(v128.load(column, 3 * VECTOR), factor));
      sum4 = f64x2.add(sum4, f64x2.mul(v128.load(column, 4 * VECTOR), factor));
      sum5 = f64x2.add(sum5, f64x2.mul(v128.load(column, 5 * VECTOR), factor));
      column += height;
    }
    v128.store(out, sum0);
    v128.store(out, sum1, VECTOR);
    v128.store(out, sum2, 2 * VECTOR);
    v128.store(out, sum3, 3 * VECTOR);
    v128.store(out, sum4, 4 * VECTOR);
    v128.store(out, sum5, 5 * VECTOR);
    matrix += width * height;
  }
}

/** Without a branch: which values are below is as good as random. */
export function csdListBelow(
  values: usize,
  count: u32,
  threshold: f64,
  below: usize,
  others: usize,
): u32 {
  let found: u32 = 0;
  for (let k: u32 = 0; k < count; k++) {
    const isBelow = u32(load<f64>(values) < threshold);
    store<u32>(below, k);
    store<u32>(others, k);
    below += isBelow * sizeof<u32>();
    others += (1 - isBelow) * sizeof<u32>();
    found += isBelow;
    values += sizeof<f64>();
  }
  return found;
}

export function csdSumMoments(
  base: usize,
  table: usize,
  directions: usize,
  list: usize,
  added: usize,
  total: usize,
  blocks: usize,
  out: usize,
): void {
  Lanes.sumMoments(base, table, directions, list, added, total, blocks, out);
}

/** Two numbers of each voxel at a time: `count` is even. */
export function csdWeave64(first: usize, second: usize, count: usize, out: usize): void {
  for (const end = first + count * sizeof<f64>(); first < end; first += VECTOR) {
    const pair0 = v128.load(first);
    const pair1 = v128.load(second);
    v128.store(out, v128.shuffle<f64>(pair0, pair1, 0, 2));
    v128.store(out, v128.shuffle<f64>(pair0, pair1, 1, 3), VECTOR);
    second += VECTOR;
    out += 2 * VECTOR;
  }
}

export function csdWeave32(
  first: usize,
  second: usize,
  third: usize,
  fourth: usize,
  count: usize,
  out: usize,
): void {
  for (const end = first + count * sizeof<f64>(); first < end; first += VECTOR) {
    const pair0 = f32x4.demote_f64x2_zero(v128.load(first));
    const pair1 = f32x4.demote_f64x2_zero(v128.load(second));
    const pair2 = f32x4.demote_f64x2_zero(v128.load(third));
    const pair3 = f32x4.demote_f64x2_zero(v128.load(fourth));
    const left = v128.shuffle<f32>(pair0, pair1, 0, 4, 1, 5);
    const right = v128.shuffle<f32>(pair2, pair3, 0, 4, 1, 5);
    v128.store(out, v128.shuffle<f64>(left, right, 0, 2));
    v128.store(out, v128.shuffle<f64>(left, right, 1, 3), VECTOR);
    second += VECTOR;
    third += VECTOR;
    fourth += VECTOR;
    out += 2 * VECTOR;
  }
}

export function csdFactorize64(
  normal: usize,
  places: usize,
  moments: usize,
  tiles: usize,
  z: usize,
  factor: usize,
  inverse: usize,
  y: usize,
): i32 {
  return Lanes.factorize<f64>(normal, places, moments, tiles, z, factor, inverse, y);
}

export function csdSolve64(factor: usize, inverse: usize, tiles: usize, x: usize): void {
  Lanes.solve<f64>(factor, inverse, tiles, x);
}

export function csdEvaluate64(
  rows: usize,
  blocks: usize,
  count: usize,
  x: usize,
  thresholds: usize,
  small: usize,
): i32 {
  return Lanes.evaluate<f64>(rows, blocks, count, x, thresholds, small);
}

export function csdFactorize32(
  normal: usize,
  places: usize,
  moments: usize,
  tiles: usize,
  z: usize,
  factor: usize,
  inverse: usize,
  y: usize,
): i32 {
  return Lanes.factorize<f32>(normal, places, moments, tiles, z, factor, inverse, y);
}

export function csdSolve32(factor: usize, inverse: usize, tiles: usize, x: usize): void {
  Lanes.solve<f32>(factor, inverse, tiles, x);
}

export function csdEvaluate32(
  rows: usize,
  blocks: usize,
  count: usize,
  x: usize,
  thresholds: usize,
  small: usize,
): i32 {
  return Lanes.evaluate<f32>(rows, blocks, count, x, thresholds, small);
}
