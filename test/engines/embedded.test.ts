import { endLocalThreads, type FitProgress, fitChunked } from "@fascicle/runtime";
import { afterAll, describe, expect, it } from "vitest";
import { hashOfMaps } from "../support/bytes.ts";
import { testModel } from "../support/models.ts";

afterAll(endLocalThreads);

describe("the embedded engines", () => {
  it("give the same bytes for any number of chunks and threads", async () => {
    const model = testModel({ voxels: 3001, voxelsPerSlab: 700 });
    const expected = hashOfMaps(await fitChunked(model, 1, { engine: "serial" }));
    for (const chunks of [1, 2, 7, 64, 1000, 3001, "auto"] as const) {
      for (const options of [{ engine: "serial" }, { workers: 1 }, { workers: 2 }, {}] as const) {
        const fit = await fitChunked(model, chunks, options);
        expect(hashOfMaps(fit)).toBe(expected);
        if (chunks !== "auto") expect(fit.receipt.chunks).toBe(chunks);
        expect(fit.receipt.voxelsByStatus).toEqual({ fitted: 3001 });
      }
    }
  });

  it("refuse chunk and worker counts that cannot be, in one sentence", async () => {
    const model = testModel({ voxels: 10 });
    await expect(fitChunked(model, 11)).rejects.toThrow(
      /11 chunks were asked for, but there are only 10/,
    );
    await expect(fitChunked(model, 0)).rejects.toThrow(/at least 1/);
    await expect(fitChunked(model, 2, { workers: 0 })).rejects.toThrow(/number of workers/);
    await expect(fitChunked(model, 2, { engine: "serial", workers: 3 })).rejects.toThrow(
      /one thread/,
    );
    await expect(fitChunked(model, 2, { objectMemoryBytes: 100 })).rejects.toThrow(
      /--object-memory/,
    );
  });

  it("stop at once when their signal aborts, however large the chunks", async () => {
    const model = testModel({ voxels: 200_000, work: 20_000 });
    for (const engine of ["serial", "local"] as const) {
      const controller = new AbortController();
      const fit = fitChunked(model, 2, { engine, signal: controller.signal });
      await new Promise((resolve) => setTimeout(resolve, 150));
      const reason = new Error("enough");
      controller.abort(reason);
      const abortedMs = performance.now();
      await expect(fit).rejects.toBe(reason);
      expect(performance.now() - abortedMs).toBeLessThan(1_000);
      await expect(fitChunked(model, 2, { engine, signal: controller.signal })).rejects.toBe(
        reason,
      );
    }
    // The threads are free for the next fit.
    const after = await fitChunked(testModel({ voxels: 10 }), 2);
    expect(after.receipt.voxels).toBe(10);
  });

  it("tell their progress in voxels, forwards, to the end", async () => {
    for (const engine of ["serial", "local"] as const) {
      const seen: FitProgress[] = [];
      await fitChunked(testModel({ voxels: 60_000, work: 1_500 }), 2, {
        engine,
        onProgress: (progress) => seen.push(progress),
      });
      const counts = seen.map((progress) => progress.voxelsDone);
      expect(counts.length).toBeGreaterThan(1);
      expect(counts).toEqual([...counts].sort((a, b) => a - b));
      expect(counts.at(-1)).toBe(60_000);
      expect(seen.some((p) => p.voxelsPerSecond > 0 && p.secondsLeft >= 0)).toBe(true);
    }
  });

  it("say why a kernel could not be made", async () => {
    const unknown = { ...testModel({ voxels: 10 }) };
    await expect(
      fitChunked({ ...unknown, kernel: { ...unknown.kernel, module: "file:///not/there.mjs" } }, 2),
    ).rejects.toThrow(/could not begin/);
  });
});
