import { mkdir, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { csd, type Dwi, openDwi, phantomFiles, writePhantom } from "@fascicle/models";
import { readRows, SpillSpace } from "@fascicle/object-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fitIdentity } from "../ledger/fitIdentity.ts";
import { planesThroughMask } from "../report/planes.ts";
import { scanSection } from "../report/scanSection.ts";
import { measureVoxel } from "./measureVoxel.ts";

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Float64Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

describe("signals on disk", () => {
  let directory: string;
  let space: SpillSpace;
  let inMemory: Dwi;
  let onDisk: Dwi;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "rows-on-disk-"));
    await writePhantom(directory, { size: [26, 32, 22], scheme: "hcp", snr: 60 });
    const path = (name: string) => join(directory, name);
    const files = {
      dwi: path(phantomFiles.dwi),
      bval: path(phantomFiles.bval),
      bvec: path(phantomFiles.bvec),
      mask: path(phantomFiles.mask),
    };
    inMemory = await openDwi(files);
    await mkdir(path("spill"));
    space = new SpillSpace({ directory: async () => path("spill"), limitBytes: 1e9 });
    onDisk = await openDwi({ ...files, scratch: space, memoryBytes: 1e6 });
  });
  afterAll(async () => {
    await onDisk.close();
    expect([space.usedBytes, await readdir(join(directory, "spill"))]).toEqual([0, []]);
    await space.close();
    await rm(directory, { recursive: true });
  });

  it("are the same rows, whoever reads them at the same time", async () => {
    const { voxelCount } = inMemory.signals;
    expect([onDisk.signals.slabs, space.usedBytes > 1e6]).toEqual([[], true]);
    const ranges = Array.from({ length: 12 }, (_, i) => [i * 200, voxelCount - i * 150]);
    await Promise.all(
      ranges.map(async ([start, end]) => {
        const rows = await readRows(onDisk.signals, start, end);
        const expected = await readRows(inMemory.signals, start, end);
        expect(bytesOf(rows).equals(bytesOf(expected))).toBe(true);
      }),
    );
  });

  it("are the same fit as those in memory, with digests of their files or without", async () => {
    const response = [1.7e-3, 0.3e-3, 0.3e-3, 1000] as const;
    for (const inputs of [inMemory.inputs, []]) {
      const identity = (dwi: Dwi) => fitIdentity(csd({ ...dwi, inputs }, { response }));
      expect(await identity(onDisk)).toEqual(await identity(inMemory));
      const other = { ...inMemory.signals, slabs: [inMemory.signals.slabs[0].slice(0)] };
      new Float32Array(other.slabs[0])[12345] += 1;
      const changed = await identity({ ...inMemory, signals: other });
      expect(changed.parts.data === (await identity(inMemory)).parts.data).toBe(inputs.length > 0);
    }
  });

  it("look the same in the report", async () => {
    const planes = planesThroughMask(inMemory.geometry, inMemory.voxels);
    const section = await scanSection(onDisk, planes);
    expect(section).toEqual(await scanSection(inMemory, planes));
    const [figure] = section.items;
    expect(figure.kind).toBe("map");
  });

  it("can be tried out, to choose how many chunks", async () => {
    const response = [1.7e-3, 0.3e-3, 0.3e-3, 1000] as const;
    const seconds = await measureVoxel(csd(onDisk, { response }));
    expect(seconds).toBeGreaterThan(0);
    expect(Number.isFinite(seconds)).toBe(true);
  });

  it("are an error where the disk has other bytes, and never another voxel", async () => {
    const [name] = await readdir(join(directory, "spill"));
    const path = join(directory, "spill", name);
    const at = 1000;
    const byte = (await readFile(path))[at];
    const write = async (value: number) => {
      const file = await open(path, "r+");
      await file.write(Uint8Array.of(value), 0, 1, at);
      await file.close();
    };
    await write(byte ^ 4);
    const { voxelCount } = onDisk.signals;
    const reading = readRows(onDisk.signals, 0, voxelCount);
    await expect(reading).rejects.toMatchObject({ code: "SPILL_DAMAGED" });
    await write(byte);
    const rows = await readRows(onDisk.signals, 0, voxelCount);
    expect(rows.length).toBe(inMemory.signals.width * voxelCount);
  });
});
