import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NiftiDtype } from "../io/datatype.ts";
import { openDwi } from "../io/openDwi.ts";
import { rowsOf, TestScratch, temporaryDirectory, writeDwi } from "../io/testing.ts";
import type { VoxelSignals } from "../signals.ts";
import { openRows } from "./openRows.ts";
import type { VolumeParameters } from "./parameters.ts";

const dtypes: readonly NiftiDtype[] = [
  ...(["uint8", "int8", "uint16", "int16", "uint32", "int32"] as const),
  ...(["uint64", "int64", "float32", "float64"] as const),
];
const plenty = 1e9;

/** As they arrive on another host. */
const travelled = ({ origin }: VoxelSignals): VolumeParameters =>
  deserialize(serialize(origin!.parameters));

function bytesOf({ slabs }: VoxelSignals, start: number, end: number, rowBytes: number) {
  return Buffer.concat(slabs.map((slab) => new Uint8Array(slab))).subarray(
    start * rowBytes,
    end * rowBytes,
  );
}

/** 40 voxels of 3 volumes, 30 of them masked. */
function smallFiles(directory: ReturnType<typeof temporaryDirectory>, name = "dwi.nii") {
  const values = Array.from({ length: 120 }, (_, i) => 1 + ((i * 13) % 101));
  const image = { shape: [10, 2, 2, 3], dtype: "int16", values } as const;
  const inside = Array.from({ length: 40 }, (_, i) => (i % 4 === 1 ? 0 : 1));
  const mask = directory.image("mask.nii", { shape: [10, 2, 2], dtype: "uint8", values: inside });
  return { ...writeDwi(directory, image, [0, 1000, 1000], name), mask };
}

const openFiles = () => readdirSync("/proc/self/fd").length;

describe("openRows", () => {
  it("gives the driver's bytes, in place, inflated into memory and inflated to disk", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const cases = fc.record({
      shape: fc.tuple(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 6 }),
      ),
      bvals: fc.array(fc.constantFrom(0, 1000, 3000), { minLength: 1, maxLength: 40 }),
      dtype: fc.constantFrom(...dtypes),
      littleEndian: fc.boolean(),
      version: fc.constantFrom<1 | 2>(1, 2),
      gz: fc.boolean(),
      maxB: fc.constantFrom(undefined, 1000),
      masked: fc.integer({ min: 0, max: 255 }),
      random: fc.infiniteStream(fc.nat({ max: 255 })),
      cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, bvals, masked, random, cuts, gz, maxB, ...kind }) => {
        const table = [0, 1000, ...bvals];
        const grid = shape[0] * shape[1] * shape[2];
        const next = () => random.next().value as number;
        const wide = kind.dtype === "int64" || kind.dtype === "uint64";
        const values = Array.from({ length: grid * table.length }, (_, i) =>
          wide ? BigInt((i * 31) % 120) : (i * 31) % 120,
        );
        const inside = Array.from({ length: grid }, (_, i) =>
          i === 7 % grid || next() < masked ? 1 : 0,
        );
        const files = writeDwi(
          directory,
          { ...kind, shape: [...shape, table.length], values, extensionBytes: 16 },
          table,
          gz ? "d.nii.gz" : "d.nii",
        );
        const mask = directory.image("mask.nii", { shape, dtype: "uint8", values: inside });
        const { signals } = await openDwi({ ...files, mask, maxB });
        const { voxelCount, width, dtype } = signals;
        const rowBytes = width * (dtype === "float32" ? 4 : 8);
        const parameters = travelled(signals);
        // Room for the voxels' places alone sends the rows to disk.
        for (const memoryBytes of [plenty, 4 * voxelCount]) {
          const opened = await openRows(parameters, { scratch, memoryBytes });
          expect(scratch.files).toHaveLength(gz && memoryBytes !== plenty ? 1 : 0);
          const ends = [0, ...cuts, 1].map((cut) => Math.round(cut * voxelCount));
          for (let i = 1; i < ends.length; i++) {
            const [start, end] = [ends[i - 1], ends[i]].sort((a, b) => a - b);
            const into = new Uint8Array((end - start) * rowBytes);
            await opened.read(start, end, into);
            expect(bytesOf(signals, start, end, rowBytes).equals(into)).toBe(true);
          }
          await opened.close();
          expect(scratch.files).toEqual([]);
        }
      }),
      { numRuns: 80 },
    );
  });

  it("reads voxels that lie far apart, and more of them than one read takes", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    const grid = 60 * 60 * 24;
    const values = Array.from({ length: grid * 2 }, (_, i) => 1 + i / 7);
    const files = writeDwi(
      directory,
      { shape: [60, 60, 24, 2], dtype: "float64", values },
      [0, 1000],
    );
    const masks: ((i: number) => boolean)[] = [
      () => true,
      (i) => i % 2500 === 3,
      (i) => i < 3 || i > grid - 4,
      (i) => Math.floor(i / 10_000) % 2 === 1,
    ];
    for (const isInside of masks) {
      const inside = Array.from({ length: grid }, (_, i) => (isInside(i) ? 1 : 0));
      const mask = directory.image("mask.nii", {
        shape: [60, 60, 24],
        dtype: "uint8",
        values: inside,
      });
      const { signals } = await openDwi({ ...files, mask });
      const opened = await openRows(travelled(signals), { scratch, memoryBytes: plenty });
      for (const [start, end] of [
        [0, signals.voxelCount],
        [1, signals.voxelCount - 1],
        [2, 2],
      ]) {
        const into = new Uint8Array((end - start) * 16);
        await opened.read(start, end, into);
        expect(bytesOf(signals, start, end, 16).equals(into)).toBe(true);
      }
      await opened.close();
    }
  });

  it("says where the file is and which rows are meant in few bytes", async () => {
    using directory = temporaryDirectory();
    const { signals } = await openDwi(smallFiles(directory));
    const { sha256: _, mtimeNs: __, ...parameters } = travelled(signals);
    expect(signals.origin!.module).toBe("@fascicle/models/volumes");
    expect(parameters).toEqual({
      path: join(directory.path, "dwi.nii"),
      sizeBytes: 352 + 240,
      shape: [10, 2, 2, 3],
      datatype: 4,
      kept: Uint8Array.of(1, 1, 1),
      // All but every fourth, from the second on.
      mask: new Uint8Array(5).fill(0b11011101),
    });
  });

  it("refuses, with the reason, what is not the very same file, and leaves nothing open", async () => {
    using directory = temporaryDirectory();
    const scratch = new TestScratch(directory.path);
    for (const name of ["dwi.nii", "dwi.nii.gz"]) {
      const files = smallFiles(directory, name);
      const { signals } = await openDwi(files);
      const given = travelled(signals);
      const { atime, mtime } = statSync(files.dwi);
      // Times that every file system and call can carry.
      utimesSync(files.dwi, atime, new Date(Math.floor(mtime.getTime() / 1000) * 1000));
      const right = { ...given, mtimeNs: String(statSync(files.dwi, { bigint: true }).mtimeNs) };
      const reset = () => utimesSync(files.dwi, atime, Number(right.mtimeNs) / 1e9);
      const before = openFiles();
      const refusal = async (parameters: VolumeParameters) => {
        const opening = openRows(parameters, { scratch, memoryBytes: plenty });
        const error = await opening.then(
          () => new Error("opened"),
          (reason) => reason,
        );
        return [error.code, error.message];
      };
      const content = readFileSync(files.dwi);
      expect(await refusal(given)).toEqual([
        "ORIGIN",
        `"${files.dwi}" has another modification time on this host.`,
      ]);
      expect(await refusal({ ...right, sizeBytes: 5 })).toEqual([
        "ORIGIN",
        `"${files.dwi}" has ${content.length} bytes on this host, not 5.`,
      ]);
      expect(await refusal({ ...right, datatype: 16 })).toEqual([
        "ORIGIN",
        `"${files.dwi}" has another header on this host.`,
      ]);

      const changed = Buffer.from(content);
      changed[content.length - 1] ^= 1;
      writeFileSync(files.dwi, changed);
      reset();
      expect((await refusal(right))[0]).toBe("ORIGIN");
      if (name === "dwi.nii") {
        expect((await refusal(right))[1]).toBe(
          `"${files.dwi}" has another content (sha256) on this host.`,
        );
      }
      writeFileSync(files.dwi, content);
      reset();
      const opened = await openRows(right, { scratch, memoryBytes: plenty });
      await opened.close();

      const elsewhere = join(directory.path, "elsewhere");
      renameSync(files.dwi, elsewhere);
      expect(await refusal(right)).toEqual(["ORIGIN", `"${files.dwi}" is not there on this host.`]);
      symlinkSync(elsewhere, files.dwi);
      expect(await refusal(right)).toEqual(["ORIGIN", `"${files.dwi}" is a link on this host.`]);
      rmSync(files.dwi);
      mkdirSync(files.dwi);
      expect(await refusal(right)).toEqual([
        "ORIGIN",
        `"${files.dwi}" is not a regular file on this host.`,
      ]);
      rmSync(files.dwi, { recursive: true });
      execFileSync("mkfifo", [files.dwi]);
      expect((await refusal(right))[1]).toContain("is not a regular file");
      expect((await refusal({ ...right, path: "/dev/zero" }))[1]).toContain(
        "is not a regular file",
      );
      rmSync(files.dwi);
      rmSync(elsewhere);
      expect(openFiles()).toBe(before);
      expect(scratch.files).toEqual([]);
    }
  });

  it("does not take a digest for that of a file that was changed since, however its times were set", async () => {
    using directory = temporaryDirectory();
    const room = { scratch: new TestScratch(directory.path), memoryBytes: plenty };
    for (const name of ["dwi.nii", "dwi.nii.gz"]) {
      const files = smallFiles(directory, name);
      utimesSync(files.dwi, 1e9, 1e9);
      const { signals } = await openDwi(files);
      // From now on its digest may be remembered.
      await sleep(2100);
      for (let i = 0; i < 2; i++) await (await openRows(travelled(signals), room)).close();
      const content = readFileSync(files.dwi);
      // The operating system's byte of a gzip header matters to nobody but the digest.
      content[name.endsWith(".gz") ? 9 : content.length - 1] ^= 1;
      writeFileSync(files.dwi, content);
      utimesSync(files.dwi, 1e9, 1e9);
      await expect(openRows(travelled(signals), room)).rejects.toThrow("another content (sha256)");
    }
  });

  it("notices that the file is changed, or cut, while it is read in place", async () => {
    using directory = temporaryDirectory();
    const room = { scratch: new TestScratch(directory.path), memoryBytes: plenty };
    const files = smallFiles(directory);
    const content = readFileSync(files.dwi);
    const changes: (() => void)[] = [
      () => writeFileSync(files.dwi, Buffer.from(content).fill(9, 400)),
      () => writeFileSync(files.dwi, content.subarray(0, 420)),
    ];
    for (const change of changes) {
      utimesSync(files.dwi, 1e9, 1e9);
      const { signals } = await openDwi(files);
      const opened = await openRows(travelled(signals), room);
      const into = new Uint8Array(30 * 12);
      await opened.read(0, 30, into);
      change();
      await expect(opened.read(0, 30, into)).rejects.toMatchObject({ code: "ORIGIN" });
      await opened.close();
      await expect(opened.read(0, 30, into)).rejects.toThrow();
      writeFileSync(files.dwi, content);
    }
  });

  it("does not mind that the file has another name too", async () => {
    using directory = temporaryDirectory();
    const room = { scratch: new TestScratch(directory.path), memoryBytes: plenty };
    const files = smallFiles(directory);
    linkSync(files.dwi, join(directory.path, "other"));
    const dwi = await openDwi(files);
    const opened = await openRows(travelled(dwi.signals), room);
    const into = new Float32Array(90);
    await opened.read(0, 30, new Uint8Array(into.buffer));
    expect([...into]).toEqual(rowsOf(dwi));
    await opened.close();
  });

  it("has no origin where the file was changed or replaced while the driver read it", async () => {
    using directory = temporaryDirectory();
    const files = smallFiles(directory);
    const content = readFileSync(files.dwi);
    const changes: (() => void)[] = [
      () => writeFileSync(files.dwi, content),
      () => {
        writeFileSync(`${files.dwi}.new`, content);
        renameSync(`${files.dwi}.new`, files.dwi);
      },
      () => rmSync(files.dwi),
    ];
    for (const change of changes) {
      writeFileSync(files.dwi, content);
      utimesSync(files.dwi, 1e9, 1e9);
      let isChanged = false;
      const { signals } = await openDwi({
        ...files,
        onProgress: () => {
          if (!isChanged) change();
          isChanged = true;
        },
      });
      expect([isChanged, signals.origin]).toEqual([true, undefined]);
    }
  });

  it("stops when it is aborted", async () => {
    using directory = temporaryDirectory();
    const room = { scratch: new TestScratch(directory.path), memoryBytes: plenty };
    for (const name of ["dwi.nii", "dwi.nii.gz"]) {
      const { signals } = await openDwi(smallFiles(directory, name));
      const before = openFiles();
      const opening = openRows(travelled(signals), room, AbortSignal.abort());
      await expect(opening).rejects.toMatchObject({ name: "AbortError" });
      expect(openFiles()).toBe(before);
    }
  });

  it("believes nothing that comes from the network", async () => {
    using directory = temporaryDirectory();
    const room = { scratch: new TestScratch(directory.path), memoryBytes: 1e6 };
    const { signals } = await openDwi(smallFiles(directory));
    const right = travelled(signals);
    const wrong: Record<keyof VolumeParameters, unknown[]> = {
      path: [undefined, 7, "", "dwi.nii", "/a/../b", "/a/", "/a\0b", `/${"a".repeat(5000)}`],
      sizeBytes: [undefined, -1, 1.5, "5", Number.NaN, 2 ** 60],
      mtimeNs: [undefined, 5, "", "1e9", "1".repeat(30)],
      sha256: [undefined, "", "A".repeat(64), "0".repeat(63)],
      shape: [
        undefined,
        [],
        [10, 2, 2],
        [10, 2, 2, 3, 1],
        [10, 2, 2, 0],
        [65536, 65536, 1, 3],
        ["10", 2, 2, 3],
      ],
      datatype: [undefined, "4", 1.5],
      kept: [undefined, [1, 1, 1], new Uint8Array(3), Uint8Array.of(1, 1), Uint16Array.of(1, 1, 1)],
      mask: [
        undefined,
        [1, 2, 3, 4, 5],
        new Uint8Array(5),
        new Uint8Array(4).fill(1),
        new Uint8Array(6).fill(1),
        new Uint16Array(5).fill(1),
      ],
    };
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        await expect(openRows({ ...right, [name]: value }, room)).rejects.toMatchObject({
          code: "ORIGIN",
          message: expect.stringMatching(/^The origin of the signals has no right [a-z0-9 ]+\.$/),
        });
      }
    }
    // A grid of 39 has no place for the last of 40 bits.
    const beyond = { ...right, shape: [13, 3, 1, 3], mask: new Uint8Array(5).fill(0x80) };
    await expect(openRows(beyond, room)).rejects.toThrow("no right mask");
    await fc.assert(
      fc.asyncProperty(fc.anything(), async (anything) => {
        await expect(openRows(anything, room)).rejects.toMatchObject({ code: "ORIGIN" });
      }),
      { numRuns: 200 },
    );
    const small = { ...room, memoryBytes: 100 };
    await expect(openRows(right, small)).rejects.toThrow(
      "The places of 30 voxels need 120 bytes and this host gives 100.",
    );
  });
});
