import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chunkOfVoxel, chunkStart, type Range, whyNotChunks } from "./chunks.ts";
import { RangeSet } from "./rangeSet.ts";

const range = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 20 }))
  .map(([start, length]) => ({ start, end: start + length }));

const integersOf = (ranges: readonly Range[]) =>
  ranges.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));

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
          expect(integersOf(ranges.ranges())).toEqual([...plain].sort((a, b) => a - b));
          expect(ranges.size).toBe(plain.size);
          expect(ranges.covers({ start, end })).toBe(integers.every((i) => plain.has(i)));
          expect(integersOf(ranges.parts({ start, end }))).toEqual(
            integers.filter((i) => plain.has(i)),
          );
          expect(integersOf(ranges.gaps({ start, end }))).toEqual(
            integers.filter((i) => !plain.has(i)),
          );
          expect(ranges.intersects({ start, end })).toBe(integers.some((i) => plain.has(i)));
        }
      }),
    );
  });

  it("is that also where it has many ranges", () => {
    const many = 4_000;
    const wide = fc
      .tuple(fc.nat(2 * many), fc.oneof(fc.nat(3), fc.nat(3_000)))
      .map(([start, length]) => ({ start, end: start + length }));
    const operation = fc.tuple(fc.boolean(), wide);
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const ranges = new RangeSet();
        const plain = new Uint8Array(3 * many);
        for (let i = 0; i < many; i++) {
          ranges.add({ start: 2 * i, end: 2 * i + 1 });
          plain[2 * i] = 1;
        }
        for (const [isAdded, { start, end }] of operations) {
          const held = plain.subarray(start, end).reduce((sum, one) => sum + one, 0);
          expect(ranges.overlap({ start, end })).toBe(held);
          expect(new RangeSet(...ranges.parts({ start, end })).size).toBe(held);
          const cut = () =>
            ranges.remove({ start, end }).reduce((sum, r) => sum + r.end - r.start, 0);
          if (isAdded) expect(ranges.add({ start, end })).toBe(end - start - held);
          else expect(cut()).toBe(held);
          plain.fill(isAdded ? 1 : 0, start, end);
        }
        const rest = new Uint8Array(3 * many);
        let last = -1;
        for (const { start, end } of ranges.ranges()) {
          expect(start).toBeGreaterThan(last);
          rest.fill(1, start, end);
          last = end;
        }
        expect(rest).toEqual(plain);
        expect(ranges.size).toBe(plain.reduce((sum, one) => sum + one, 0));
        expect(ranges.firstFrom(many)).toBe(
          plain.indexOf(1, many) < 0 ? undefined : plain.indexOf(1, many),
        );
      }),
      { numRuns: 60 },
    );
  });

  it("can be cut into many ranges, and filled again", () => {
    const many = 3_000;
    const ranges = new RangeSet({ start: 0, end: 2 * many });
    for (let i = 0; i < many; i++) {
      expect(ranges.remove({ start: 2 * i, end: 2 * i + 1 })).toHaveLength(1);
    }
    expect(ranges.size).toBe(many);
    expect(ranges.ranges()).toHaveLength(many);
    for (let i = many - 1; i >= 0; i--)
      expect(ranges.add({ start: 2 * i, end: 2 * i + 1 })).toBe(1);
    expect(ranges.ranges()).toEqual([{ start: 0, end: 2 * many }]);
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
