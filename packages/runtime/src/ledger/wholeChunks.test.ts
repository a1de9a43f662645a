import { chunkStart, RangeSet } from "@fascicle/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wholeChunks } from "./wholeChunks.ts";

describe("whole chunks", () => {
  it("are those all of whose voxels are done", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 1, max: 80 }),
        fc.array(fc.tuple(fc.nat(79), fc.nat(30))),
        (voxels, chunks, ranges) => {
          const count = Math.min(voxels, chunks);
          const done = new RangeSet();
          for (const [start, length] of ranges) {
            done.add({ start, end: Math.min(voxels, start + length) });
          }
          const found = wholeChunks(voxels, count, done);
          for (let chunk = 0; chunk < count; chunk++) {
            const start = chunkStart(voxels, count, chunk);
            const end = chunkStart(voxels, count, chunk + 1);
            expect(found.covers({ start: chunk, end: chunk + 1 })).toBe(
              done.covers({ start, end }),
            );
          }
        },
      ),
    );
  });
});
