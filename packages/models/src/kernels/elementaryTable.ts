/** What packages/models/assembly/elementary.ts reads of a kernel's memory: tables and constants of exp and log. */
import { EXP_TABLE } from "./elementary.ts";

/** The float64 whose bits are this whole number. */
const fromBits = (bits: bigint) => new Float64Array(BigUint64Array.of(bits).buffer)[0];

const LIFT = 0x95f62n << 32n;

/** 128 pairs (2^(j/128) rounded, what the rounding left), then the constants in the order of the assembly's offsets. */
export const ELEMENTARY_TABLE: Readonly<Float64Array> = Float64Array.of(
  ...EXP_TABLE,
  // exp: steps in 1, what rounds to a whole number, a step in two parts, 1/2 to 1/120, the range of the fast way.
  ...[184.6649652337873, 6755399441055744, 0.005415212347998022, 1.2655086083325438e-13],
  ...[0.5, 0.16666666666666666, 0.041666666666666664, 0.008333333333333333, -708, 709],
  // log: the range of the fast way; as bits: what lifts the exponent field where the mantissa is above sqrt(2),
  // the mantissa, what takes the lift away and gives the exponent of 1; what turns a whole number in the low bits
  // into a float64, and that with the exponent's bias.
  ...[2.2250738585072014e-308, Number.POSITIVE_INFINITY],
  ...[LIFT, (1n << 52n) - 1n, (1023n << 52n) - LIFT].map(fromBits),
  ...[4503599627370496, 4503599627370496 + 1023],
  // log: the series, then ln 2 in two parts.
  ...[1, 2, 0.666666666666667, 0.399999999998992, 0.2857142862611452, 0.22222211112104948],
  ...[0.1818289077802613, 0.15331666676597175, 0.146171283998073],
  ...[0.6931471805592082, 7.371002565167799e-13],
);
