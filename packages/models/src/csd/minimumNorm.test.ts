import { describe, expect, it } from "vitest";
import { minimumNorm } from "./minimumNorm.ts";
import { greatestDifference, randomNumbers } from "./testing.ts";

const random = randomNumbers(11);
const numbers = (length: number) => Float64Array.from({ length }, () => random() - 0.5);

function multiply(matrix: Float64Array, columns: number, x: Float64Array): Float64Array {
  return Float64Array.from({ length: matrix.length / columns }, (_, i) =>
    x.reduce((sum, value, j) => sum + matrix[i * columns + j] * value, 0),
  );
}

/** A' y. */
function multiplyTransposed(matrix: Float64Array, columns: number, y: Float64Array): Float64Array {
  return Float64Array.from({ length: columns }, (_, j) =>
    y.reduce((sum, value, i) => sum + matrix[i * columns + j] * value, 0),
  );
}

describe("least squares of minimum norm", () => {
  it("leaves a residual at right angles to a tall matrix' columns", () => {
    const matrix = numbers(20 * 7);
    const rightHand = numbers(20);
    const x = minimumNorm(matrix, 20, 7, rightHand);
    const residual = multiply(matrix, 7, x).map((value, i) => value - rightHand[i]);
    expect(
      greatestDifference(multiplyTransposed(matrix, 7, residual), new Float64Array(7)),
    ).toBeLessThan(1e-14);
  });

  it("solves a wide system with the answer that lies in its rows", () => {
    const matrix = numbers(7 * 20);
    const inRows = multiplyTransposed(matrix, 20, numbers(7));
    const x = minimumNorm(matrix, 7, 20, multiply(matrix, 20, inRows));
    expect(greatestDifference(x, inRows)).toBeLessThan(1e-13);
  });

  it("shares equally between columns that are the same", () => {
    const column = numbers(9);
    const other = numbers(9);
    const matrix = Float64Array.from(
      Array.from(column).flatMap((value, i) => [value, other[i], value]),
    );
    const rightHand = column.map((value, i) => 3 * value - 2 * other[i]);
    expect(greatestDifference(minimumNorm(matrix, 9, 3, rightHand), [1.5, -2, 1.5])).toBeLessThan(
      1e-14,
    );
    expect(Array.from(minimumNorm(new Float64Array(6), 2, 3, numbers(2)))).toEqual([0, 0, 0]);
  });
});
