import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chunkOfVoxel, chunkStart, whyNotChunks } from "./chunks.ts";
import { RangeSet } from "./rangeSet.ts";

const range = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 20 }))
  .map(([start, length]) => ({ start, end: start + length }));

describe("RangeSet", () => {
  it("is the set of integers that a plain Set would be", () => {
    const operation = fc.tuple(fc.constantFrom("add", "remove", "take"), range);
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const ranges = new RangeSet();
        const plain = new Set<number>();
        for (const [kind, { start, end }] of operations) {
          const integers = Array.from({ length: end - start }, (_, i) => start + i);
          if (kind === "add") {
            const added = integers.filter((i) => !plain.has(i));
            expect(ranges.add({ start, end })).toBe(added.length);
            for (const i of added) plain.add(i);
          } else if (kind === "remove") {
            const removed = ranges.remove({ start, end });
            const count = removed.reduce((sum, r) => sum + r.end - r.start, 0);
            expect(count).toBe(integers.filter((i) => plain.delete(i)).length);
          } else {
            const taken = ranges.takeFirst(end - start);
            if (taken === undefined) expect(plain.size === 0 || end === start).toBe(true);
            else for (let i = taken.start; i < taken.end; i++) expect(plain.delete(i)).toBe(true);
          }
          const held = ranges
            .ranges()
            .flatMap((r) => Array.from({ length: r.end - r.start }, (_, i) => r.start + i));
          expect(held).toEqual([...plain].sort((a, b) => a - b));
          expect(ranges.size).toBe(plain.size);
          expect(ranges.covers({ start, end })).toBe(integers.every((i) => plain.has(i)));
          expect(ranges.intersects({ start, end })).toBe(integers.some((i) => plain.has(i)));
        }
      }),
    );
  });

  it("joins ranges that touch", () => {
    const ranges = new RangeSet({ start: 0, end: 2 }, { start: 4, end: 6 }, { start: 2, end: 4 });
    expect(ranges.ranges()).toEqual([{ start: 0, end: 6 }]);
  });
});

describe("chunks", () => {
  it("cover every voxel once, in order, with sizes that differ by at most one", () => {
    const counts = fc
      .integer({ min: 1, max: 5000 })
      .chain((voxels) => fc.tuple(fc.constant(voxels), fc.integer({ min: 1, max: voxels })));
    fc.assert(
      fc.property(counts, ([voxels, chunks]) => {
        const sizes = Array.from(
          { length: chunks },
          (_, i) => chunkStart(voxels, chunks, i + 1) - chunkStart(voxels, chunks, i),
        );
        expect(chunkStart(voxels, chunks, 0)).toBe(0);
        expect(chunkStart(voxels, chunks, chunks)).toBe(voxels);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it("are found again from any of their voxels", () => {
    const counts = fc
      .integer({ min: 1, max: 400 })
      .chain((voxels) => fc.tuple(fc.constant(voxels), fc.integer({ min: 1, max: voxels })));
    fc.assert(
      fc.property(counts, ([voxels, chunks]) => {
        for (let chunk = 0; chunk < chunks; chunk++) {
          const start = chunkStart(voxels, chunks, chunk);
          const end = chunkStart(voxels, chunks, chunk + 1);
          for (let voxel = start; voxel < end; voxel++) {
            expect(chunkOfVoxel(voxels, chunks, voxel)).toBe(chunk);
          }
        }
      }),
    );
  });

  it("refuse a count that cannot be had, and say why", () => {
    expect(whyNotChunks(10, 10)).toBeUndefined();
    expect(whyNotChunks(10, 11)).toMatch(/only 10 voxels/);
    expect(whyNotChunks(10, 0)).toMatch(/at least 1/);
    expect(whyNotChunks(10, 2.5)).toMatch(/whole number/);
  });
});
