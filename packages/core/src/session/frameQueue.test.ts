import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameQueue } from "./frameQueue.ts";

describe("a queue of frames", () => {
  it("numbers what is added, and gives it out in order", () => {
    const runs = fc.array(fc.record({ add: fc.nat(3_000), drop: fc.nat(3_000) }), {
      maxLength: 12,
      size: "max",
    });
    fc.assert(
      fc.property(runs, (steps) => {
        const queue = new FrameQueue<number>();
        let added = 0;
        let dropped = 0;
        for (const { add, drop } of steps) {
          for (let i = 0; i < add; i++) queue.push(++added);
          let isInOrder = true;
          for (let i = 0; i < drop; i++) {
            const expected = dropped < added ? ++dropped : undefined;
            isInOrder &&= queue.shift() === expected;
          }
          expect(isInOrder).toBe(true);
          expect([queue.first, queue.size]).toEqual([dropped + 1, added - dropped]);
          expect(queue.get(dropped)).toBeUndefined();
          expect(queue.get(added)).toBe(added === dropped ? undefined : added);
          expect(queue.get(added + 1)).toBeUndefined();
        }
      }),
      { numRuns: 50 },
    );
  });
});
