import { describe, expect, it } from "vitest";
import { InputError } from "../model.ts";
import { toScannerFrame } from "./scannerFrame.ts";
import { greatestDifference } from "./testing.ts";

const affineOf = (...columns: number[][]) =>
  Float64Array.from([0, 1, 2].flatMap((i) => [columns[0][i], columns[1][i], columns[2][i], 9 * i]));

const directions = Float64Array.of(0.6, 0, 0.8, 0, 1, 0, 0, 0, 0);

describe("directions in the scanner's frame", () => {
  it("are mirrored in x where the determinant is positive", () => {
    const neurological = affineOf([2, 0, 0], [0, 3, 0], [0, 0, 4]);
    const mirrored = [-0.6, 0, 0.8, -0, 1, 0, 0, 0, 0];
    expect(greatestDifference(toScannerFrame(directions, neurological), mirrored)).toBe(0);
    const radiological = affineOf([-2, 0, 0], [0, 3, 0], [0, 0, 4]);
    // Image axis x points to scanner -x, so the two mirrorings meet: the same directions again.
    expect(
      greatestDifference(
        toScannerFrame(directions, radiological),
        [-0.6, 0, 0.8, 0, 1, 0, 0, 0, 0],
      ),
    ).toBe(0);
  });

  it("turn with the affine's rotation, whatever the voxel size", () => {
    // A quarter turn about z: image x lies along scanner y, image y along scanner -x.
    const turned = affineOf([0, 1.5, 0], [-2.5, 0, 0], [0, 0, 3]);
    const expected = [0, -0.6, 0.8, -1, 0, 0, 0, 0, 0];
    expect(greatestDifference(toScannerFrame(directions, turned), expected)).toBeLessThan(1e-15);
  });

  it("keep their length under shear, and need an affine that can be turned about", () => {
    const sheared = affineOf([1, 0.2, 0], [0, 1, 0.1], [0, 0, 1]);
    const [x, y, z] = toScannerFrame(directions, sheared);
    expect(Math.hypot(x, y, z)).toBeCloseTo(1, 14);
    const flat = affineOf([1, 0, 0], [2, 0, 0], [0, 0, 1]);
    expect(() => toScannerFrame(directions, flat)).toThrow(InputError);
    expect(() => toScannerFrame(directions, new Float64Array(16))).toThrow(/affine is singular/);
  });
});
