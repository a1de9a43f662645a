import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { centreBox } from "./centre.ts";
import type { NiftiDtype } from "./datatype.ts";
import { openDwi } from "./openDwi.ts";
import { readNifti } from "./readNifti.ts";
import type { TestImage } from "./testing.ts";
import { gradientTexts, niftiBytes, rowsOf, temporaryDirectory, writeDwi } from "./testing.ts";

const fixtures = new URL("../../../../test/fixtures/", import.meta.url).pathname;

const samples: Record<NiftiDtype, (number | bigint)[]> = {
  uint8: [0, 1, 127, 255],
  int8: [-128, -1, 0, 127],
  uint16: [0, 1, 40000, 65535],
  int16: [-32768, -1, 1, 32767],
  uint32: [0, 1, 2 ** 24 + 1, 2 ** 32 - 1],
  int32: [-(2 ** 31), -1, 2 ** 24 + 1, 2 ** 31 - 1],
  uint64: [0n, 1n, 2n ** 53n - 1n, 2n ** 64n - 1n],
  int64: [-(2n ** 63n), -1n, 2n ** 53n - 1n, 2n ** 53n + 1n],
  float32: [0, -1.5, 3.4028234663852886e38, 2 ** -149],
  float64: [0, -1.5, 0.1, 5e-324],
};
const float64Types: readonly NiftiDtype[] = ["uint32", "int32", "uint64", "int64", "float64"];

describe("openDwi", () => {
  for (const dtype of Object.keys(samples) as NiftiDtype[]) {
    it(`keeps ${dtype} exactly, in both byte orders, both versions, gzip or not`, async () => {
      using directory = temporaryDirectory();
      const mask = directory.image("mask.nii", {
        shape: [2, 1, 1],
        dtype: "uint8",
        values: [1, 1],
      });
      const values = samples[dtype];
      for (const littleEndian of [true, false]) {
        for (const version of [1, 2] as const) {
          for (const name of ["dwi.nii", "dwi.nii.gz"]) {
            const image = {
              shape: [2, 1, 1, 2],
              dtype,
              littleEndian,
              version,
              values,
              slope: 2,
              intercept: 3,
              extensionBytes: 16,
            };
            const dwi = await openDwi({ ...writeDwi(directory, image, [0, 1000], name), mask });
            const expected = [values[0], values[2], values[1], values[3]].map(Number);
            expect(rowsOf(dwi)).toEqual(expected);
            expect(dwi.signals.dtype).toBe(float64Types.includes(dtype) ? "float64" : "float32");
            expect(dwi.scale).toEqual({ slope: 2, intercept: 3 });
            expect([...dwi.centre.signals]).toEqual(expected.map((x) => 2 * x + 3));
            const whole = await readNifti(join(directory.path, name));
            expect([...whole.data]).toEqual(values.map((x) => 2 * Number(x) + 3));
            expect([whole.dtype, whole.shape]).toEqual([dtype, [2, 1, 1, 2]]);
          }
        }
      }
    });
  }

  it("holds for random shapes, masks, types and dropped volumes", async () => {
    using directory = temporaryDirectory();
    const cases = fc.record({
      shape: fc.tuple(
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 5 }),
      ),
      bvals: fc.array(fc.constantFrom(0, 1000, 2000, 3000), { minLength: 1, maxLength: 70 }),
      dtype: fc.constantFrom<NiftiDtype>("uint8", "int16", "int32", "float32", "float64"),
      littleEndian: fc.boolean(),
      version: fc.constantFrom<1 | 2>(1, 2),
      gz: fc.boolean(),
      maxB: fc.constantFrom(undefined, 1000, 2500),
      withMask: fc.boolean(),
      seed: fc.integer({ min: 1, max: 1e6 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, bvals, maxB, withMask, seed, gz, ...kind }) => {
        // A b0 in front, a volume behind it: what openDwi needs at least.
        const table = [0, 1000, ...bvals];
        const grid = shape[0] * shape[1] * shape[2];
        let state = seed;
        const random = () => {
          state = (state * 48271) % 2147483647;
          return state % 201;
        };
        const values = Array.from({ length: grid * table.length }, random);
        values[0] = 1;
        const inside = Array.from({ length: grid }, (_, i) => (i === 0 || random() > 90 ? 2 : 0));
        const files = writeDwi(
          directory,
          { ...kind, shape: [...shape, table.length], values },
          table,
          gz ? "d.nii.gz" : "d.nii",
        );
        const mask = withMask
          ? directory.image("mask.nii", { shape, dtype: "int16", values: inside })
          : undefined;
        const dwi = await openDwi({ ...files, mask, maxB });

        const columns = table.map((_, i) => i).filter((i) => table[i] <= (maxB ?? Infinity));
        const b0s = columns.filter((i) => table[i] === 0);
        const voxels = inside
          .map((_, v) => v)
          .filter((v) =>
            withMask ? inside[v] !== 0 : b0s.some((volume) => values[volume * grid + v] > 0),
          );
        const rows = voxels.flatMap((v) => columns.map((volume) => values[volume * grid + v]));
        expect([...dwi.voxels]).toEqual(voxels);
        expect(rowsOf(dwi)).toEqual(rows);
        expect([...dwi.gradients.bvals]).toEqual(columns.map((i) => table[i]));
        const { start, shape: size } = centreBox(shape);
        const centre: number[] = [];
        for (let z = 0; z < size[2]; z++)
          for (let y = 0; y < size[1]; y++)
            for (let x = 0; x < size[0]; x++) {
              const v = start[0] + x + shape[0] * (start[1] + y + shape[1] * (start[2] + z));
              const counts = !withMask || inside[v] !== 0;
              centre.push(...columns.map((volume) => (counts ? values[volume * grid + v] : 0)));
            }
        expect([...dwi.centre.signals]).toEqual(centre);
      }),
      { numRuns: 60 },
    );
  });

  it("cuts volumes larger than a piece, across several batches of volumes", async () => {
    using directory = temporaryDirectory();
    const shape = [70, 50, 45, 37];
    const grid = 70 * 50 * 45;
    const value = (volume: number, v: number) => ((volume * 7919 + v * 31) % 20011) - 10;
    const bytes = niftiBytes({ shape, dtype: "int16" });
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let volume = 0; volume < 37; volume++)
      for (let v = 0; v < grid; v++)
        view.setInt16(352 + 2 * (volume * grid + v), value(volume, v), true);
    const bvals = Array.from({ length: 37 }, (_, i) => (i % 9 === 0 ? 0 : 1000));
    const texts = gradientTexts(bvals);
    const rest = { bval: directory.write("a", texts.bval), bvec: directory.write("b", texts.bvec) };
    const plain = await openDwi({ dwi: directory.write("d.nii", bytes), ...rest });
    const fractions: number[] = [];
    const packed = await openDwi({
      dwi: directory.write("d2.nii.gz", gzipSync(bytes, { level: 1 })),
      ...rest,
      onProgress: (fraction) => fractions.push(fraction),
    });
    expect(packed.voxels).toEqual(plain.voxels);
    expect(Buffer.from(packed.signals.slabs[0]).equals(Buffer.from(plain.signals.slabs[0]))).toBe(
      true,
    );
    const rows = new Float32Array(plain.signals.slabs[0]);
    for (let i = 0; i < plain.voxels.length; i += 101) {
      for (let volume = 0; volume < 37; volume++) {
        if (rows[i * 37 + volume] !== value(volume, plain.voxels[i])) {
          expect([i, volume, rows[i * 37 + volume]]).toEqual([
            i,
            volume,
            value(volume, plain.voxels[i]),
          ]);
        }
      }
    }
    expect(fractions.at(-1)).toBe(1);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  });

  it("gives the digest of the files on disk, read in one pass or two", async () => {
    using directory = temporaryDirectory();
    const image: TestImage = { shape: [2, 2, 2, 2], dtype: "int16", values: Array(16).fill(5) };
    const mask = directory.image("mask.nii.gz", {
      shape: [2, 2, 2],
      dtype: "uint8",
      values: Array(8).fill(1),
    });
    for (const name of ["d.nii", "d.nii.gz"]) {
      const files = writeDwi(directory, image, [0, 1000], name);
      for (const withMask of [true, false]) {
        const dwi = await openDwi(withMask ? { ...files, mask } : files);
        const sha256 = (path: string) =>
          createHash("sha256").update(readFileSync(path)).digest("hex");
        expect(dwi.inputs).toEqual([
          { role: "dwi", file: name, sha256: sha256(files.dwi) },
          { role: "bval", file: "dwi.bval", sha256: sha256(files.bval) },
          { role: "bvec", file: "dwi.bvec", sha256: sha256(files.bvec) },
          ...(withMask ? [{ role: "mask", file: "mask.nii.gz", sha256: sha256(mask) }] : []),
        ]);
      }
    }
  });

  it("opens the real data and its response cuboid whole", async () => {
    const data = `${fixtures}data/real_64dir`;
    const dwi = await openDwi({ dwi: `${data}.nii`, bval: `${data}.bval`, bvec: `${data}.bvec` });
    expect([dwi.signals.voxelCount, dwi.signals.width]).toEqual([1000, 65]);
    expect(dwi.centre.shape).toEqual([10, 10, 10]);
    expect([...dwi.gradients.isB0].filter((b0) => b0 === 1)).toHaveLength(1);
    expect([...dwi.gradients.bvecs.subarray(0, 3)]).toEqual([0, 0, 0]);
  });

  it("takes mask values other than 0 and NaN, and a last axis of 1", async () => {
    using directory = temporaryDirectory();
    const files = writeDwi(directory, { shape: [4, 1, 1, 2] }, [0, 1000]);
    const mask = directory.image("m.nii", {
      shape: [4, 1, 1, 1],
      values: [Number.NaN, 0, -0.5, 1],
    });
    expect([...(await openDwi({ ...files, mask })).voxels]).toEqual([2, 3]);
  });

  it("leaves voxels out whose mean b0 signal is zero or less, but not those without a number", async () => {
    using directory = temporaryDirectory();
    const nan = Number.NaN;
    const values = [1, -5, nan, 0, 2, 9, 9, 9, 9, 9, -2, 6, 3, 0, 2];
    const files = writeDwi(directory, { shape: [5, 1, 1, 3], values }, [0, 1000, 0]);
    expect([...(await openDwi(files)).voxels]).toEqual([1, 2, 4]);
    const flipped = writeDwi(directory, { shape: [5, 1, 1, 3], values, slope: -1 }, [0, 1000, 0]);
    expect([...(await openDwi(flipped)).voxels]).toEqual([0, 2]);
  });

  it("stops when it is aborted", async () => {
    using directory = temporaryDirectory();
    const files = writeDwi(
      directory,
      { shape: [64, 64, 20, 8], dtype: "int16" },
      Array(8).fill(0),
      "d.nii.gz",
    );
    const mask = directory.image("m.nii", { shape: [64, 64, 20], values: [1] });
    const stop = new AbortController();
    const opening = openDwi({
      ...files,
      mask,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(opening).rejects.toMatchObject({ name: "AbortError" });
    await expect(openDwi({ ...files, signal: stop.signal })).rejects.toMatchObject({
      name: "AbortError",
    });
  });
});
