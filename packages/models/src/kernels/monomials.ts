/**
 * Even spherical harmonics as homogeneous polynomials. On the sphere x² + y² + z² is 1, so a function of
 * even order up to L is a sum of the monomials x^a y^b z^c with a + b + c = L: as many as there are
 * harmonics. A product of two such monomials is one of degree 2 L, so that a sum of h h' over directions
 * is known from the sums of the monomials of degree 2 L alone.
 *
 * Monomials of a degree stand in the order of falling a, then falling b.
 */
import { coefficientIndex } from "./sphericalHarmonics.ts";

/** How many there are. */
export function monomialCount(degree: number): number {
  return ((degree + 1) * (degree + 2)) / 2;
}

/** The place of x^a y^b z^c. */
export function monomialIndex(degree: number, a: number, b: number): number {
  const rest = degree - a;
  return (rest * (rest + 1)) / 2 + (rest - b);
}

/** The exponents a, b, c of each. */
export function monomials(degree: number): (readonly [number, number, number])[] {
  const all: (readonly [number, number, number])[] = [];
  for (let a = degree; a >= 0; a--) {
    for (let b = degree - a; b >= 0; b--) all.push([a, b, degree - a - b]);
  }
  return all;
}

/**
 * The value of each at each direction: [directions, monomials] by rows. Directions are 3 numbers each, of
 * any length; (0, 0, 0) counts as the pole.
 */
export function monomialBasis(degree: number, directions: ArrayLike<number>): Float64Array {
  const exponents = monomials(degree);
  const count = Math.floor(directions.length / 3);
  const basis = new Float64Array(count * exponents.length);
  for (let i = 0; i < count; i++) {
    const [x, y, z] = [0, 1, 2].map((axis) => directions[3 * i + axis]);
    const length = Math.sqrt(x * x + y * y + z * z);
    const unit = length > 0 ? [x / length, y / length, z / length] : [0, 0, 1];
    const [xs, ys, zs] = unit.map((value) => powersOf(value, degree));
    exponents.forEach(([a, b, c], n) => {
      basis[i * exponents.length + n] = xs[a] * ys[b] * zs[c];
    });
  }
  return basis;
}

function powersOf(value: number, degree: number): Float64Array {
  const powers = new Float64Array(degree + 1).fill(1);
  for (let n = 1; n <= degree; n++) powers[n] = powers[n - 1] * value;
  return powers;
}

/** The even harmonics up to an order in monomials of that degree, [coefficients, monomials] by rows. */
export function harmonicPolynomials(order: number): Float64Array {
  const width = monomialCount(order);
  const rows = new Float64Array(width * width);
  const put = (l: number, m: number, polynomial: Polynomial) => {
    let lifted = polynomial;
    while (lifted.degree < order) lifted = timesSquaredLength(lifted);
    rows.set(lifted.values, coefficientIndex(l, m) * width);
  };
  // (x + iy)^m, as in realShBasis, with polynomials in place of numbers.
  let real: Polynomial = { degree: 0, values: Float64Array.of(1) };
  let imaginary: Polynomial = { degree: 0, values: Float64Array.of(0) };
  let sectoral = 1 / Math.sqrt(4 * Math.PI);
  for (let m = 0; m <= order; m++) {
    if (m > 0) {
      const [x, y] = [0, 1];
      [real, imaginary] = [
        sum(timesAxis(real, x), timesAxis(imaginary, y), 1, -1),
        sum(timesAxis(real, y), timesAxis(imaginary, x), 1, 1),
      ];
      sectoral *= -Math.sqrt((2 * m + 1) / (2 * m));
    }
    if (m === 0) {
      climb(real, sectoral, 0, order, (l, polynomial) => put(l, 0, polynomial));
    } else {
      climb(real, Math.SQRT2 * sectoral, m, order, (l, polynomial) => put(l, -m, polynomial));
      climb(imaginary, Math.SQRT2 * sectoral, m, order, (l, polynomial) => put(l, m, polynomial));
    }
  }
  return rows;
}

/**
 * What turns coefficients of monomials into those of the even harmonics up to that order, [harmonics,
 * monomials] by rows. Harmonics are orthogonal in the product that weighs x^a y^b z^c by a! b! c! / L!
 * (Bombieri's), so it is a transpose, scaled.
 */
export function harmonicsOfMonomials(order: number): Float64Array {
  const width = monomialCount(order);
  const rows = harmonicPolynomials(order);
  const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
  const weights = monomials(order).map(
    ([a, b, c]) => (factorial(a) * factorial(b) * factorial(c)) / factorial(order),
  );
  for (let n = 0; n < width; n++) {
    const row = rows.subarray(n * width, (n + 1) * width);
    const power = row.reduce((total, value, i) => total + value * value * weights[i], 0);
    row.forEach((value, i) => {
      row[i] = (value * weights[i]) / power;
    });
  }
  return rows;
}

interface Polynomial {
  readonly degree: number;
  readonly values: Float64Array;
}

/** The polynomials of the harmonics of orders l = m, m + 2, ... (even ones) over that of l = m. */
function climb(
  sectoral: Polynomial,
  scale: number,
  m: number,
  order: number,
  take: (l: number, polynomial: Polynomial) => void,
): void {
  let before = sum(sectoral, sectoral, 0, 0);
  let value = sum(sectoral, sectoral, scale, 0);
  for (let l = m; l <= order; l++) {
    if (l > m) {
      const lower = (l - 1) * (l - 1);
      const growth = Math.sqrt((4 * l * l - 1) / (l * l - m * m));
      const share = Math.sqrt((lower - m * m) / (4 * lower - 1));
      const raised = timesAxis(value, 2);
      const next =
        l === m + 1
          ? sum(raised, raised, growth, 0)
          : sum(raised, timesSquaredLength(before), growth, -growth * share);
      [before, value] = [value, next];
    }
    if (l % 2 === 0) take(l, value);
  }
}

function sum(left: Polynomial, right: Polynomial, scale: number, other: number): Polynomial {
  const values = left.values.map((value, i) => scale * value + other * right.values[i]);
  return { degree: left.degree, values };
}

function timesAxis({ degree, values }: Polynomial, axis: number): Polynomial {
  const raised = new Float64Array(monomialCount(degree + 1));
  monomials(degree).forEach(([a, b], i) => {
    const at = monomialIndex(degree + 1, axis === 0 ? a + 1 : a, axis === 1 ? b + 1 : b);
    raised[at] = values[i];
  });
  return { degree: degree + 1, values: raised };
}

function timesSquaredLength(polynomial: Polynomial): Polynomial {
  const squares = [0, 1, 2].map((axis) => timesAxis(timesAxis(polynomial, axis), axis));
  const values = squares[0].values.map((x, i) => x + squares[1].values[i] + squares[2].values[i]);
  return { degree: polynomial.degree + 2, values };
}
