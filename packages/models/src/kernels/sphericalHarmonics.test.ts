import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { greatestDifference } from "../csd/testing.ts";
import { InputError } from "../model.ts";
import {
  coefficientCount,
  coefficientIndex,
  harmonicOrders,
  mrtrixPlaces,
  realShBasis,
  zonalAtPole,
} from "./sphericalHarmonics.ts";

interface BasisCase {
  readonly l: number[];
  readonly m: number[];
  readonly directions: number[][];
  readonly values: number[][];
}
const reference = JSON.parse(
  readFileSync(
    new URL("../../../../test/fixtures/reference/sh_basis.json", import.meta.url),
    "utf8",
  ),
) as BasisCase;

describe("real spherical harmonics", () => {
  it("are those of DIPY's legacy descoteaux07, in its order", () => {
    const basis = realShBasis(8, reference.directions.flat());
    expect(greatestDifference(basis, reference.values.flat())).toBeLessThan(2e-15);
    expect(Array.from(harmonicOrders(8))).toEqual(reference.l);
    expect(reference.l.map((l, i) => coefficientIndex(l, reference.m[i]))).toEqual(
      reference.l.map((_, i) => i),
    );
  });

  it("are orthonormal to order 16", () => {
    // Products have degree 32 at most: 20 Gauss nodes in z and 36 equal steps in azimuth integrate them exactly.
    const spokes = 36;
    const count = coefficientCount(16);
    const gram = new Float64Array(count * count);
    for (const [z, weight] of gaussNodes(20)) {
      const radius = Math.sqrt(1 - z * z);
      for (let spoke = 0; spoke < spokes; spoke++) {
        const angle = (2 * Math.PI * spoke) / spokes;
        const row = realShBasis(16, [radius * Math.cos(angle), radius * Math.sin(angle), z]);
        for (let i = 0; i < count; i++) {
          const share = (row[i] * weight * 2 * Math.PI) / spokes;
          for (let j = 0; j < count; j++) gram[i * count + j] += share * row[j];
        }
      }
    }
    const identity = gram.map((_, i) => (i % (count + 1) === 0 ? 1 : 0));
    expect(greatestDifference(gram, identity)).toBeLessThan(1e-13);
  });

  it("do not ask for the length of a direction; none at all counts as the pole", () => {
    const [short, long] = [realShBasis(8, [0.3, -0.4, 0.5]), realShBasis(8, [3, -4, 5])];
    expect(greatestDifference(short, long)).toBeLessThan(1e-14);
    const pole = realShBasis(8, [0, 0, 0]);
    expect(pole).toEqual(realShBasis(8, [0, 0, 2]));
    for (let l = 0; l <= 8; l += 2) {
      expect(pole[coefficientIndex(l, 0)]).toBeCloseTo(zonalAtPole(l), 14);
      if (l > 0) expect(Math.abs(pole[coefficientIndex(l, 1)])).toBe(0);
    }
  });

  it("stand in MRtrix3's order with m and -m exchanged", () => {
    const places = mrtrixPlaces(4);
    expect(Array.from(places)).toEqual([0, 5, 4, 3, 2, 1, 14, 13, 12, 11, 10, 9, 8, 7, 6]);
    expect(Array.from(places, (place) => places[place])).toEqual(Array.from(places.keys()));
  });

  it("have 1, 6, 15, ... coefficients, and an even order from 0 to 16", () => {
    expect([0, 2, 4, 8, 12, 16].map(coefficientCount)).toEqual([1, 6, 15, 45, 91, 153]);
    for (const order of [-2, 7, 18, 2.5, Number.NaN]) {
      expect(() => coefficientCount(order)).toThrow(InputError);
      expect(() => coefficientCount(order)).toThrow(/even number from 0 to 16/);
    }
  });
});

/** Nodes and weights of Gauss-Legendre quadrature on [-1, 1], by Newton's method. */
function gaussNodes(n: number): [number, number][] {
  return Array.from({ length: n }, (_, i) => {
    let z = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 1;
    for (let step = 0; step < 20; step++) {
      let [before, value] = [0, 1];
      for (let l = 1; l <= n; l++) {
        [before, value] = [value, ((2 * l - 1) * z * value - (l - 1) * before) / l];
      }
      slope = (n * (z * value - before)) / (z * z - 1);
      z -= value / slope;
    }
    return [z, 2 / ((1 - z * z) * slope * slope)];
  });
}
