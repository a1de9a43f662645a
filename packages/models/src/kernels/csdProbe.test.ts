import { describe, expect, it } from "vitest";
import { tensorHarmonics } from "../csd/response.ts";
import { fibre, small64 } from "../csd/testing.ts";
import { createCsdDesign } from "./csdDesign.ts";
import type { CsdPrecision } from "./csdFunctions.ts";
import { createLanes } from "./csdLanes.ts";
import type { CsdParameters } from "./csdParameters.ts";
import { probeFloat32 } from "./csdProbe.ts";
import { createVoxels } from "./csdVoxel.ts";

const volumes = Int32Array.from(small64.isB0.keys()).filter((i) => small64.isB0[i] === 0);
const directions = small64.bvecs.slice(3);
const bvals = Float64Array.from(volumes, (i) => small64.bvals[i]);

/** The error of float32 lanes, or of float64 ones in their place. */
function errorOf(changes: Partial<CsdParameters>, precision: CsdPrecision = "float32"): number {
  const { shOrder = 8 } = changes;
  const responseHarmonics = tensorHarmonics(shOrder, bvals, directions, { evals: fibre, s0: 100 });
  const design = createCsdDesign({
    ...{ width: 65, volumes, directions, slope: 1, intercept: 0, shOrder, responseHarmonics },
    ...{ shBasis: "descoteaux07", lambda: 1, tau: 0.1, iterations: 50, precision: "float32" },
    ...changes,
  });
  const fast = createLanes(design, design[precision] ?? design.float64, 0);
  const slow = createLanes(design, design.float64, 0);
  return probeFloat32(design, fast, slow, createVoxels(design)[0], directions);
}

describe("the probe of float32", () => {
  it.each([4, 6, 8])("finds it fine enough for the usual settings: order %i", (shOrder) => {
    const error = errorOf({ shOrder });
    expect(error).toBeGreaterThan(1e-6);
    expect(error).toBeLessThan(0.01);
  });

  it.each([{ lambda: 0.1 }, { lambda: 0.01 }, { tau: 0 }, { shOrder: 12 }])(
    "finds it too coarse for %o",
    (changes) => {
      expect(errorOf(changes)).toBeGreaterThan(0.01);
    },
  );

  it("finds no error between float64 and itself", () => {
    expect(errorOf({}, "float64")).toBe(0);
  });
});
