/**
 * exp and log of two float64 at a time, by the steps of src/kernels/elementary.ts and so with its bits. Where a
 * lane is at the rim of the range, both go the scalar way.
 *
 * Constants are read from the caller's `table` (src/kernels/elementaryTable.ts): the engine would build those
 * written here anew in each turn of a loop, which takes longer than what they are for.
 */

export const SMALLEST_NORMAL: f64 = 2.2250738585072014e-308;

/** Where the table holds its constants, in bytes: after 128 pairs for exp. */
const STEPS: usize = 2048;
const ROUNDER: usize = 2056;
const STEP_HIGH: usize = 2064;
const STEP_LOW: usize = 2072;
const HALF: usize = 2080;
const EXP_3: usize = 2088;
const EXP_4: usize = 2096;
const EXP_5: usize = 2104;
const EXP_FROM: usize = 2112;
const EXP_TO: usize = 2120;
export const SMALLEST: usize = 2128;
const INFINITE: usize = 2136;
const LIFT: usize = 2144;
const MANTISSA: usize = 2152;
const LOWER: usize = 2160;
const WHOLE: usize = 2168;
const WHOLE_BIAS: usize = 2176;
const ONE: usize = 2184;
const TWO: usize = 2192;
const LOG_1: usize = 2200;
const LOG_2: usize = 2208;
const LOG_3: usize = 2216;
const LOG_4: usize = 2224;
const LOG_5: usize = 2232;
const LOG_6: usize = 2240;
const LOG_7: usize = 2248;
const LN2_HIGH: usize = 2256;
const LN2_LOW: usize = 2264;

// biome-ignore lint/complexity/noStaticOnlyClass: a decorator, and so @inline, may only stand on a method.
export class Pair {
  /** e^x; `table` is where the 128 pairs 2^(j/128) and what their rounding left lie. */
  @inline static exp(x: v128, table: usize): v128 {
    const shifted = f64x2.add(
      f64x2.mul(x, v128.load64_splat(table, STEPS)),
      v128.load64_splat(table, ROUNDER),
    );
    const whole = f64x2.sub(shifted, v128.load64_splat(table, ROUNDER));
    const r = f64x2.sub(
      f64x2.sub(x, f64x2.mul(whole, v128.load64_splat(table, STEP_HIGH))),
      f64x2.mul(whole, v128.load64_splat(table, STEP_LOW)),
    );
    const first = v128.load(table + ((<usize>i64x2.extract_lane(shifted, 0) & 127) << 4));
    const second = v128.load(table + ((<usize>i64x2.extract_lane(shifted, 1) & 127) << 4));
    const head = v128.shuffle<f64>(first, second, 0, 2);
    const tail = v128.shuffle<f64>(first, second, 1, 3);
    const square = f64x2.mul(r, r);
    const end = f64x2.add(
      v128.load64_splat(table, EXP_4),
      f64x2.mul(r, v128.load64_splat(table, EXP_5)),
    );
    const series = f64x2.add(
      f64x2.add(v128.load64_splat(table, HALF), f64x2.mul(r, v128.load64_splat(table, EXP_3))),
      f64x2.mul(square, end),
    );
    const growth = f64x2.add(r, f64x2.mul(square, series));
    const value = f64x2.add(head, f64x2.add(tail, f64x2.mul(head, growth)));
    const usual = v128.and(
      f64x2.gt(x, v128.load64_splat(table, EXP_FROM)),
      f64x2.lt(x, v128.load64_splat(table, EXP_TO)),
    );
    if (i64x2.bitmask(usual) === 3) {
      // Adding to the exponent field multiplies by a power of two.
      return i64x2.add(value, i64x2.shl(i64x2.shr_s(shifted, 7), 52));
    }
    return f64x2.replace_lane(
      f64x2.splat(
        expAtTheRim(
          f64x2.extract_lane(x, 0),
          f64x2.extract_lane(value, 0),
          <i32>i64x2.extract_lane(shifted, 0) >> 7,
        ),
      ),
      1,
      expAtTheRim(
        f64x2.extract_lane(x, 1),
        f64x2.extract_lane(value, 1),
        <i32>i64x2.extract_lane(shifted, 1) >> 7,
      ),
    );
  }

  /** ln x. */
  @inline static log(x: v128, table: usize): v128 {
    const usual = v128.and(
      f64x2.ge(x, v128.load64_splat(table, SMALLEST)),
      f64x2.lt(x, v128.load64_splat(table, INFINITE)),
    );
    if (i64x2.bitmask(usual) === 3) return Pair.logOfNormal(x, table);
    return f64x2.replace_lane(
      f64x2.splat(logAtTheRim(f64x2.extract_lane(x, 0), table)),
      1,
      logAtTheRim(f64x2.extract_lane(x, 1), table),
    );
  }

  /** ln x for normal x > 0 below Infinity. */
  @inline static logOfNormal(x: v128, table: usize): v128 {
    return Pair.logOfScaled(x, v128.load64_splat(table, WHOLE_BIAS), table);
  }

  /** ln(x * 2^-n) for such x, with n added to the `bias` of the exponent. */
  @inline static logOfScaled(x: v128, bias: v128, table: usize): v128 {
    const lifted = i64x2.add(x, v128.load64_splat(table, LIFT));
    const field = i64x2.shr_u(lifted, 52);
    const power = f64x2.sub(v128.or(field, v128.load64_splat(table, WHOLE)), bias);
    const m = i64x2.add(
      v128.and(lifted, v128.load64_splat(table, MANTISSA)),
      v128.load64_splat(table, LOWER),
    );
    const f = f64x2.sub(m, v128.load64_splat(table, ONE));
    const s = f64x2.div(f, f64x2.add(v128.load64_splat(table, TWO), f));
    const z = f64x2.mul(s, s);
    const zz = f64x2.mul(z, z);
    const end = f64x2.add(
      f64x2.add(v128.load64_splat(table, LOG_5), f64x2.mul(z, v128.load64_splat(table, LOG_6))),
      f64x2.mul(zz, v128.load64_splat(table, LOG_7)),
    );
    const middle = f64x2.add(
      f64x2.add(v128.load64_splat(table, LOG_3), f64x2.mul(z, v128.load64_splat(table, LOG_4))),
      f64x2.mul(zz, end),
    );
    const begin = f64x2.add(
      f64x2.add(v128.load64_splat(table, LOG_1), f64x2.mul(z, v128.load64_splat(table, LOG_2))),
      f64x2.mul(zz, middle),
    );
    const series = f64x2.mul(z, begin);
    const half = f64x2.mul(f64x2.mul(v128.load64_splat(table, HALF), f), f);
    const small = f64x2.add(
      f64x2.mul(s, f64x2.add(half, series)),
      f64x2.mul(power, v128.load64_splat(table, LN2_LOW)),
    );
    return f64x2.sub(
      f64x2.mul(power, v128.load64_splat(table, LN2_HIGH)),
      f64x2.sub(f64x2.sub(half, small), f),
    );
  }
}

/** The scaling of `value` by 2^k where a single power of two would overflow, lose bits or not exist. */
function expAtTheRim(x: f64, value: f64, k: i32): f64 {
  if (x > 709.782712893384) return Infinity;
  if (x < -745.1332191019412) return 0;
  if (x > 0) return value * powerOfTwo(k - 1) * 2;
  if (x > -708) return value * powerOfTwo(k);
  if (x <= -708) return value * powerOfTwo(k + 100) * powerOfTwo(-100);
  return NaN;
}

function powerOfTwo(k: i32): f64 {
  return reinterpret<f64>((<i64>k + 1023) << 52);
}

function logAtTheRim(x: f64, table: usize): f64 {
  if (x >= SMALLEST_NORMAL && x < Infinity) return scaledLog(x, 0, table);
  if (x > 0 && x < 1) return scaledLog(x * 18014398509481984, 54, table);
  if (x === 0) return -Infinity;
  return x > 0 ? x : NaN;
}

function scaledLog(x: f64, exponent: f64, table: usize): f64 {
  const bias = f64x2.splat(4503599627370496 + 1023 + exponent);
  return f64x2.extract_lane(Pair.logOfScaled(f64x2.splat(x), bias, table), 0);
}
