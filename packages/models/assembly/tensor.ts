/**
 * The hot loops of the tensor models over a voxel's samples, in AssemblyScript: two samples at a time.
 * src/kernels/tensorPlain.ts does the same in plain TypeScript and gives the same bits, so the order in which
 * terms are added may only change in both; layouts and meanings are told in src/kernels/tensorLayout.ts.
 *
 * Arguments are addresses in bytes in a memory that the caller owns; nothing is allocated here. Sums are
 * locals written out one by one: so they stay in registers for as long as the samples run by.
 */
import { Pair, SMALLEST_NORMAL } from "./elementary";

const PAIR: usize = 16;

/** The even samples' sum + the odd ones'. */
// biome-ignore lint/complexity/noStaticOnlyClass: a decorator, and so @inline, may only stand on a method.
class Sum {
  @inline static store(at: usize, sum: v128): void {
    f64.store(at, f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  }
}

export function takeLogs(samples: usize, floor: f64, places: usize, table: usize): void {
  const least = f64x2.splat(floor);
  const isNormal = floor >= SMALLEST_NORMAL;
  const end = samples + places * 8;
  for (let at = samples; at < end; at += PAIR) {
    const sample = f64x2.pmax(least, v128.load(at));
    v128.store(at, isNormal ? Pair.logOfNormal(sample, table) : Pair.log(sample, table));
  }
}

export function sumColumns(columns: usize, values: usize, places: usize, sums: usize): void {
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  let s2 = f64x2.splat(0);
  let s3 = f64x2.splat(0);
  let s4 = f64x2.splat(0);
  let s5 = f64x2.splat(0);
  let s6 = f64x2.splat(0);
  const end = values + places * 8;
  for (; values < end; values += PAIR, columns += 7 * PAIR) {
    const value = v128.load(values);
    s0 = f64x2.add(s0, f64x2.mul(value, v128.load(columns)));
    s1 = f64x2.add(s1, f64x2.mul(value, v128.load(columns, PAIR)));
    s2 = f64x2.add(s2, f64x2.mul(value, v128.load(columns, 2 * PAIR)));
    s3 = f64x2.add(s3, f64x2.mul(value, v128.load(columns, 3 * PAIR)));
    s4 = f64x2.add(s4, f64x2.mul(value, v128.load(columns, 4 * PAIR)));
    s5 = f64x2.add(s5, f64x2.mul(value, v128.load(columns, 5 * PAIR)));
    s6 = f64x2.add(s6, f64x2.mul(value, v128.load(columns, 6 * PAIR)));
  }
  Sum.store(sums, s0);
  Sum.store(sums + 8, s1);
  Sum.store(sums + 16, s2);
  Sum.store(sums + 24, s3);
  Sum.store(sums + 32, s4);
  Sum.store(sums + 40, s5);
  Sum.store(sums + 48, s6);
}

export function sumProducts(products: usize, weights: usize, places: usize, sums: usize): void {
  sumEight(products, weights, places, sums);
  sumColumns(products + places * 64, weights, places, sums + 64);
}

function sumEight(columns: usize, values: usize, places: usize, sums: usize): void {
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  let s2 = f64x2.splat(0);
  let s3 = f64x2.splat(0);
  let s4 = f64x2.splat(0);
  let s5 = f64x2.splat(0);
  let s6 = f64x2.splat(0);
  let s7 = f64x2.splat(0);
  const end = values + places * 8;
  for (; values < end; values += PAIR, columns += 8 * PAIR) {
    const value = v128.load(values);
    s0 = f64x2.add(s0, f64x2.mul(value, v128.load(columns)));
    s1 = f64x2.add(s1, f64x2.mul(value, v128.load(columns, PAIR)));
    s2 = f64x2.add(s2, f64x2.mul(value, v128.load(columns, 2 * PAIR)));
    s3 = f64x2.add(s3, f64x2.mul(value, v128.load(columns, 3 * PAIR)));
    s4 = f64x2.add(s4, f64x2.mul(value, v128.load(columns, 4 * PAIR)));
    s5 = f64x2.add(s5, f64x2.mul(value, v128.load(columns, 5 * PAIR)));
    s6 = f64x2.add(s6, f64x2.mul(value, v128.load(columns, 6 * PAIR)));
    s7 = f64x2.add(s7, f64x2.mul(value, v128.load(columns, 7 * PAIR)));
  }
  Sum.store(sums, s0);
  Sum.store(sums + 8, s1);
  Sum.store(sums + 16, s2);
  Sum.store(sums + 24, s3);
  Sum.store(sums + 32, s4);
  Sum.store(sums + 40, s5);
  Sum.store(sums + 48, s6);
  Sum.store(sums + 56, s7);
}

export function weighByPrediction(
  columns: usize,
  solution: usize,
  logs: usize,
  places: usize,
  weights: usize,
  residuals: usize,
  pulls: usize,
  table: usize,
): void {
  const d0 = v128.load64_splat(solution);
  const d1 = v128.load64_splat(solution, 8);
  const d2 = v128.load64_splat(solution, 16);
  const d3 = v128.load64_splat(solution, 24);
  const d4 = v128.load64_splat(solution, 32);
  const d5 = v128.load64_splat(solution, 40);
  const constant = v128.load64_splat(solution, 48);
  const bytes = places * 8;
  for (let at: usize = 0; at < bytes; at += PAIR, columns += 7 * PAIR) {
    const decay = f64x2.add(
      f64x2.add(
        f64x2.add(f64x2.mul(v128.load(columns), d0), f64x2.mul(v128.load(columns, PAIR), d1)),
        f64x2.mul(v128.load(columns, 2 * PAIR), d2),
      ),
      f64x2.add(
        f64x2.add(
          f64x2.mul(v128.load(columns, 3 * PAIR), d3),
          f64x2.mul(v128.load(columns, 4 * PAIR), d4),
        ),
        f64x2.mul(v128.load(columns, 5 * PAIR), d5),
      ),
    );
    const weight = f64x2.mul(
      Pair.exp(f64x2.add(decay, decay), table),
      v128.load(columns, 6 * PAIR),
    );
    const residual = f64x2.sub(f64x2.sub(v128.load(logs + at), decay), constant);
    v128.store(weights + at, weight);
    v128.store(residuals + at, residual);
    v128.store(pulls + at, f64x2.mul(weight, residual));
  }
}
