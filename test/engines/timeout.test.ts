/** Voxels that never end: with a time-out they are given up, and in any case an abort ends them. */
import { endLocalThreads, fitChunked } from "@fascicle/runtime";
import { afterAll, describe, expect, it } from "vitest";
import { hashOfMaps } from "../support/bytes.ts";
import { carefulProcesses } from "../support/carefulProcesses.ts";
import { givenUpBytes, testModel } from "../support/models.ts";

afterAll(endLocalThreads);

describe("a voxel that never ends", () => {
  it("is given up where a time-out is asked for, and no other", async () => {
    const poison = [0, 7, 8, 499];
    const model = testModel({ voxels: 500, voxelsPerSlab: 200, kernel: "loops", poison });
    const bytes = await givenUpBytes(model, poison, 7);
    for (const chunks of [2, 100, "auto"] as const) {
      const fit = await fitChunked(model, chunks, { workers: 2, voxelTimeoutSeconds: 0.5 });
      expect(hashOfMaps(fit)).toBe(bytes);
      expect(fit.receipt.voxelsByStatus).toEqual({ fitted: 496, timedOut: 4 });
    }
    expect(carefulProcesses()).toEqual([]);
  });

  it("is ended once, however often it is looked at: many at a time with a tiny time-out bring no warning", async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error) => warnings.push(warning.message);
    process.on("warning", onWarning);
    const voxels = 48;
    const poison = Array.from({ length: voxels }, (_, voxel) => voxel);
    const model = testModel({ voxels, kernel: "loops", poison });
    const fit = await fitChunked(model, voxels, { workers: 24, voxelTimeoutSeconds: 0.01 });
    process.off("warning", onWarning);
    expect(fit.receipt.voxelsByStatus).toEqual({ timedOut: voxels });
    expect(warnings).toEqual([]);
    // Time in careful processes is none of the threads': what is left of theirs is idle.
    const { seconds, workers, efficiency } = fit.receipt;
    expect(seconds.compute).toBe(0);
    expect(seconds.idle).toBeCloseTo(workers * seconds.total, 3);
    expect(efficiency).toBe(0);
  });

  it("does not harm voxels that end in time", async () => {
    const model = testModel({ voxels: 300, work: 20_000 });
    const fit = await fitChunked(model, 5, { workers: 2, voxelTimeoutSeconds: 5 });
    expect(fit.receipt.voxelsByStatus).toEqual({ fitted: 300 });
    expect(fit.receipt.attempts.retried).toBe(0);
  });

  it("is refused a time-out that cannot be held", async () => {
    const model = testModel({ voxels: 10 });
    await expect(fitChunked(model, 2, { voxelTimeoutSeconds: 0 })).rejects.toThrow(/from 0.01 to/);
    await expect(
      fitChunked(model, 2, { engine: "serial", voxelTimeoutSeconds: 1 }),
    ).rejects.toThrow(/serial engine cannot end a voxel/);
  });
});

describe("an abort", () => {
  it("ends threads that ignore everything, and the next fit has new ones", async () => {
    const voxels = 144;
    const poison = Array.from({ length: voxels }, (_, voxel) => voxel);
    const tookMs: number[] = [];
    for (let round = 0; round < 3; round++) {
      const controller = new AbortController();
      const entered = new Int32Array(new SharedArrayBuffer(8));
      // They wait for each other without taking time, or they would not all come to run here.
      entered[1] = 72;
      const deaf = testModel({ voxels, kernel: "loops", poison, entered });
      const fit = fitChunked(deaf, voxels, { workers: 72, signal: controller.signal });
      fit.catch(() => {});
      while (Atomics.load(entered, 0) < 72) await new Promise((resolve) => setTimeout(resolve, 20));
      const reason = new Error("enough");
      const begunMs = performance.now();
      controller.abort(reason);
      await expect(fit).rejects.toBe(reason);
      tookMs.push(performance.now() - begunMs);
    }
    tookMs.sort((a, b) => a - b);
    console.log(`aborted 72 deaf threads in ${Math.round(tookMs[1])} ms (median of 3)`);
    expect(tookMs[1]).toBeLessThan(5_000);
    expect((await fitChunked(testModel({ voxels: 500 }), 50)).receipt.voxels).toBe(500);
  });

  it("ends kernels that never come into being", async () => {
    const controller = new AbortController();
    const model = testModel({ voxels: 10, kernel: "loopsAtStart" });
    const fit = fitChunked(model, 2, { workers: 2, signal: controller.signal });
    fit.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 500));
    controller.abort(new Error("enough"));
    await expect(fit).rejects.toThrow("enough");
    expect((await fitChunked(testModel({ voxels: 500 }), 50)).receipt.voxels).toBe(500);
  });
});
