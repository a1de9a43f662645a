import type { OutputView } from "@fascicle/core";
import { describe, expect, it } from "vitest";
import { boardBytes, ChunkBoard } from "./chunkBoard.ts";
import { OpenJob } from "./openJob.ts";
import { tableOfOwn } from "./pagedRows.ts";
import { SlotWords } from "./slotWords.ts";
import type { FromThread, ThreadJob } from "./threadMessages.ts";

interface NotesOptions {
  readonly voxelTimeoutMs?: number;
  readonly voxelMs?: number;
}

/** A job of this thread that notes how many voxels its kernel gets at a time, and throws on one of them. */
class Notes {
  readonly counts: number[] = [];
  readonly messages: FromThread[] = [];
  readonly board: ChunkBoard;
  readonly values: Float64Array;
  readonly job: OpenJob;

  constructor(voxels: number, chunks: number, bad: number, more: NotesOptions = {}) {
    const { voxelTimeoutMs, voxelMs = 0 } = more;
    const buffer = new SharedArrayBuffer(8 * voxels);
    this.values = new Float64Array(buffer);
    const board = new SharedArrayBuffer(boardBytes(chunks));
    this.board = new ChunkBoard(board);
    const words = SlotWords.forSlots(1);
    const spec: ThreadJob = {
      ...{ job: "job", moduleUrl: "", kernelName: "", parameters: {}, board, voxelTimeoutMs },
      ...{ voxelCount: voxels, outputPageVoxels: voxels, slabs: [buffer, buffer], priority: 0 },
      signals: { width: 1, dtype: "float64", pageVoxels: voxels, table: tableOfOwn(0, 1) },
      outputs: [
        {
          ...{ name: "value", width: 1, dtype: "float64", units: "1" },
          ...{ table: tableOfOwn(1, 1), byteOffset: 0 },
        },
      ],
    };
    const fit = (
      _: unknown,
      first: number,
      count: number,
      [out]: readonly OutputView[],
      outFirst: number,
    ) => {
      this.counts.push(count);
      const untilMs = performance.now() + count * voxelMs;
      while (performance.now() < untilMs);
      if (bad >= first && bad < first + count) throw new Error("a bad voxel");
      for (let i = 0; i < count; i++) out[outFirst + i] += first + i + 1;
    };
    const noShared = () => {
      throw new Error("all slabs are the job's own");
    };
    this.job = new OpenJob(spec, { fit }, 0, words, noShared, (message) => {
      this.messages.push(message);
    });
  }

  get reported(): number[] {
    return this.messages.flatMap((message) => (message.type === "receipt" ? message.ranges : []));
  }
}

describe("a job in a thread", () => {
  it("draws small chunks several at a time, so that its kernel gets many voxels at once", () => {
    const notes = new Notes(1000, 160, -1);
    notes.board.makeReady(0, 160);
    expect(notes.job.work(Number.POSITIVE_INFINITY)).toBe(false);
    // Chunks of 6 or 7 voxels, the first alone, then 18 at a time, if the system lets this thread run.
    expect(notes.counts[0]).toBe(7);
    expect(Math.max(...notes.counts)).toBeGreaterThan(32);
    expect(notes.counts.length).toBeLessThan(40);
    expect(Array.from(notes.values)).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
    expect(notes.board.voxelsDone).toBe(1000);
    expect(notes.reported).toEqual([0, 160]);
  });

  it("draws no chunk that is not ready, and large ones one by one", () => {
    const notes = new Notes(1000, 160, -1);
    for (const chunk of [3, 4, 9]) notes.board.makeReady(chunk, chunk + 1);
    notes.job.work(Number.POSITIVE_INFINITY);
    expect(notes.reported).toEqual([3, 5, 9, 10]);
    const large = new Notes(1000, 5, -1);
    large.board.makeReady(0, 5);
    large.job.work(Number.POSITIVE_INFINITY);
    expect(large.counts.slice(0, 7)).toEqual([32, 32, 32, 32, 32, 32, 8]);
    expect(Math.max(...large.counts.slice(7))).toBeGreaterThan(32);
    expect(Math.max(...large.counts)).toBeLessThanOrEqual(128);
  });

  it("draws one at a time where they take long, so that others have something to do", () => {
    const notes = new Notes(12, 12, -1, { voxelMs: 2 });
    notes.board.makeReady(0, 12);
    notes.job.work(Number.POSITIVE_INFINITY);
    expect(notes.counts).toEqual(new Array(12).fill(1));
  });

  it("tells of the one chunk that its kernel throws on, and does the others", () => {
    const notes = new Notes(1000, 160, 496);
    notes.board.makeReady(0, 160);
    notes.job.work(Number.POSITIVE_INFINITY);
    const threw = notes.messages.filter(({ type }) => type === "threw");
    expect(threw).toEqual([{ type: "threw", job: "job", chunk: 76, reason: "a bad voxel" }]);
    expect(notes.board.isClaimedBy(76, 0)).toBe(true);
    expect(notes.reported).toEqual([0, 76, 77, 160]);
    const { values } = notes;
    expect(values.findIndex((value, voxel) => value !== voxel + 1)).toBe(496);
    expect(notes.board.voxelsDone).toBe(1000 - 6);
  });

  it("has one voxel at a time where each has a time-out", () => {
    const notes = new Notes(100, 50, -1, { voxelTimeoutMs: 1000 });
    notes.board.makeReady(0, 50);
    notes.job.work(Number.POSITIVE_INFINITY);
    expect(notes.counts).toEqual(new Array(100).fill(1));
  });
});
