import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boardBytes, ChunkBoard, carefulSlot } from "./chunkBoard.ts";
import { SlotWords, unreportedRangesLimit } from "./slotWords.ts";

const newBoard = (chunks: number) => new ChunkBoard(new SharedArrayBuffer(boardBytes(chunks)));

describe("ChunkBoard", () => {
  it("gives every ready chunk to one claimant, whatever is added, lost or withdrawn meanwhile", () => {
    const operation = fc.tuple(
      fc.constantFrom("ready", "claim", "finish", "die", "withdraw", "careful", "tail", "clear"),
      fc.nat(99),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const board = newBoard(100);
        const words = SlotWords.forSlots(4);
        const state = new Map<number, "ready" | "done" | number>();
        let searchedGeneration = -1;
        for (const [kind, n] of operations) {
          const slot = n % 4;
          if (kind === "ready") {
            board.makeReady(n, n + 1);
            if (!state.has(n)) state.set(n, "ready");
          } else if (kind === "clear") {
            board.clearDone(n, n + 1);
            if (state.get(n) === "done") state.delete(n);
          } else if (kind === "claim") {
            const ready = [...state].filter(([, s]) => s === "ready").map(([chunk]) => chunk);
            const most = 1 + (n % 7);
            const claimed = board.claim(slot, words, most);
            expect(claimed).toBe(ready.length === 0 ? -1 : Math.min(...ready));
            if (claimed < 0) {
              searchedGeneration = board.generation;
            } else {
              let end = claimed;
              while (end < claimed + most && state.get(end) === "ready") state.set(end++, slot);
              expect(words.chunksOf(slot)).toEqual({ start: claimed, end });
            }
          } else if (kind === "finish") {
            expect(board.finish(n, slot)).toBe(state.get(n) === slot);
            if (state.get(n) === slot) state.set(n, "done");
          } else if (kind === "die") {
            const held = state.get(n) === slot;
            expect(board.isClaimedBy(n, slot)).toBe(held);
            expect(board.giveBack(n, slot)).toBe(held);
            if (held) state.set(n, "ready");
          } else if (kind === "withdraw") {
            expect(board.withdraw(n)).toBe(state.get(n) === "ready");
            if (state.get(n) === "ready") state.delete(n);
          } else if (kind === "careful") {
            const isFree = state.get(n) === undefined || state.get(n) === "ready";
            expect(board.claimCarefully(n)).toBe(isFree);
            if (isFree) state.set(n, carefulSlot);
            expect(board.finish(n, carefulSlot)).toBe(state.get(n) === carefulSlot);
            if (state.get(n) === carefulSlot) state.set(n, "done");
          } else if (kind === "tail") {
            const taken = board.withdrawTail(n, 100).flatMap(({ start, end }) => {
              return Array.from({ length: end - start }, (_, i) => start + i);
            });
            const ready = [...state].filter(([chunk, s]) => s === "ready" && chunk >= n);
            expect(taken).toEqual(ready.map(([chunk]) => chunk).sort((a, b) => a - b));
            for (const chunk of taken) state.delete(chunk);
          }
          // Who searched in vain is told when there is something new.
          if ([...state.values()].includes("ready")) {
            expect(board.generation).not.toBe(searchedGeneration);
          }
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

describe("SlotWords", () => {
  it("keep what is done until it is reported, joined where it is consecutive", () => {
    const words = SlotWords.forSlots(2);
    for (const [start, end] of [
      [3, 4],
      [4, 6],
      [9, 10],
      [10, 11],
    ]) {
      expect(words.note(1, { start, end })).toBe(true);
    }
    expect(words.unreportedOf(1)).toEqual([3, 6, 9, 11]);
    expect(words.unreportedOf(0)).toEqual([]);
    words.reported(1);
    expect(words.unreportedOf(1)).toEqual([]);
    const isFull = Array.from({ length: unreportedRangesLimit }, (_, i) =>
      words.note(1, { start: 2 * i, end: 2 * i + 1 }),
    );
    expect(isFull.indexOf(false)).toBe(unreportedRangesLimit - 1);
    expect(words.unreportedOf(1).at(-1)).toBe(2 * unreportedRangesLimit - 1);
    expect(words.unreportedOf(0)).toEqual([]);
  });

  it("tell what a thread has in hand until they are cleared", () => {
    const words = SlotWords.forSlots(2);
    const none = { start: 0, end: 0 };
    expect([words.chunksOf(1), words.isBusy(1)]).toEqual([none, false]);
    words.enter(1);
    words.intend(1, 5);
    expect(words.chunksOf(1)).toEqual({ start: 5, end: 6 });
    words.intendMore(1, 3);
    words.begin(1, 32);
    words.countVoxels(1, 32);
    expect(words.chunksOf(1)).toEqual({ start: 5, end: 8 });
    expect([words.isBusy(1), words.batchOf(1), words.voxelsOf(1)]).toEqual([true, 32, 32]);
    words.clear(1);
    expect([words.chunksOf(1), words.isBusy(1), words.batchOf(1)]).toEqual([none, false, 0]);
  });
});
