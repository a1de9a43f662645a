import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { defaultWorkers, planSweep, shuffled } from "./points.ts";

const models = [
  { name: "csd", voxels: 100 },
  { name: "freewater", voxels: 20 },
] as const;
const input = {
  models,
  engine: "local",
  workers: [1, 2],
  minChunks: 1,
  maxChunks: 6,
} as const;

describe("planSweep", () => {
  it("has each chunk count with each number of workers, and one baseline for each model", () => {
    const { points, skipped } = planSweep(input);
    const csd = points.filter(({ model }) => model === "csd");
    expect(csd.filter(({ engine }) => engine === "serial")).toHaveLength(1);
    expect(csd.filter(({ engine }) => engine === "local").map(({ chunks }) => chunks)).toEqual(
      [2, 4, 8, 16, 32, 64].flatMap((chunks) => [chunks, chunks]),
    );
    expect(skipped).toEqual([
      { model: "freewater", chunks: 32 },
      { model: "freewater", chunks: 64 },
    ]);
    expect(points.some(({ chunks }) => chunks > 64)).toBe(false);
  });

  it("has the peer beside each point up to its most chunks, with its own baseline", () => {
    const { points } = planSweep({ ...input, peerMaxChunks: 3 });
    const peers = points.filter(({ engine }) => engine === "dipy-ray");
    expect(new Set(peers.map(({ chunks }) => chunks))).toEqual(new Set([2, 4, 8]));
    expect(points.filter(({ engine }) => engine === "dipy-serial")).toHaveLength(2);
  });
});

describe("shuffled", () => {
  it("loses nothing, and is the same for the same seed alone", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.nat(), (items, seed) => {
        const order = shuffled(items, seed);
        expect([...order].sort()).toEqual([...items].sort());
        expect(shuffled(items, seed)).toEqual(order);
      }),
    );
    const many = Array.from({ length: 50 }, (_, i) => i);
    expect(shuffled(many, 1)).not.toEqual(shuffled(many, 2));
  });

  it("favours no place", () => {
    const firsts = new Array(4).fill(0);
    for (let seed = 0; seed < 4000; seed++) firsts[shuffled([0, 1, 2, 3], seed)[0]]++;
    for (const count of firsts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe("defaultWorkers", () => {
  it("are the powers of two, and all", () => {
    expect(defaultWorkers(1)).toEqual([1]);
    expect(defaultWorkers(8)).toEqual([1, 2, 4, 8]);
    expect(defaultWorkers(72)).toEqual([1, 2, 4, 8, 16, 32, 64, 72]);
  });
});
