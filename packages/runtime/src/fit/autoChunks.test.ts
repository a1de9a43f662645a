import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseChunks, chunkCosts, overheadLimit, serialLimit, tailLimit } from "./autoChunks.ts";

const engine = fc.constantFrom("serial" as const, "local" as const, "cluster" as const);
const size = fc.record({
  voxels: fc.integer({ min: 1, max: 10_000_000 }),
  workers: fc.integer({ min: 1, max: 2000 }),
  secondsPerVoxel: fc.double({ min: 1e-7, max: 10, noNaN: true }),
});

describe("chooseChunks", () => {
  it("gives a whole number of chunks that each have a voxel", () => {
    fc.assert(
      fc.property(size, engine, (fit, name) => {
        const { chunks } = chooseChunks(fit, chunkCosts[name]);
        expect(Number.isSafeInteger(chunks)).toBe(true);
        expect(chunks).toBeGreaterThanOrEqual(1);
        expect(chunks).toBeLessThanOrEqual(fit.voxels);
      }),
    );
  });

  it("keeps both limits wherever some count of chunks does", () => {
    fc.assert(
      fc.property(size, engine, (fit, name) => {
        const cost = chunkCosts[name];
        const { chunks, overhead, tail } = chooseChunks(fit, cost);
        const seconds = fit.voxels * fit.secondsPerVoxel;
        const keeps = (count: number) =>
          (count * cost.workerSeconds) / seconds <= overheadLimit &&
          (2 * fit.workers) / count <= tailLimit &&
          count * cost.serialSeconds <= (serialLimit * seconds) / fit.workers;
        // The fewest chunks that keep the tail are those that keep the rest if any do.
        const fewest = Math.ceil((2 * fit.workers) / tailLimit);
        const isPossible = fewest <= fit.voxels && keeps(fewest);
        expect(overhead).toBeCloseTo((chunks * cost.workerSeconds) / seconds, 12);
        expect(tail).toBeCloseTo((2 * fit.workers) / chunks, 12);
        if (isPossible) expect(keeps(chunks)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("costs no more than any other count where both limits cannot be kept", () => {
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 1_000_000 }), (fit, other) => {
        const cost = chunkCosts.local;
        const choice = chooseChunks(fit, cost);
        const seconds = fit.voxels * fit.secondsPerVoxel;
        fc.pre(other <= fit.voxels && choice.chunks > 10);
        if (choice.overhead <= overheadLimit && choice.tail <= tailLimit) return;
        const otherSum = (other * cost.workerSeconds) / seconds + (2 * fit.workers) / other;
        // Whole numbers of chunks are not the very best.
        expect(choice.overhead + choice.tail).toBeLessThanOrEqual(1.01 * otherSum);
      }),
      { numRuns: 2000 },
    );
  });

  it("lets the head of many workers hand out chunks in half of the fit at most", () => {
    const fit = { voxels: 435_686, workers: 1000, secondsPerVoxel: 50e-6 };
    const { chunks } = chooseChunks(fit, chunkCosts.cluster);
    const fitSeconds = (fit.voxels * fit.secondsPerVoxel) / fit.workers;
    expect(chunks * chunkCosts.cluster.serialSeconds).toBeLessThanOrEqual(fitSeconds / 2);
  });

  it("is one chunk where there is next to nothing to do", () => {
    const nothing = { voxels: 100, workers: 2, secondsPerVoxel: 0 };
    expect(chooseChunks(nothing, chunkCosts.local)).toMatchObject({ chunks: 1, overhead: 0 });
  });
});
