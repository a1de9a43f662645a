import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boardBytes, ChunkBoard } from "./chunkBoard.ts";

const newBoard = (chunks: number) => new ChunkBoard(new SharedArrayBuffer(boardBytes(chunks)));

describe("ChunkBoard", () => {
  it("gives every ready chunk to one claimant, whatever is added, lost or withdrawn meanwhile", () => {
    const operation = fc.tuple(
      fc.constantFrom("ready", "claim", "finish", "die", "withdraw"),
      fc.nat(99),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const board = newBoard(100);
        const state = new Map<number, "ready" | "done" | number>();
        for (const [kind, n] of operations) {
          const slot = n % 4;
          if (kind === "ready" && !state.has(n)) {
            board.makeReady(n, n + 1);
            state.set(n, "ready");
          } else if (kind === "claim") {
            const ready = [...state].filter(([, s]) => s === "ready").map(([chunk]) => chunk);
            const claimed = board.claim(slot);
            expect(claimed).toBe(ready.length === 0 ? -1 : Math.min(...ready));
            if (claimed >= 0) state.set(claimed, slot);
          } else if (kind === "finish") {
            expect(board.finish(n, slot)).toBe(state.get(n) === slot);
            if (state.get(n) === slot) state.set(n, "done");
          } else if (kind === "die") {
            const held = [...state].filter(([, s]) => s === slot).map(([chunk]) => chunk);
            expect(board.claimedBy(slot)).toEqual(held.sort((a, b) => a - b));
            for (const chunk of held) {
              board.makeReady(chunk, chunk + 1);
              state.set(chunk, "ready");
            }
          } else if (kind === "withdraw") {
            expect(board.withdraw(n)).toBe(state.get(n) === "ready");
            if (state.get(n) === "ready") state.delete(n);
          }
          expect(board.hasReady()).toBe([...state.values()].includes("ready"));
        }
        for (const [chunk, s] of state) expect(board.isDone(chunk)).toBe(s === "done");
      }),
    );
  });

  it("carries the cancel word and the count of voxels", () => {
    const board = newBoard(1);
    expect(board.isCancelled).toBe(false);
    board.cancel();
    board.addVoxels(5);
    board.addVoxels(7);
    expect([board.isCancelled, board.voxelsDone]).toEqual([true, 12]);
  });
});
