/**
 * The hot loops of the free-water model over a voxel's samples, in AssemblyScript: two samples at a time.
 * src/kernels/freewaterPlain.ts does the same in plain TypeScript and gives the same bits, so the order in which
 * terms are added may only change in both; layouts and meanings are told in src/kernels/freewaterLayout.ts.
 */
import { Pair, SMALLEST } from "./elementary";

const PAIR: usize = 16;
const ROW: usize = 7 * PAIR;

// biome-ignore lint/complexity/noStaticOnlyClass: a decorator, and so @inline, may only stand on a method.
class Lanes {
  /** The even samples' sum + the odd ones'. */
  @inline static total(sum: v128): f64 {
    return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  }

  /** Two rows of the design, without their constant, times a tensor. */
  @inline static exponent(
    design: usize,
    d0: v128,
    d1: v128,
    d2: v128,
    d3: v128,
    d4: v128,
    d5: v128,
  ): v128 {
    return f64x2.add(
      f64x2.add(
        f64x2.add(f64x2.mul(v128.load(design), d0), f64x2.mul(v128.load(design, PAIR), d1)),
        f64x2.mul(v128.load(design, 2 * PAIR), d2),
      ),
      f64x2.add(
        f64x2.add(
          f64x2.mul(v128.load(design, 3 * PAIR), d3),
          f64x2.mul(v128.load(design, 4 * PAIR), d4),
        ),
        f64x2.mul(v128.load(design, 5 * PAIR), d5),
      ),
    );
  }
}

export function sumTissueLogs(
  design: usize,
  samples: usize,
  water: usize,
  waterS0: f64,
  floor: f64,
  places: usize,
  sums: usize,
  table: usize,
): void {
  const amount = f64x2.splat(waterS0);
  const least = f64x2.splat(floor);
  const zero = f64x2.splat(0);
  let s0 = zero;
  let s1 = zero;
  let s2 = zero;
  let s3 = zero;
  let s4 = zero;
  let s5 = zero;
  let s6 = zero;
  const bytes = places * 8;
  for (let at: usize = 0; at < bytes; at += PAIR, design += ROW) {
    const sample = v128.load(samples + at);
    const rest = f64x2.sub(sample, f64x2.mul(amount, v128.load(water + at)));
    const lifted = v128.bitselect(rest, least, f64x2.ge(rest, v128.load64_splat(table, SMALLEST)));
    const value = f64x2.mul(f64x2.mul(sample, sample), Pair.logOfNormal(lifted, table));
    s0 = f64x2.add(s0, f64x2.mul(value, v128.load(design)));
    s1 = f64x2.add(s1, f64x2.mul(value, v128.load(design, PAIR)));
    s2 = f64x2.add(s2, f64x2.mul(value, v128.load(design, 2 * PAIR)));
    s3 = f64x2.add(s3, f64x2.mul(value, v128.load(design, 3 * PAIR)));
    s4 = f64x2.add(s4, f64x2.mul(value, v128.load(design, 4 * PAIR)));
    s5 = f64x2.add(s5, f64x2.mul(value, v128.load(design, 5 * PAIR)));
    s6 = f64x2.add(s6, f64x2.mul(value, v128.load(design, 6 * PAIR)));
  }
  f64.store(sums, Lanes.total(s0));
  f64.store(sums, Lanes.total(s1), 8);
  f64.store(sums, Lanes.total(s2), 16);
  f64.store(sums, Lanes.total(s3), 24);
  f64.store(sums, Lanes.total(s4), 32);
  f64.store(sums, Lanes.total(s5), 40);
  f64.store(sums, Lanes.total(s6), 48);
}

export function trialCost(
  design: usize,
  trial: usize,
  samples: usize,
  water: usize,
  waterS0: f64,
  places: usize,
  table: usize,
): f64 {
  const d0 = v128.load64_splat(trial);
  const d1 = v128.load64_splat(trial, 8);
  const d2 = v128.load64_splat(trial, 16);
  const d3 = v128.load64_splat(trial, 24);
  const d4 = v128.load64_splat(trial, 32);
  const d5 = v128.load64_splat(trial, 40);
  const constant = v128.load64_splat(trial, 48);
  const amount = f64x2.splat(waterS0);
  let sum = f64x2.splat(0);
  const bytes = places * 8;
  for (let at: usize = 0; at < bytes; at += PAIR, design += ROW) {
    const exponent = f64x2.add(constant, Lanes.exponent(design, d0, d1, d2, d3, d4, d5));
    const tissue = f64x2.mul(Pair.exp(exponent, table), v128.load(design, 6 * PAIR));
    const left = f64x2.sub(v128.load(samples + at), f64x2.mul(amount, v128.load(water + at)));
    const residual = f64x2.sub(left, tissue);
    sum = f64x2.add(sum, f64x2.mul(residual, residual));
  }
  return Lanes.total(sum);
}

export function takeDecay(
  design: usize,
  tensor: usize,
  water: usize,
  signal: usize,
  places: usize,
  tissue: usize,
  sums: usize,
  table: usize,
): void {
  const d0 = v128.load64_splat(tensor);
  const d1 = v128.load64_splat(tensor, 8);
  const d2 = v128.load64_splat(tensor, 16);
  const d3 = v128.load64_splat(tensor, 24);
  const d4 = v128.load64_splat(tensor, 32);
  const d5 = v128.load64_splat(tensor, 40);
  let squares = f64x2.splat(0);
  let byWater = f64x2.splat(0);
  let bySignal = f64x2.splat(0);
  const bytes = places * 8;
  for (let at: usize = 0; at < bytes; at += PAIR, design += ROW) {
    const exponent = Lanes.exponent(design, d0, d1, d2, d3, d4, d5);
    const decay = f64x2.mul(Pair.exp(exponent, table), v128.load(design, 6 * PAIR));
    v128.store(tissue + at, decay);
    squares = f64x2.add(squares, f64x2.mul(decay, decay));
    byWater = f64x2.add(byWater, f64x2.mul(decay, v128.load(water + at)));
    bySignal = f64x2.add(bySignal, f64x2.mul(decay, v128.load(signal + at)));
  }
  f64.store(sums, Lanes.total(squares));
  f64.store(sums, Lanes.total(byWater), 8);
  f64.store(sums, Lanes.total(bySignal), 16);
}

export function sumSquares(
  tissue: usize,
  water: usize,
  signal: usize,
  tissueS0: f64,
  waterS0: f64,
  places: usize,
): f64 {
  const ofTissue = f64x2.splat(tissueS0);
  const ofWater = f64x2.splat(waterS0);
  let sum = f64x2.splat(0);
  const bytes = places * 8;
  for (let at: usize = 0; at < bytes; at += PAIR) {
    const model = f64x2.add(
      f64x2.mul(ofTissue, v128.load(tissue + at)),
      f64x2.mul(ofWater, v128.load(water + at)),
    );
    const residual = f64x2.sub(model, v128.load(signal + at));
    sum = f64x2.add(sum, f64x2.mul(residual, residual));
  }
  return Lanes.total(sum);
}

export function takeCurvature(
  tissue: usize,
  water: usize,
  signal: usize,
  tissueS0: f64,
  waterS0: f64,
  places: usize,
  curvatures: usize,
  pulls: usize,
  mixed: usize,
): void {
  const ofTissue = f64x2.splat(tissueS0);
  const ofWater = f64x2.splat(waterS0);
  const bytes = places * 8;
  for (let at: usize = 0; at < bytes; at += PAIR) {
    const share = f64x2.mul(ofTissue, v128.load(tissue + at));
    const free = v128.load(water + at);
    const model = f64x2.add(share, f64x2.mul(ofWater, free));
    const residual = f64x2.sub(model, v128.load(signal + at));
    v128.store(curvatures + at, f64x2.mul(share, f64x2.add(share, residual)));
    v128.store(pulls + at, f64x2.mul(share, residual));
    v128.store(mixed + at, f64x2.mul(share, free));
  }
}
