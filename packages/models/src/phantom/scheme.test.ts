import { describe, expect, it } from "vitest";
import { gradientScheme } from "./scheme.ts";

function countOf(values: Float64Array, wanted: number): number {
  return values.filter((value) => value === wanted).length;
}

describe("gradientScheme", () => {
  it("has the volumes that each name stands for", () => {
    const hcp = gradientScheme("hcp").bvals;
    expect([0, 1000, 2000, 3000].map((b) => countOf(hcp, b))).toEqual([18, 90, 90, 90]);
    const one = gradientScheme("64dir").bvals;
    expect([one.length, countOf(one, 0), countOf(one, 1000)]).toEqual([65, 1, 64]);
    const two = gradientScheme("2shell").bvals;
    expect([0, 1000, 2000].map((b) => countOf(two, b))).toEqual([6, 30, 60]);
  });

  it("begins with a b0, spreads them and interleaves the shells", () => {
    const { bvals } = gradientScheme("hcp");
    const b0 = [...bvals.keys()].filter((volume) => bvals[volume] === 0);
    expect(b0).toEqual(Array.from({ length: 18 }, (_, i) => 16 * i));
    expect([...bvals.subarray(1, 7)]).toEqual([1000, 2000, 3000, 1000, 2000, 3000]);
  });

  it("has unit directions that keep apart, no two alike", () => {
    const { bvals, bvecs } = gradientScheme("hcp");
    for (const shell of [1000, 2000, 3000]) {
      const rows = [...bvals.keys()].filter((volume) => bvals[volume] === shell);
      let closest = 90;
      for (const a of rows) {
        const [x, y, z] = bvecs.subarray(3 * a, 3 * a + 3);
        expect(Math.abs(x * x + y * y + z * z - 1)).toBeLessThan(1e-7);
        for (const b of rows) {
          if (b <= a) continue;
          const cosine = Math.abs(x * bvecs[3 * b] + y * bvecs[3 * b + 1] + z * bvecs[3 * b + 2]);
          closest = Math.min(closest, (Math.acos(Math.min(1, cosine)) * 180) / Math.PI);
        }
      }
      // 90 lines packed as densely as can be are about 16 degrees apart.
      expect(closest).toBeGreaterThan(14);
    }
  });

  it("is the same each time", () => {
    expect(gradientScheme("2shell")).toEqual(gradientScheme("2shell"));
  });
});
