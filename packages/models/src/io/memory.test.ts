import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { gradientTexts, niftiBytes, temporaryDirectory } from "./testing.ts";

const shape = [100, 100, 60, 200];
const grid = 100 * 100 * 60;
const mebibyte = 1024 * 1024;

/** Peak resident memory before and after; prints the difference and the bytes of the masked voxels. */
const script = `
import { readFileSync } from "node:fs";
const peak = () => 1024 * Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
const bare = peak();
const { openDwi } = await import("./dist/io/openDwi.js");
const { signals } = await openDwi(JSON.parse(process.argv[1]));
console.log(JSON.stringify({ extra: peak() - bare, masked: signals.voxelCount * signals.width * 4 }));
`;

/** The same with a scratch file; the rows are read block by block, and added up. */
const scratchScript = `
import { readFileSync } from "node:fs";
import { open, rm } from "node:fs/promises";
const peak = () => 1024 * Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
const bare = peak();
const { openDwi } = await import("./dist/io/openDwi.js");
const scratch = {
  async create() {
    const handle = await open("signals.scratch", "wx+");
    let end = 0;
    return {
      async write(parts) {
        const pieces = parts.map(({ length: bytes }) => ({ offset: (end += bytes) - bytes, bytes, crc: 0 }));
        await handle.writev(parts, pieces[0].offset);
        return pieces;
      },
      read: ({ offset, bytes }, into) => handle.read(into, 0, bytes, offset),
      remove: () => handle.close().then(() => rm("signals.scratch")),
    };
  },
};
const { signals, close } = await openDwi({ ...JSON.parse(process.argv[1]), scratch });
const { voxelCount, width, source } = signals;
const block = Math.floor(8 * 2 ** 20 / (4 * width));
const rows = new Float32Array(block * width);
let sum = 0;
for (let start = 0; start < voxelCount; start += block) {
  const end = Math.min(voxelCount, start + block);
  await source.read(start, end, new Uint8Array(rows.buffer, 0, (end - start) * width * 4));
  for (let i = 0; i < (end - start) * width; i++) sum += rows[i];
}
await close();
console.log(JSON.stringify({ extra: peak() - bare, bytes: voxelCount * width * 4, sum }));
`;

describe("memory", () => {
  it.skipIf(!existsSync("/proc/self/status"))(
    "is far less than the masked voxels where these go to disk",
    () => {
      using directory = temporaryDirectory();
      compileTo(directory.path);
      directory.write("package.json", '{ "type": "module" }');
      const bytes = niftiBytes({ shape: [100, 100, 50, 200], dtype: "int16" });
      const values = new Int16Array(bytes.buffer, bytes.byteOffset + 352);
      let sum = 0;
      for (let i = 0; i < values.length; i++) {
        values[i] = 1 + ((i * 7919) % 4093);
        sum += values[i];
      }
      const texts = gradientTexts(Array.from({ length: 200 }, (_, i) => (i % 20 === 0 ? 0 : 1000)));
      const options = {
        dwi: directory.write("dwi.nii.gz", gzipSync(bytes, { level: 1 })),
        bval: directory.write("dwi.bval", texts.bval),
        bvec: directory.write("dwi.bvec", texts.bvec),
        memoryBytes: 40 * mebibyte,
      };
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ["--input-type=module", "-e", scratchScript, JSON.stringify(options)],
        { cwd: directory.path, encoding: "utf8" },
      );
      expect(stderr).toBe("");
      const found = JSON.parse(stdout);
      expect([found.bytes, found.sum]).toEqual([4e8, sum]);
      expect(found.extra).toBeLessThan(160 * mebibyte);
    },
  );

  it.skipIf(!existsSync("/proc/self/status"))(
    "is the masked voxels plus less than 200 MB, where the whole file would not fit in that",
    () => {
      using directory = temporaryDirectory();
      compileTo(directory.path);
      directory.write("package.json", '{ "type": "module" }');
      const bytes = niftiBytes({ shape, dtype: "int16" });
      const values = new Int16Array(bytes.buffer, bytes.byteOffset + 352);
      for (let i = 0; i < values.length; i++) values[i] = 1 + ((i * 7919) % 4093);
      const bvals = Array.from({ length: 200 }, (_, i) => (i % 20 === 0 ? 0 : 1000));
      const texts = gradientTexts(bvals);
      const inside = Array.from({ length: grid }, (_, i) => (i % 10 === 0 ? 1 : 0));
      const options = {
        dwi: directory.write("dwi.nii.gz", gzipSync(bytes, { level: 1 })),
        bval: directory.write("dwi.bval", texts.bval),
        bvec: directory.write("dwi.bvec", texts.bvec),
        mask: directory.image("mask.nii", {
          shape: shape.slice(0, 3),
          dtype: "uint8",
          values: inside,
        }),
      };
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ["--input-type=module", "-e", script, JSON.stringify(options)],
        { cwd: directory.path, encoding: "utf8" },
      );
      expect(stderr).toBe("");
      const { extra, masked } = JSON.parse(stdout);
      expect(masked).toBe((grid / 10) * 200 * 4);
      expect(extra).toBeGreaterThan(masked);
      expect(extra - masked).toBeLessThan(200 * mebibyte);
      expect(bytes.length).toBeGreaterThan(200 * mebibyte);
    },
  );
});

/** A process of its own needs JavaScript; type errors elsewhere in the package are not its business. */
function compileTo(path: string): void {
  const compiler = createRequire(import.meta.url).resolve("typescript/package.json");
  const project = new URL("../../tsconfig.json", import.meta.url).pathname;
  const settings = ["--outDir", join(path, "dist"), "--tsBuildInfoFile", join(path, "tsbuildinfo")];
  spawnSync(process.execPath, [join(compiler, "../bin/tsc"), "-p", project, ...settings]);
}
