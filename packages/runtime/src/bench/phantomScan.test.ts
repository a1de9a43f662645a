import { csd, freeWater, makePhantom, measureVolume } from "@fascicle/models";
import { readRows } from "@fascicle/object-store";
import { describe, expect, it } from "vitest";
import { fitChunked } from "../fit/fitChunked.ts";
import { phantomScan } from "./phantomScan.ts";

describe("phantomScan", () => {
  it("holds what a scan of the phantom would, in as many voxels as were asked for", async () => {
    const dwi = await phantomScan({ scheme: "64dir", voxels: 700 });
    const phantom = makePhantom({ size: dwi.geometry.shape, scheme: "64dir", seed: 1 });
    expect(dwi.voxels).toHaveLength(700);
    expect(new Set(dwi.voxels).size).toBe(700);
    const { width, voxelCount } = dwi.signals;
    const rows = await readRows(dwi.signals, 0, voxelCount);
    for (const volume of [0, 1, 64]) {
      const scan = measureVolume(phantom, volume);
      const column = Array.from(dwi.voxels, (_, voxel) => rows[voxel * width + volume]);
      expect(column).toEqual(Array.from(dwi.voxels, (at) => scan[at]));
    }
  });

  it("can be fitted", async () => {
    const response = [1.7e-3, 0.3e-3, 0.3e-3, 1000] as const;
    const one = csd(await phantomScan({ scheme: "64dir", voxels: 40 }), { response });
    expect((await fitChunked(one, 4, { engine: "serial" })).status).not.toContain(3);
    const other = freeWater(await phantomScan({ scheme: "hcp", voxels: 40 }));
    const fit = await fitChunked(other, 4, { engine: "serial" });
    expect(fit.receipt.voxelsByStatus.fitted).toBeGreaterThan(30);
  });

  it("says where there is no such phantom", async () => {
    await expect(phantomScan({ scheme: "hcp", voxels: 1e9 })).rejects.toThrow(/No phantom has/);
  });
});
