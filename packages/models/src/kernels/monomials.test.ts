import { describe, expect, it } from "vitest";
import { greatestDifference, randomNumbers } from "../csd/testing.ts";
import {
  harmonicPolynomials,
  harmonicsOfMonomials,
  monomialBasis,
  monomialCount,
  monomialIndex,
  monomials,
} from "./monomials.ts";
import { realShBasis } from "./sphericalHarmonics.ts";

const random = randomNumbers(11);
const directions = Float64Array.from({ length: 3 * 200 }, () => random() - 0.5);
const orders = [0, 2, 4, 6, 8, 10, 12, 14, 16];

describe("monomials", () => {
  it("stand where their index says", () => {
    for (const degree of [0, 1, 2, 8, 32]) {
      const all = monomials(degree);
      expect(all.length).toBe(monomialCount(degree));
      all.forEach(([a, b, c], i) => {
        expect([a + b + c, monomialIndex(degree, a, b)]).toEqual([degree, i]);
      });
    }
  });

  it("have the values of their products, and those of the pole for no direction", () => {
    const [x, y, z] = [0.48, 0.6, 0.64];
    const basis = monomialBasis(3, [5 * x, 5 * y, 5 * z, 0, 0, 0]);
    const expected = monomials(3).map(([a, b, c]) => x ** a * y ** b * z ** c);
    expect(greatestDifference(basis.subarray(0, 10), expected)).toBeLessThan(1e-15);
    expect(Array.from(basis.subarray(10))).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  it.each(orders)("sum up to the harmonics of order %i in any direction", (order) => {
    const width = monomialCount(order);
    const rows = harmonicPolynomials(order);
    const values = monomialBasis(order, directions);
    const harmonics = realShBasis(order, directions).map((_, i) => {
      const [direction, n] = [Math.floor(i / width), i % width];
      let sum = 0;
      for (let k = 0; k < width; k++) sum += rows[n * width + k] * values[direction * width + k];
      return sum;
    });
    const error = greatestDifference(harmonics, realShBasis(order, directions));
    expect(error).toBeLessThan(1e-14 * 2 ** (order / 2));
  });

  it.each(orders)("give the harmonics back: order %i", (order) => {
    const width = monomialCount(order);
    const [back, rows] = [harmonicsOfMonomials(order), harmonicPolynomials(order)];
    let greatest = 0;
    for (let n = 0; n < width; n++) {
      for (let m = 0; m < width; m++) {
        let sum = n === m ? -1 : 0;
        for (let k = 0; k < width; k++) sum += back[n * width + k] * rows[m * width + k];
        greatest = Math.max(greatest, Math.abs(sum));
      }
    }
    expect(greatest).toBeLessThan(1e-14 * 2 ** (order / 2));
  });
});
