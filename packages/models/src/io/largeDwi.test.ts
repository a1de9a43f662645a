import { statSync, truncateSync } from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NiftiDtype } from "./datatype.ts";
import { openDwi } from "./openDwi.ts";
import {
  gradientTexts,
  niftiBytes,
  readRows,
  rowsOf,
  TestScratch,
  temporaryDirectory,
  writeDwi,
} from "./testing.ts";

const dtypes: readonly NiftiDtype[] = [
  ...(["uint8", "int8", "uint16", "int16", "uint32", "int32"] as const),
  ...(["uint64", "int64", "float32", "float64"] as const),
];

describe("openDwi with less memory than the voxels need", () => {
  it("gives the same from disk as from memory", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const cases = fc.record({
      shape: fc.tuple(
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 5 }),
      ),
      bvals: fc.array(fc.constantFrom(0, 1000, 2000, 3000), { minLength: 1, maxLength: 40 }),
      dtype: fc.constantFrom(...dtypes),
      littleEndian: fc.boolean(),
      gz: fc.boolean(),
      maxB: fc.constantFrom(undefined, 1000, 2500),
      withMask: fc.boolean(),
      random: fc.infiniteStream(fc.nat({ max: 120 })),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, bvals, maxB, withMask, random, gz, ...kind }) => {
        const table = [0, 1000, ...bvals];
        const grid = shape[0] * shape[1] * shape[2];
        const next = () => random.next().value as number;
        const wide = kind.dtype === "int64" || kind.dtype === "uint64";
        const values = Array.from({ length: grid * table.length }, () =>
          wide ? BigInt(next()) : next(),
        );
        values[0] = wide ? 1n : 1;
        const files = writeDwi(
          directory,
          { ...kind, shape: [...shape, table.length], values },
          table,
          gz ? "d.nii.gz" : "d.nii",
        );
        const inside = Array.from({ length: grid }, (_, i) => (i === 0 || next() > 50 ? 1 : 0));
        const mask = directory.image("mask.nii", { shape, dtype: "uint8", values: inside });
        const options = { ...files, maxB, ...(withMask ? { mask } : {}) };
        const inMemory = await openDwi(options);
        const rowBytes = inMemory.signals.slabs.reduce((sum, slab) => sum + slab.byteLength, 0);
        const onDisk = await openDwi({ ...options, scratch, memoryBytes: rowBytes - 1 });
        expect(await readRows(onDisk.signals)).toEqual(rowsOf(inMemory));
        const rest = ({ signals: _, close: __, ...others }: typeof onDisk) => others;
        expect(rest(onDisk)).toEqual(rest(inMemory));
        const { voxelCount, width, dtype } = inMemory.signals;
        expect(onDisk.signals).toMatchObject({ voxelCount, width, dtype, slabs: [] });
        expect(scratch.files).toHaveLength(1);
        await Promise.all([onDisk.close(), onDisk.close()]);
        await onDisk.close();
        expect(scratch.files).toEqual([]);
        // With enough of it, nothing goes to disk.
        const enough = await openDwi({ ...options, scratch, memoryBytes: rowBytes });
        expect(rowsOf(enough)).toEqual(rowsOf(inMemory));
        expect([scratch.files, enough.signals.source]).toEqual([[], undefined]);
        await enough.close();
      }),
      { numRuns: 60 },
    );
  });

  const shape = [64, 64, 24, 60];
  const bvals = Array.from({ length: 60 }, (_, i) => (i % 20 === 0 ? 0 : 1000));

  function largeFiles(directory: ReturnType<typeof temporaryDirectory>, name: string) {
    const bytes = niftiBytes({ shape, dtype: "int16" });
    const values = new Int16Array(bytes.buffer, bytes.byteOffset + 352);
    for (let i = 0; i < values.length; i++) values[i] = 1 + ((i * 7919) % 4093);
    const texts = gradientTexts(bvals);
    return {
      dwi: directory.write(name, name.endsWith(".gz") ? gzipSync(bytes, { level: 1 }) : bytes),
      bval: directory.write("dwi.bval", texts.bval),
      bvec: directory.write("dwi.bvec", texts.bvec),
    };
  }

  it("holds across batches", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    for (const name of ["d.nii", "d.nii.gz"]) {
      const files = largeFiles(directory, name);
      const dwi = await openDwi({ ...files, scratch, memoryBytes: 1e6 });
      const inMemory = await openDwi(files);
      const { voxelCount, width } = dwi.signals;
      const rows = new Uint8Array(voxelCount * width * 4);
      await dwi.signals.source!.read(0, voxelCount, rows);
      expect(Buffer.from(rows).equals(Buffer.from(inMemory.signals.slabs[0]))).toBe(true);
      await dwi.close();
      expect(scratch.files).toEqual([]);
    }
  });

  it("leaves no file when it is aborted, be it while it waits for the disk", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const files = largeFiles(directory, "d.nii");
    for (const waits of [false, true]) {
      const stop = new AbortController();
      scratch.onWrite = () => {
        setImmediate(() => stop.abort());
        return waits ? new Promise(() => undefined) : undefined;
      };
      const opening = openDwi({ ...files, scratch, memoryBytes: 1e6, signal: stop.signal });
      await expect(opening).rejects.toMatchObject({ name: "AbortError" });
      expect(scratch.files).toEqual([]);
    }
  });

  it("leaves no file when the volume or the disk fails", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const files = largeFiles(directory, "d.nii.gz");
    scratch.onWrite = () => {
      throw new Error("the disk is full");
    };
    await expect(openDwi({ ...files, scratch, memoryBytes: 1e6 })).rejects.toThrow(
      "the disk is full",
    );
    expect(scratch.files).toEqual([]);
    scratch.onWrite = () => undefined;
    truncateSync(files.dwi, Math.floor(statSync(files.dwi).size * 0.9));
    await expect(openDwi({ ...files, scratch, memoryBytes: 1e6 })).rejects.toThrow("is cut short");
    expect(scratch.writtenBytes).toBeGreaterThan(0);
    expect(scratch.files).toEqual([]);
  });
});
