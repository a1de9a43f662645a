import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDwi, writePhantom } from "@fascicle/models";
import { signalView } from "@fascicle/object-store";
import { describe, expect, it } from "vitest";
import { phantomScan, scanOf, voxelsOf } from "./benchScan.ts";
import { signalsOf } from "./caseFiles.ts";

describe("phantomScan", () => {
  it("has the voxels and volumes that were asked for, and the b-value", () => {
    const scan = phantomScan(50, { scheme: "64dir", largestB: 3000, tissue: "white" });
    expect(scan.signals).toMatchObject({ voxelCount: 50, width: 65, dtype: "float32" });
    expect(new Set(scan.gradients.bvals)).toEqual(new Set([0, 3000]));
    const cut = phantomScan(20, { scheme: "2shell", volumes: 41 });
    expect(cut.signals.width).toBe(41);
    expect(new Set(cut.gradients.bvals)).toEqual(new Set([0, 1000, 2000]));
  });

  it("is the same each time", () => {
    const [one, other] = [1, 2].map(() => signalsOf(phantomScan(10, { scheme: "64dir" })));
    expect(one).toEqual(other);
    expect(Math.min(...one)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...one)).toBeGreaterThan(500);
  });
});

describe("scanOf", () => {
  it("keeps what float32 cannot hold as float64", () => {
    const gradients = { bvals: Float64Array.of(0), bvecs: Float64Array.of(0, 0, 0) };
    const { signals } = scanOf(Float64Array.of(0.1, 2), gradients);
    expect(signals).toMatchObject({ voxelCount: 2, width: 1, dtype: "float64" });
    expect(Array.from(signalView(signals.dtype, signals.slabs[0]))).toEqual([0.1, 2]);
  });
});

describe("voxelsOf", () => {
  it("spreads over a scan, and takes no more than there are", async () => {
    const directory = mkdtempSync(join(tmpdir(), "fascicle-bench-scan-"));
    try {
      await writePhantom(directory, { size: [8, 8, 8], scheme: "64dir" });
      const file = (name: string) => join(directory, name);
      const files = { dwi: file("dwi.nii.gz"), bval: file("dwi.bval"), bvec: file("dwi.bvec") };
      const dwi = await openDwi({ ...files, mask: file("mask.nii.gz") });
      const all = await voxelsOf(dwi, 1_000_000);
      expect(all.signals.voxelCount).toBe(dwi.signals.voxelCount);
      const few = await voxelsOf(dwi, 4);
      expect(few.signals.voxelCount).toBe(4);
      const [whole, part] = [signalsOf(all), signalsOf(few)];
      const second = 65 * Math.floor(dwi.signals.voxelCount / 4);
      expect(part.subarray(65, 130)).toEqual(whole.subarray(second, second + 65));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
