import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { InputError } from "../model.ts";
import { openDwi } from "./openDwi.ts";
import { readNifti } from "./readNifti.ts";
import type { TestImage } from "./testing.ts";
import { niftiBytes, rowsOf, temporaryDirectory, writeDwi } from "./testing.ts";

/** Rejects with an InputError of one sentence, which is given back. */
async function inputError(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  const { message } = error as InputError;
  expect(message).toMatch(/^[A-Z].*\.$/s);
  expect(message).not.toContain("\n");
  return message;
}

describe("bad input", () => {
  const good: TestImage = { shape: [3, 3, 3, 2], values: Array(54).fill(1) };

  it("is one clear sentence for files that cannot be read", async () => {
    using directory = temporaryDirectory();
    const files = writeDwi(directory, good, [0, 1000]);
    const open = (dwi: string) => inputError(openDwi({ ...files, dwi }));
    expect(await open(join(directory.path, "none.nii"))).toMatch(/none\.nii" does not exist/);
    mkdirSync(join(directory.path, "folder"));
    expect(await open(join(directory.path, "folder"))).toMatch(/is a directory/);
    expect(await open("/dev/null")).toMatch(/not a regular file/);
    expect(await open(directory.write("empty.nii", ""))).toMatch(/is empty/);
    expect(await open(directory.write("text.nii", "hello ".repeat(100)))).toMatch(
      /not a NIfTI file/,
    );
    const bytes = niftiBytes(good);
    expect(await open(directory.write("cut.nii", bytes.subarray(0, -1)))).toMatch(
      /cut short: its header promises 568 bytes and it has 567/,
    );
    const huge = niftiBytes(good);
    huge.writeInt16LE(30000, 42);
    huge.writeInt16LE(30000, 44);
    expect(await open(directory.write("huge.nii.gz", gzipSync(huge)))).toMatch(/cut short/);
    expect(await open(directory.image("three.nii", { shape: [3, 3, 3] }))).toMatch(/single 3-D/);
    expect(await open(directory.image("five.nii", { shape: [3, 3, 3, 2, 2] }))).toMatch(/is 5-D/);
    expect(await inputError(readNifti(join(directory.path, "none.nii")))).toMatch(/does not exist/);
  });

  it("is one clear sentence for damaged gzip", async () => {
    using directory = temporaryDirectory();
    const shape = [40, 40, 40, 2];
    const noise = Array.from({ length: 128000 }, (_, i) => (i * 7919) % 32749);
    const bytes = niftiBytes({ shape, dtype: "int16", values: noise });
    const files = writeDwi(directory, good, [0, 1000]);
    const packed = gzipSync(bytes);
    const open = (name: string, content: Uint8Array) =>
      inputError(openDwi({ ...files, dwi: directory.write(name, content) }));
    expect(await open("cut.nii.gz", packed.subarray(0, packed.length >> 1))).toMatch(
      /cut short: its gzip data end too early/,
    );
    expect(await open("tail.nii.gz", packed.subarray(0, -4))).toMatch(/gzip data end too early/);
    const corrupt = Buffer.from(packed);
    corrupt.fill(0xff, packed.length >> 1, (packed.length >> 1) + 64);
    expect(await open("corrupt.nii.gz", corrupt)).toMatch(/gzip data are corrupt/);
    const wrongSum = Buffer.from(packed);
    wrongSum[packed.length - 6] ^= 1;
    expect(await open("sum.nii.gz", wrongSum)).toMatch(/corrupt \(incorrect data check\)/);
    const garbage = Buffer.concat([packed, Buffer.from("garbage")]);
    expect(await open("garbage.nii.gz", garbage)).toMatch(/bytes behind its gzip data/);
    const fewer = gzipSync(bytes.subarray(0, 200000));
    expect(await open("fewer.nii.gz", fewer)).toMatch(/promises 256352 bytes and it has 200000/);
    // Padding with zeros, several members and bytes behind the last volume are no damage.
    const rest = { bval: files.bval, bvec: files.bvec };
    const padded = directory.write("padded.nii.gz", Buffer.concat([packed, Buffer.alloc(600000)]));
    const opened = await openDwi({ ...rest, dwi: padded });
    const digest = createHash("sha256").update(readFileSync(padded)).digest("hex");
    expect(opened.inputs[0].sha256).toBe(digest);
    const members = Buffer.concat([
      gzipSync(bytes.subarray(0, 77777)),
      gzipSync(bytes.subarray(77777)),
    ]);
    const joined = await openDwi({ ...rest, dwi: directory.write("members.nii.gz", members) });
    expect(rowsOf(joined)).toEqual(rowsOf(opened));
    const longer = gzipSync(Buffer.concat([bytes, Buffer.from("more")]));
    const surplus = await openDwi({ ...rest, dwi: directory.write("longer.nii.gz", longer) });
    expect(surplus.warnings[0]).toMatch(/4 bytes more than its header promises/);
  });

  it.skipIf(process.getuid?.() !== 0 && process.platform === "win32")(
    "is one clear sentence for a file without access",
    async () => {
      using directory = temporaryDirectory();
      const files = writeDwi(directory, good, [0, 1000]);
      chmodSync(directory.path, 0o755);
      chmodSync(files.dwi, 0);
      const root = process.getuid?.() === 0;
      if (root) process.seteuid!(65534);
      try {
        expect(await inputError(openDwi(files))).toMatch(/cannot be read: permission denied/);
      } finally {
        if (root) process.seteuid!(0);
      }
    },
  );

  it("is one clear sentence for tables that do not fit", async () => {
    using directory = temporaryDirectory();
    const files = writeDwi(directory, good, [0, 1000]);
    const bval = (text: string) =>
      inputError(openDwi({ ...files, bval: directory.write("x.bval", text) }));
    expect(await bval("0 1000 1000")).toMatch(/has 3 b-values and ".*dwi\.nii" 2 volumes/);
    expect(await bval("0 -1000")).toMatch(/b-value -1000/);
    const bvec = directory.write("x.bvec", "0 1 0\n0 0 0\n0 0 0\n");
    expect(await inputError(openDwi({ ...files, bvec }))).toMatch(/3 directions and .* 2 volumes/);
    expect(await inputError(openDwi({ ...files, bval: files.dwi }))).toMatch(
      /a number should stand/,
    );
    const packed = directory.image("x.nii.gz", good);
    expect(await inputError(openDwi({ ...files, bval: packed }))).toMatch(/not a gradient table/);
    expect(await inputError(openDwi({ ...files, b0Threshold: -1 }))).toMatch(/b0 threshold is -1/);
    expect(await inputError(openDwi({ ...files, maxB: Number.NaN }))).toMatch(/largest b-value/);
    expect((await openDwi({ ...files, b0Threshold: 200 })).warnings[0]).toMatch(/is high/);
    const high = writeDwi(directory, good, [1000, 2000]);
    expect(await inputError(openDwi(high))).toMatch(/no volume at or below b = 50.*give a mask/);
    expect(await inputError(openDwi({ ...high, maxB: 500 }))).toMatch(
      /no volume at or below b = 500/,
    );
  });

  it("is one clear sentence for masks that do not fit", async () => {
    using directory = temporaryDirectory();
    const files = writeDwi(directory, good, [0, 1000]);
    const values = Array(27).fill(1);
    const mask = (image: Partial<TestImage>) => {
      const path = directory.image("m.nii", { shape: [3, 3, 3], values, ...image });
      return openDwi({ ...files, mask: path });
    };
    const srow = [2, 0, 0, -9, 0, 2, 0, -8, 0, 0, 2, -7];
    expect(await inputError(mask({ shape: [3, 3, 4] }))).toMatch(
      /shape 3 x 3 x 4 .* grid 3 x 3 x 3/,
    );
    expect(await inputError(mask({ shape: [3, 3, 3, 2] }))).toMatch(/shape 3 x 3 x 3 x 2/);
    expect(await inputError(mask({ srow: srow.with(3, 9) }))).toMatch(/x offset 9 against -9 mm/);
    expect(await inputError(mask({ srow: srow.with(0, -2) }))).toMatch(/row 1\) -2 against 2 mm/);
    expect(await inputError(mask({ values: [] }))).toMatch(/is empty: no voxel/);
    expect((await mask({ srow: srow.with(7, -8.001) })).voxels).toHaveLength(27);
    expect(await inputError(mask({ srow: srow.with(7, -8.01) }))).toMatch(/y offset -8\.01/);
  });
});
