import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SpillExtents } from "./spillExtents.ts";

describe("SpillExtents", () => {
  it("gives no byte to two, keeps its figures, and ends empty, whatever is asked of it", () => {
    const operation = fc.record({
      kind: fc.constantFrom("place", "place", "free", "cut", "split"),
      sizes: fc.array(fc.constantFrom(1, 2, 3, 8, 8, 8, 13), { minLength: 1, maxLength: 4 }),
      limit: fc.integer({ min: 0, max: 40 }),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
        const extents = new SpillExtents();
        const taken = new Map<number, number>();
        for (const { kind, sizes, limit, pick } of operations) {
          const before = extents.endBytes;
          const offsets = [...taken.keys()];
          const offset = offsets[pick % offsets.length];
          if (kind === "place") {
            const placed = extents.place(sizes, limit);
            expect(extents.endBytes).toBe(before + (placed?.grownBytes ?? 0));
            if (placed === undefined) {
              // Not even room for all at the end.
              expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(limit);
            } else {
              expect(placed.grownBytes).toBeLessThanOrEqual(limit);
              for (const [n, at] of placed.offsets.entries()) taken.set(at, sizes[n]);
            }
          } else if (kind === "free" && offset !== undefined) {
            extents.free(offset, taken.get(offset)!);
            expect(() => extents.free(offset, taken.get(offset)!)).toThrow();
            taken.delete(offset);
          } else if (kind === "cut") {
            const tail = extents.tailBytes;
            expect(extents.cutTail()).toBe(before - tail);
            expect(extents.tailBytes).toBe(0);
          } else if (kind === "split" && offset !== undefined && taken.get(offset)! > 1) {
            const bytes = taken.get(offset)!;
            extents.split(offset, [1, bytes - 1]);
            taken.set(offset, 1);
            taken.set(offset + 1, bytes - 1);
          }
          const spans = [...taken].sort(([a], [b]) => a - b);
          let end = 0;
          for (const [at, bytes] of spans) {
            expect(at).toBeGreaterThanOrEqual(end);
            end = at + bytes;
          }
          expect(end).toBe(extents.endBytes - extents.tailBytes);
          expect(extents.takenBytes).toBe(spans.reduce((sum, [, bytes]) => sum + bytes, 0));
        }
        for (const [at, bytes] of taken) extents.free(at, bytes);
        expect(extents.cutTail()).toBe(0);
        expect(extents.takenBytes).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it("takes exactly fitting places first, then the smallest larger one, then the end", () => {
    const extents = new SpillExtents();
    const sizes = [10, 1, 20, 1, 15, 1];
    const placed = extents.place(sizes, 1000)!;
    for (const n of [0, 2, 4]) extents.free(placed.offsets[n], sizes[n]);
    expect(extents.place([20], 0)!.offsets).toEqual([11]);
    expect(extents.place([12], 0)!.offsets).toEqual([32]);
    expect(extents.place([11], 0)).toBeUndefined();
    expect(extents.place([11], 11)).toEqual({ offsets: [48], grownBytes: 11 });
  });
});
