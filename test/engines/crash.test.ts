/** Kernels that throw, exit, abort or eat all memory: the voxel is given up, the rest is fitted, and nothing remains. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endLocalThreads, type FitResult, fitChunked } from "@fascicle/runtime";
import { afterAll, describe, expect, it } from "vitest";
import { hashOfMaps } from "../support/bytes.ts";
import { carefulProcesses } from "../support/carefulProcesses.ts";
import { givenUpBytes, testModel } from "../support/models.ts";

afterAll(endLocalThreads);

const crashedOf = (fit: FitResult) => fit.receipt.voxelsByStatus.crashed;

describe("a voxel that crashes its kernel", () => {
  for (const kernel of ["throws", "exits", "aborts", "allocates"] as const) {
    it(`is given up, and no other: it ${kernel}`, async () => {
      const poison = { throws: [0, 7, 8, 123, 499], exits: [0, 399], aborts: [0], allocates: [9] }[
        kernel
      ];
      const model = testModel({ voxels: 500, voxelsPerSlab: 200, kernel, poison });
      const bytes = await givenUpBytes(model, poison, 6);
      for (const chunks of kernel === "throws" ? [1, 20, 500] : [20]) {
        const fit = await fitChunked(model, chunks, { workers: 2 });
        expect(hashOfMaps(fit)).toBe(bytes);
        expect(crashedOf(fit)).toBe(poison.length);
      }
      expect(carefulProcesses()).toEqual([]);
    });
  }

  it("is given up, too, where its process has long been at work when it exits", async () => {
    const model = testModel({ voxels: 40, kernel: "exits", poison: [39], work: 1_000_000 });
    const fit = await fitChunked(model, 1, { workers: 1 });
    expect(hashOfMaps(fit)).toBe(await givenUpBytes(model, [39], 6));
  });

  it("gives the same bytes on the serial engine, where it throws", async () => {
    const poison = [0, 31, 32, 33, 499];
    const model = testModel({ voxels: 500, voxelsPerSlab: 200, kernel: "throws", poison });
    const bytes = await givenUpBytes(model, poison, 6);
    for (const chunks of [1, 7, "auto"] as const) {
      const fit = await fitChunked(model, chunks, { engine: "serial" });
      expect(hashOfMaps(fit)).toBe(bytes);
    }
  });

  it("is not blamed for one death: what its thread had drawn is begun again", async () => {
    const folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
    try {
      const flag = join(folder, "died");
      const model = testModel({ voxels: 500, kernel: "diesOnce", poison: [123], flag });
      const fit = await fitChunked(model, 50, { workers: 2 });
      expect(hashOfMaps(fit)).toBe(await givenUpBytes(model, [], 0));
      // Chunks of 10 voxels are drawn twelve at a time at most.
      expect(fit.receipt.attempts.retried).toBeGreaterThanOrEqual(1);
      expect(fit.receipt.attempts.retried).toBeLessThanOrEqual(12);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("fails the fit where there are too many of them, with the kernel's reason, and soon", async () => {
    const every = Array.from({ length: 3_000 }, (_, voxel) => voxel);
    for (const engine of ["serial", "local"] as const) {
      const broken = testModel({ voxels: 3_000, kernel: "throws", poison: every });
      await expect(fitChunked(broken, 30, { engine })).rejects.toThrow(
        /^The sums fit failed: the kernel crashed on each of the first 100 voxels: this voxel cannot be fitted\.$/,
      );
      const half = every.filter((voxel) => voxel % 2 === 1);
      const bad = testModel({ voxels: 3_000, kernel: "throws", poison: half });
      await expect(fitChunked(bad, 30, { engine })).rejects.toThrow(
        /^The sums fit failed: more than 130 voxels crashed the kernel, the last for this reason: this voxel cannot be fitted\.$/,
      );
    }
    const deadly = testModel({ voxels: 6, kernel: "exits", poison: every });
    await expect(fitChunked(deadly, 6, { workers: 2 })).rejects.toThrow(
      /first 6 voxels: its process ended with exit code 9/,
    );
    expect(carefulProcesses()).toEqual([]);
  });

  it("fails the fit of a model that has no status to tell of it", async () => {
    for (const engine of ["serial", "local"] as const) {
      const model = testModel({ voxels: 100, kernel: "throws", poison: [55] });
      const mute = { ...model, outputs: model.outputs.slice(0, 2) };
      await expect(fitChunked(mute, 10, { engine })).rejects.toThrow(
        /failed: voxel 55 crashed the kernel \(this voxel cannot be fitted\), and this model has no status/,
      );
      expect(carefulProcesses()).toEqual([]);
    }
  });

  it("cannot outlive a fit that is aborted while it is looked for", async () => {
    const controller = new AbortController();
    const model = testModel({ voxels: 500, kernel: "loopsWhenAlone", poison: [123] });
    const fit = fitChunked(model, 5, { workers: 2, signal: controller.signal });
    while (carefulProcesses().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    controller.abort(new Error("enough"));
    await expect(fit).rejects.toThrow("enough");
    expect(carefulProcesses()).toEqual([]);
  });
});

describe("a kernel that dies as it is made", () => {
  it("ends the fit, not the machine", async () => {
    const stillborn = testModel({ voxels: 500, kernel: "diesAtStart" });
    await expect(fitChunked(stillborn, 50, { workers: 2 })).rejects.toThrow(
      /its threads die before they begin/,
    );
    expect((await fitChunked(testModel({ voxels: 500 }), 50)).receipt.voxels).toBe(500);
  });
});
