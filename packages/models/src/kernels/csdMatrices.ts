/** The matrices of constrained spherical deconvolution, by rows, as they follow from the parameters. */
import { InputError } from "../model.ts";
import { cholesky, solveCholesky, timesTransposed, transposed } from "./cholesky.ts";
import type { CsdParameters } from "./csdParameters.ts";
import { harmonicsOfMonomials, monomialBasis, monomialIndex, monomials } from "./monomials.ts";
import { HEMISPHERE181, SYMMETRIC362_VERTICES } from "./sphere.ts";
import { coefficientCount, harmonicOrders, realShBasis } from "./sphericalHarmonics.ts";

/** A pivot of P below this share of its greatest diagonal entry is rounding noise: P is singular. */
const SMALLEST_PIVOT = 1e-12;
/** Share of the greatest diagonal entry that is then added to the diagonal: far above rounding, far below what moves an answer. */
const DIAGONAL_LIFT = 4.3e-13;

/**
 * Up to this order the iteration works in monomials. Of higher orders they are so nearly dependent that
 * rounding would decide what a singular P leaves open.
 */
const MONOMIAL_ORDER = 12;

/** `count` coefficients, `samples` samples and `vertices` watched directions. */
export interface CsdMatrices {
  readonly count: number;
  readonly samples: number;
  readonly vertices: number;
  /** Times the first coefficient of the start: the amplitude below which a direction is too small. */
  readonly thresholdScale: number;
  /** [count, samples]: the harmonics that fit the samples without any constraint. Empty where P, even lifted, has no factor. */
  readonly unconstrained: Float64Array;
  /** [vertices, count]: weighted amplitudes of harmonics in the watched directions. */
  readonly harmonicRows: Float64Array;
  /** [count, count]: harmonics of coefficients in the basis that the iteration works in. */
  readonly toHarmonics: Float64Array;
  /**
   * A power of two by which what follows is smaller than its units say (by its square in P, z and moments),
   * so that it fits in float32: amplitudes of the rows are those of harmonicRows over it.
   */
  readonly unit: number;
  /** [count, samples]: z = X's of samples s, in that basis. */
  readonly rightHand: Float64Array;
  /** [count, count]: P = X'X, lifted where it is singular, in that basis. */
  readonly normal: Float64Array;
  /** [vertices, count]: weighted amplitudes of its functions in the watched directions. */
  readonly rows: Float64Array;
  /** [vertices, moments]: the products of two of its functions there; equal ones stand there once. */
  readonly moments: Float64Array;
  /** Which of the moments is the product of the functions i and j <= i. */
  momentOf(i: number, j: number): number;
}

export function csdMatrices(parameters: CsdParameters): CsdMatrices {
  const { shOrder, directions, lambda, tau, responseHarmonics } = parameters;
  const watched = parameters.regularisation ?? HEMISPHERE181;
  const count = coefficientCount(shOrder);
  const [samples, vertices] = [parameters.volumes.length, watched.length / 3];
  const weight = lambdaEffective(lambda, shOrder, responseHarmonics[0], vertices);
  const unit = powerOfTwo(responseHarmonics.reduce((most, r) => Math.max(most, Math.abs(r)), 0));
  const diagonal = forwardSdeconvMatrix(responseHarmonics, harmonicOrders(shOrder));
  const x = realShBasis(shOrder, directions).map((value, i) => value * diagonal[i % count]);
  const normal = timesTransposed(transposed(x, count), transposed(x, count), samples);
  const unconstrained = invert(normal, x, count);

  const harmonicRows = realShBasis(shOrder, watched).map((value) => weight * value);
  const basis =
    shOrder <= MONOMIAL_ORDER
      ? monomialForm(shOrder, watched, weight / unit)
      : harmonicForm(
          harmonicRows.map((value) => value / unit),
          count,
        );
  const turned = transposed(basis.toHarmonics, count);
  const inUnits = (value: number) => value / unit / unit;
  return {
    ...{ count, samples, vertices, unconstrained, harmonicRows, unit },
    ...basis,
    thresholdScale: tau * weight * (1 / Math.sqrt(4 * Math.PI)),
    rightHand: timesTransposed(turned, x, count).map(inUnits),
    normal: timesTransposed(turned, timesTransposed(turned, normal, count), count).map(inUnits),
  };
}

type BasisForm = Pick<CsdMatrices, "toHarmonics" | "rows" | "moments" | "momentOf">;

/** In monomials there are few different products. */
function monomialForm(shOrder: number, watched: Float64Array, weight: number): BasisForm {
  const exponents = monomials(shOrder);
  return {
    toHarmonics: harmonicsOfMonomials(shOrder),
    rows: monomialBasis(shOrder, watched).map((value) => weight * value),
    moments: monomialBasis(2 * shOrder, watched).map((value) => weight * weight * value),
    momentOf(i, j) {
      const [a, b] = [0, 1].map((axis) => exponents[i][axis] + exponents[j][axis]);
      return monomialIndex(2 * shOrder, a, b);
    },
  };
}

function harmonicForm(rows: Float64Array, count: number): BasisForm {
  const width = (count * (count + 1)) / 2;
  const momentOf = (i: number, j: number) => (i * (i + 1)) / 2 + j;
  const moments = new Float64Array((rows.length / count) * width);
  const toHarmonics = new Float64Array(count * count);
  for (let i = 0; i < count; i++) {
    toHarmonics[i * count + i] = 1;
    for (let j = 0; j <= i; j++) {
      for (let at = 0, to = momentOf(i, j); at < rows.length; at += count, to += width) {
        moments[to] = rows[at + i] * rows[at + j];
      }
    }
  }
  return { toHarmonics, rows, moments, momentOf };
}

const view = new DataView(new ArrayBuffer(8));

/** The greatest power of two that is not above a positive number; 1 where the number is 0 or has no such. */
export function powerOfTwo(value: number): number {
  view.setFloat64(0, value);
  view.setUint32(0, view.getUint32(0) & 0x7ff00000);
  view.setUint32(4, 0);
  const power = view.getFloat64(0);
  return power > 0 && power < Number.POSITIVE_INFINITY ? power : 1;
}

/** P^-1 X', P being lifted in place where it is singular; empty where even that does not help. */
function invert(normal: Float64Array, x: Float64Array, count: number): Float64Array {
  let greatest = 0;
  for (let n = 0; n < count; n++) greatest = Math.max(greatest, normal[n * count + n]);
  let { factor, pivot } = cholesky(normal, count);
  if (pivot < SMALLEST_PIVOT * greatest) {
    for (let n = 0; n < count; n++) normal[n * count + n] += DIAGONAL_LIFT * greatest;
    ({ factor, pivot } = cholesky(normal, count));
  }
  if (!(pivot > 0)) return new Float64Array(0);
  const solutions = x.slice();
  for (let start = 0; start < solutions.length; start += count) {
    solveCholesky(factor, count, solutions.subarray(start, start + count));
  }
  return transposed(solutions, count);
}

/**
 * The weight of the constraint's rows (Tournier 2007, scaled as in MRtrix and DIPY by the numbers of
 * coefficients and directions): lambda N r0 / (sqrt(vertices) sqrt(362)).
 */
export function lambdaEffective(
  lambda: number,
  shOrder: number,
  firstHarmonic: number,
  vertices = HEMISPHERE181.length / 3,
): number {
  const scale = Math.sqrt(vertices) * Math.sqrt(SYMMETRIC362_VERTICES);
  return (lambda * coefficientCount(shOrder) * firstHarmonic) / scale;
}

/**
 * The diagonal of the matrix that convolves with the response: the rotational harmonic of each
 * coefficient's order. `harmonics` holds those of l = 0, 2, 4, ...; `orders` the l of each
 * coefficient. Throws InputError on an odd or negative l, or one beyond the harmonics.
 */
export function forwardSdeconvMatrix(
  harmonics: ArrayLike<number>,
  orders: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(orders, (l) => {
    if (!Number.isInteger(l) || l < 0 || l % 2 === 1) {
      throw new InputError(
        `The spherical harmonic order ${l} is not an even number; give even ones.`,
      );
    }
    if (l / 2 >= harmonics.length) {
      throw new InputError(
        `The response ends at order ${2 * harmonics.length - 2}, below ${l}; give one that reaches it.`,
      );
    }
    return harmonics[l / 2];
  });
}
