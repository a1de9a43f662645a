/**
 * Real, even spherical harmonics in the basis that DIPY calls descoteaux07 (legacy): order l = 0, 2,
 * ..., L, in each m = -l..l. With K the complex harmonic of |m| (Condon-Shortley phase included) it
 * is sqrt2 Re K for m < 0, K for m = 0 and sqrt2 Im K for m > 0 (Descoteaux et al. 2007, |m| for m).
 */
import { InputError } from "../model.ts";

export const GREATEST_ORDER = 16;

/** Coefficients up to the order: (L + 1)(L + 2) / 2. Throws InputError on an order that is odd, below 0 or above 16. */
export function coefficientCount(order: number): number {
  if (!(Number.isInteger(order) && order >= 0 && order % 2 === 0 && order <= GREATEST_ORDER)) {
    throw new InputError(
      `The spherical harmonic order is ${order}; give an even number from 0 to ${GREATEST_ORDER}.`,
    );
  }
  return ((order + 1) * (order + 2)) / 2;
}

/** Place of the harmonic (l, m), l even. */
export function coefficientIndex(l: number, m: number): number {
  return (l * (l + 1)) / 2 + m;
}

/** The l of each coefficient. */
export function harmonicOrders(order: number): Uint8Array {
  const orders = new Uint8Array(coefficientCount(order));
  for (let l = 0; l <= order; l += 2) {
    orders.fill(l, coefficientIndex(l, -l), coefficientIndex(l, l) + 1);
  }
  return orders;
}

/**
 * For each coefficient its place in MRtrix3's basis (Tournier et al. 2019), which holds the same
 * functions with m and -m exchanged. The permutation is its own inverse.
 */
export function mrtrixPlaces(order: number): Uint16Array {
  const places = new Uint16Array(coefficientCount(order));
  for (let l = 0; l <= order; l += 2) {
    for (let m = -l; m <= l; m++) places[coefficientIndex(l, m)] = coefficientIndex(l, -m);
  }
  return places;
}

/** Y_l0 at the pole: sqrt((2l + 1) / 4 pi). */
export function zonalAtPole(l: number): number {
  return Math.sqrt((2 * l + 1) / (4 * Math.PI));
}

/**
 * The basis at each direction: [directions, coefficients] by rows. Directions are 3 numbers each, of
 * any length; (0, 0, 0) counts as the pole. Uses no trigonometry: with x, y, z of length 1,
 * sin^m(theta) e^(i m phi) is (x + iy)^m, and what is left of the Legendre function is a polynomial in z.
 */
export function realShBasis(order: number, directions: ArrayLike<number>): Float64Array {
  const width = coefficientCount(order);
  const count = Math.floor(directions.length / 3);
  const basis = new Float64Array(count * width);
  for (let i = 0; i < count; i++) {
    const x = directions[3 * i];
    const y = directions[3 * i + 1];
    const z = directions[3 * i + 2];
    const length = Math.sqrt(x * x + y * y + z * z);
    const row = basis.subarray(i * width, (i + 1) * width);
    if (length > 0) fillRow(row, order, x / length, y / length, z / length);
    else fillRow(row, order, 0, 0, 1);
  }
  return basis;
}

function fillRow(row: Float64Array, order: number, x: number, y: number, z: number): void {
  let real = 1;
  let imaginary = 0;
  let sectoral = 1 / Math.sqrt(4 * Math.PI);
  for (let m = 0; m <= order; m++) {
    if (m > 0) {
      [real, imaginary] = [real * x - imaginary * y, real * y + imaginary * x];
      sectoral *= -Math.sqrt((2 * m + 1) / (2 * m));
    }
    let before = 0;
    let value = sectoral;
    for (let l = m; l <= order; l++) {
      if (l > m) {
        const lower = (l - 1) * (l - 1);
        const growth = Math.sqrt((4 * l * l - 1) / (l * l - m * m));
        const share = Math.sqrt((lower - m * m) / (4 * lower - 1));
        [before, value] = [value, growth * (z * value - share * before)];
      }
      if (l % 2 === 1) continue;
      if (m === 0) {
        row[coefficientIndex(l, 0)] = value;
      } else {
        row[coefficientIndex(l, -m)] = Math.SQRT2 * value * real;
        row[coefficientIndex(l, m)] = Math.SQRT2 * value * imaginary;
      }
    }
  }
}
