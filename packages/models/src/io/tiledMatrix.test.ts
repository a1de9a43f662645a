import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NiftiDtype, NumericView } from "./datatype.ts";
import { allocateDecoded } from "./datatype.ts";
import { readRows, TestScratch, temporaryDirectory } from "./testing.ts";
import { TiledMatrix, tileLimits } from "./tiledMatrix.ts";

const dtypes: readonly NiftiDtype[] = ["uint8", "int16", "uint32", "float32", "float64", "int64"];

/** A value that every type holds. */
const storedValue = (volume: number, at: number) => (volume * 31 + at * 17) % 251;

async function fill(
  matrix: TiledMatrix,
  width: number,
  grid: number,
  pieceValues: number,
  dtype: NiftiDtype,
) {
  let waits = 0;
  const piece: NumericView = allocateDecoded(dtype, pieceValues);
  for (let volume = 0; volume < width; volume++) {
    for (let first = 0; first < grid; first += pieceValues) {
      const length = Math.min(pieceValues, grid - first);
      for (let i = 0; i < length; i++) piece[i] = storedValue(volume, first + i);
      const waiting = matrix.take(volume, first, piece.subarray(0, length));
      // Its memory is another's once the call returns.
      piece.fill(99);
      if (waiting !== undefined) waits++;
      await waiting;
    }
  }
  return waits;
}

describe("TiledMatrix", () => {
  it("gives back the rows, however they are cut into pieces, batches, tiles and writes", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const cases = fc.record({
      grid: fc.integer({ min: 1, max: 90 }),
      width: fc.integer({ min: 1, max: 40 }),
      every: fc.integer({ min: 1, max: 5 }),
      pieceValues: fc.integer({ min: 1, max: 100 }),
      dtype: fc.constantFrom(...dtypes),
      batchBytes: fc.integer({ min: 1, max: 4000 }),
      blockBytes: fc.integer({ min: 1, max: 3000 }),
      writeBytes: fc.integer({ min: 1, max: 2000 }),
      cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 6 }),
      misplaced: fc.boolean(),
    });
    const seen = { batches: new Set<boolean>(), blocks: new Set<boolean>() };
    await fc.assert(
      fc.asyncProperty(
        cases,
        async ({ grid, width, every, pieceValues, dtype, cuts, misplaced, ...limits }) => {
          const voxels = Uint32Array.from({ length: Math.ceil(grid / every) }, (_, i) => i * every);
          const matrix = await TiledMatrix.create(voxels, width, dtype, scratch, limits);
          await fill(matrix, width, grid, pieceValues, dtype);
          const signals = await matrix.finish();
          const expected = [...voxels].flatMap((at) =>
            Array.from({ length: width }, (_, volume) => storedValue(volume, at)),
          );
          expect(await readRows(signals)).toEqual(expected);
          for (let i = 0; i + 1 < cuts.length; i++) {
            const [start, end] = [cuts[i], cuts[i + 1]]
              .map((cut) => Math.round(cut * voxels.length))
              .sort((a, b) => a - b);
            expect(await readRows(signals, start, end)).toEqual(
              expected.slice(start * width, end * width),
            );
          }
          if (misplaced) {
            const bytes = new Uint8Array(
              voxels.length * width * (signals.dtype === "float32" ? 4 : 8) + 1,
            );
            await signals.source!.read(0, voxels.length, bytes.subarray(1));
            const rows = bytes.slice(1).buffer;
            expect([
              ...(signals.dtype === "float32" ? new Float32Array(rows) : new Float64Array(rows)),
            ]).toEqual(expected);
          }
          seen.batches.add(limits.batchBytes < voxels.length * width);
          seen.blocks.add(limits.blockBytes < expected.length * 4);
          expect([signals.slabs, signals.voxelsPerSlab]).toEqual([[], voxels.length]);
          expect(scratch.files).toHaveLength(1);
          await matrix.close();
          expect(scratch.files).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
    expect([seen.batches.size, seen.blocks.size]).toEqual([2, 2]);
  });

  it("reads each tile once per call, and only those that have rows in it", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const voxels = Uint32Array.from({ length: 100 }, (_, i) => i);
    // 10 rows of 6 float32 a tile, 2 columns of int16 a batch.
    const limits = { batchBytes: 400, blockBytes: 240, writeBytes: 100 };
    const matrix = await TiledMatrix.create(voxels, 6, "int16", scratch, limits);
    await fill(matrix, 6, 100, 64, "int16");
    const { source } = await matrix.finish();
    expect(scratch.writtenBytes).toBe(100 * 6 * 2);
    for (const [start, end, blocks] of [
      [0, 100, 10],
      [10, 20, 1],
      [9, 21, 3],
      [55, 56, 1],
      [7, 7, 0],
    ]) {
      scratch.readBytes = 0;
      await source!.read(start, end, new Uint8Array((end - start) * 24));
      expect(scratch.readBytes).toBe(blocks * 10 * 6 * 2);
    }
    await expect(source!.read(0, 2, new Uint8Array(47))).rejects.toThrow(
      "The rows have 48 bytes; there is room for 47.",
    );
    await matrix.close();
  });

  it("lets the next values wait while two batches are in memory, and no sooner", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const voxels = Uint32Array.from({ length: 50 }, (_, i) => i);
    const limits = { batchBytes: 100, blockBytes: 1e6, writeBytes: 1e6 };
    const matrix = await TiledMatrix.create(voxels, 4, "int16", scratch, limits);
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    scratch.onWrite = () => gate;
    const column = new Int16Array(50).fill(7);
    await matrix.take(0, 0, column);
    let isReady = false;
    const waiting = matrix.take(1, 0, column)!.then(() => {
      isReady = true;
    });
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(isReady).toBe(false);
    release();
    await waiting;
    await matrix.take(2, 0, column);
    await matrix.take(3, 0, column);
    expect(await readRows(await matrix.finish())).toEqual(Array(200).fill(7));
    await matrix.close();
  });

  it("fails with the disk's reason", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const voxels = Uint32Array.from({ length: 50 }, (_, i) => i);
    const limits = { batchBytes: 100, blockBytes: 1e6, writeBytes: 1e6 };
    const matrix = await TiledMatrix.create(voxels, 4, "int16", scratch, limits);
    scratch.onWrite = () => {
      throw new Error("the disk is full");
    };
    await expect(fill(matrix, 4, 50, 50, "int16")).rejects.toThrow("the disk is full");
    await expect(matrix.finish()).rejects.toThrow("the disk is full");
    await matrix.close();
    expect(scratch.files).toEqual([]);
  });

  it("refuses what the scratch space can never hold, before it makes a file", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const voxels = Uint32Array.from({ length: 50 }, (_, i) => i);
    scratch.limitBytes = 399;
    const create = () => TiledMatrix.create(voxels, 4, "int16", scratch, tileLimits(1));
    await expect(create()).rejects.toMatchObject({
      code: "INPUT",
      message: expect.stringMatching(
        /^The signals need 400 bytes on disk and may take 399 bytes: .*--spill-limit/,
      ),
    });
    expect(scratch.files).toEqual([]);
    scratch.limitBytes = 400;
    const matrix = await create();
    await fill(matrix, 4, 50, 50, "int16");
    await matrix.finish();
    expect(scratch.writtenBytes).toBe(400);
    await matrix.close();
  });

  it("takes half of the memory for writing, and a batch of 4 MiB at least", () => {
    const mebibyte = 2 ** 20;
    expect(tileLimits(1024 * mebibyte).batchBytes).toBe(254 * mebibyte);
    expect(tileLimits(1).batchBytes).toBe(4 * mebibyte);
  });
});
