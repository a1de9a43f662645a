/**
 * exp, log, sin and cos in float64 with an error below one unit in the last place. ECMAScript leaves
 * the last bits of `Math.exp` and its like to the engine; these use only operations that IEEE 754
 * rounds exactly, so every machine and Node version gives the same bits.
 *
 * Methods: exp after Tang (ACM TOMS 15, 1989: table of 2^(j/128) and a short polynomial); log by the
 * odd series in (m-1)/(m+1), made minimax; sin and cos by Cody & Waite's reduction in four parts and,
 * for huge arguments, an exact reduction against 1200 bits of 2/pi (Payne & Hanek, SIGNUM 18, 1983).
 */

/** Adding and taking away 1.5 * 2^52 rounds |x| < 2^51 to the nearest whole number. */
const ROUNDER = 6755399441055744;

/** 2^k for k = -1074..1023, at index k + 1074; every entry is exact. */
const POWER_OF_TWO = new Float64Array(2098);
for (let k = 0, value = 1; k <= 1023; k++, value *= 2) POWER_OF_TWO[k + 1074] = value;
for (let k = -1, value = 0.5; k >= -1074; k--, value *= 0.5) POWER_OF_TWO[k + 1074] = value;

const SPLITTER = 134217729;

/** Pairs: 2^(j/128) rounded, and what the rounding left; filled by products of double pairs (Dekker 1971). */
export const EXP_TABLE = new Float64Array(256);
fillExpTable(1.0054299011128027, 9.499186535455032e-17);

function fillExpTable(baseHigh: number, baseLow: number): void {
  let high = 1;
  let low = 0;
  for (let j = 0; j < 128; j++) {
    EXP_TABLE[2 * j] = high;
    EXP_TABLE[2 * j + 1] = low;
    const product = high * baseHigh;
    const error = productError(high, baseHigh, product) + (high * baseLow + low * baseHigh);
    high = product + error;
    low = error - (high - product);
  }
}

/** What rounding took from `product = a * b`. */
function productError(a: number, b: number, product: number): number {
  const aShifted = SPLITTER * a;
  const aHigh = aShifted - (aShifted - a);
  const aLow = a - aHigh;
  const bShifted = SPLITTER * b;
  const bHigh = bShifted - (bShifted - b);
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/** e^x; Infinity above 709.78, 0 below -745.14, NaN for NaN. */
export function exp(x: number): number {
  const whole = x * 184.6649652337873 + ROUNDER - ROUNDER;
  // ln2/128 in two parts: the first has so few bits that its product with `whole` is exact.
  const r = x - whole * 0.005415212347998022 - whole * 1.2655086083325438e-13;
  const k = whole | 0;
  const j = (k & 127) << 1;
  const head = EXP_TABLE[j];
  const square = r * r;
  const growth =
    r +
    square *
      (0.5 + r * 0.16666666666666666 + square * (0.041666666666666664 + r * 0.008333333333333333));
  const value = head + (EXP_TABLE[j + 1] + head * growth);
  if (x > -708 && x < 709) return value * POWER_OF_TWO[(k >> 7) + 1074];
  return expAtTheRim(x, value, k >> 7);
}

/** The scaling by 2^k where a single power of two would overflow, lose bits or not exist. */
function expAtTheRim(x: number, value: number, k: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x > 709.782712893384) return Number.POSITIVE_INFINITY;
  if (x < -745.1332191019412) return 0;
  if (x > 0) return value * POWER_OF_TWO[k - 1 + 1074] * 2;
  return value * POWER_OF_TWO[k + 100 + 1074] * POWER_OF_TWO[1074 - 100];
}

const BITS = new Float64Array(1);
const WORDS = new Int32Array(BITS.buffer);
/** Which of the two 32-bit words of a float64 holds sign and exponent on this machine. */
const HIGH_WORD = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

/** Natural logarithm; -Infinity at 0, NaN below it and for NaN. */
export function log(x: number): number {
  if (x >= 2.2250738585072014e-308 && x < Number.POSITIVE_INFINITY) return logOfNormal(x, 0);
  if (x > 0 && x < 1) return logOfNormal(x * 18014398509481984, -54);
  if (x === 0) return Number.NEGATIVE_INFINITY;
  return x > 0 ? x : Number.NaN;
}

/** ln(x * 2^exponent) for a normal x > 0. */
function logOfNormal(x: number, exponent: number): number {
  BITS[0] = x;
  // 0x95f62 lifts the exponent field where the mantissa is above sqrt(2): m lies in [sqrt(1/2), sqrt(2)).
  const k = ((WORDS[HIGH_WORD] + 0x95f62) >> 20) - 1023;
  // A power of two below 2^-1022 is subnormal, so the largest x are scaled down in two steps.
  const m = k <= 1022 ? x * POWER_OF_TWO[1074 - k] : x * 0.5 * POWER_OF_TWO[1075 - k];
  const f = m - 1;
  const s = f / (2 + f);
  const z = s * s;
  const zz = z * z;
  // Summed in pairs, which the processor can work out side by side.
  const series =
    z *
    (0.666666666666667 +
      z * 0.399999999998992 +
      zz *
        (0.2857142862611452 +
          z * 0.22222211112104948 +
          zz * (0.1818289077802613 + z * 0.15331666676597175 + zz * 0.146171283998073)));
  const half = 0.5 * f * f;
  const power = k + exponent;
  return (
    power * 0.6931471805592082 - (half - (s * (half + series) + power * 7.371002565167799e-13) - f)
  );
}

/** Sine of x radians; NaN for NaN and the infinities. */
export function sin(x: number): number {
  return circular(x, 0);
}

/** Cosine of x radians; NaN for NaN and the infinities. */
export function cos(x: number): number {
  return circular(x, 1);
}

/** sin(x + quarters * pi/2). */
function circular(x: number, quarters: number): number {
  const size = Math.abs(x);
  if (!(size < Number.POSITIVE_INFINITY)) return Number.NaN;
  if (x === 0) return quarters === 0 ? x : 1;
  if (size < 0.7853981633974483) return quarters === 0 ? sineNearZero(x, 0) : cosineNearZero(x, 0);
  if (size > 1e6) return circularOfHuge(x, quarters);
  const n = x * 0.6366197723675814 + ROUNDER - ROUNDER;
  // pi/2 in four parts, of which n times each of the first three is exact.
  const first = x - n * 1.5707963267341256;
  const second = n * 6.077100506303966e-11;
  const difference = first - second;
  const back = difference - first;
  const lost = first - (difference - back) - (second + back);
  const third = n * 2.0222662487111665e-21;
  const tail = lost - third - n * 8.4784276603689e-32;
  const high = difference + tail;
  return quadrant(high, tail - (high - difference), ((n | 0) + quarters) & 3);
}

/** 2/pi times 2^1200, rounded down. */
const TWO_OVER_PI = BigInt(
  "0xa2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e0" +
    "06492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f4" +
    "9c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d" +
    "7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b",
);
const FRACTION_BITS = 1200n;

/** The same for |x| above 1e6, where the reduction needs many bits of 2/pi: exact in whole numbers. */
function circularOfHuge(x: number, quarters: number): number {
  const size = Math.abs(x);
  BITS[0] = size;
  const exponent = (WORDS[HIGH_WORD] >> 20) - 1023 - 52;
  const mantissa = BigInt(size * POWER_OF_TWO[1074 - exponent]);
  const turns = mantissa * TWO_OVER_PI;
  const product = exponent >= 0 ? turns << BigInt(exponent) : turns >> BigInt(-exponent);
  const nearest = (product + (1n << (FRACTION_BITS - 1n))) >> FRACTION_BITS;
  // What is left of a quarter turn, in units of 2^-200, as a pair of doubles.
  const rest = (product - (nearest << FRACTION_BITS)) >> (FRACTION_BITS - 200n);
  const restHigh = Number(rest);
  const scale = POWER_OF_TWO[1074 - 200];
  const a = restHigh * scale;
  const b = Number(rest - BigInt(restHigh)) * scale;
  const product0 = a * HALF_PI;
  const error = productError(a, HALF_PI, product0) + (a * HALF_PI_TAIL + b * HALF_PI);
  const high = product0 + error;
  const low = error - (high - product0);
  const sign = x < 0 ? -1 : 1;
  const quarter = Number(nearest & 3n);
  if (quarters === 0) return sign * quadrant(high, low, quarter);
  return quadrant(high, low, (quarter + 1) & 3);
}

const HALF_PI = 1.5707963267948966;
const HALF_PI_TAIL = 6.123233995736766e-17;

function quadrant(high: number, low: number, quarter: number): number {
  const value = (quarter & 1) === 0 ? sineNearZero(high, low) : cosineNearZero(high, low);
  return quarter >= 2 ? -value : value;
}

/** Sine of high + low, |high| just above pi/4 at most, by its Taylor series. */
function sineNearZero(high: number, low: number): number {
  const z = high * high;
  const end =
    -2.505210838544172e-8 +
    z * (1.6059043836821613e-10 + z * (-7.647163731819816e-13 + z * 2.8114572543455206e-15));
  const tail =
    z *
    (-0.16666666666666666 +
      z *
        (0.008333333333333333 +
          z * (-0.0001984126984126984 + z * (0.0000027557319223985893 + z * end))));
  return high + (high * tail + low * (1 - 0.5 * z));
}

/** Cosine of high + low, |high| just above pi/4 at most, by its Taylor series. */
function cosineNearZero(high: number, low: number): number {
  const z = high * high;
  const end =
    2.08767569878681e-9 +
    z * (-1.1470745597729725e-11 + z * (4.779477332387385e-14 - z * 1.5619206968586225e-16));
  const tail =
    z *
    z *
    (0.041666666666666664 +
      z *
        (-0.001388888888888889 +
          z * (0.0000248015873015873 + z * (-2.755731922398589e-7 + z * end))));
  const half = 0.5 * z;
  const head = 1 - half;
  // `1 - head - half` is what the subtraction lost; the square's own rounding is below the last place.
  return head + (1 - head - half + (tail - high * low));
}
