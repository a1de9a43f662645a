import { describe, expect, it } from "vitest";
import { CrashTally, crashedVoxelsLimit, giveUpVoxel, statusOutput } from "./givenUp.ts";
import type { OutputField } from "./model.ts";

const field = (name: string, width: number, dtype: OutputField["dtype"]): OutputField => ({
  name,
  width,
  dtype,
  units: "1",
});
const outputs = [field("pair", 2, "float64"), field("status", 1, "uint8")];

describe("a voxel that is given up", () => {
  it("has zeros and its status, and its neighbours keep what they have", () => {
    const views = [Float64Array.of(1, 2, 3, 4, 5, 6), Uint8Array.of(0, 0, 1)];
    giveUpVoxel(outputs, views, 1, 6);
    expect([...views[0]]).toEqual([1, 2, 0, 0, 5, 6]);
    expect([...views[1]]).toEqual([0, 6, 1]);
  });

  it("needs a status output of one byte", () => {
    expect(statusOutput(outputs)).toBe(1);
    expect(statusOutput([field("status", 2, "uint8"), field("status", 1, "float64")])).toBe(-1);
  });
});

describe("CrashTally", () => {
  it("allows 100 voxels and 1 %, and names the last reason beyond", () => {
    expect(crashedVoxelsLimit(5_000)).toBe(150);
    const tally = new CrashTally(5_000, outputs);
    for (let voxel = 0; voxel < 150; voxel++) {
      expect(tally.add(voxel, "bad input", true)).toBeUndefined();
    }
    expect(tally.add(150, "bad input", true)).toBe(
      "more than 150 voxels crashed the kernel, the last for this reason: bad input",
    );
    expect(tally.crashed).toBe(151);
  });

  it("stops a kernel that fits nothing long before", () => {
    const tally = new CrashTally(1_000_000, outputs);
    for (let voxel = 0; voxel < 99; voxel++) expect(tally.add(voxel, "x", false)).toBeUndefined();
    expect(tally.add(99, "no such matrix", false)).toBe(
      "the kernel crashed on each of the first 100 voxels: no such matrix",
    );
    const tiny = new CrashTally(2, outputs);
    expect(tiny.add(0, "x", false)).toBeUndefined();
    expect(tiny.add(1, "x", false)).toMatch(/each of the first 2 voxels/);
  });

  it("stops at once where there is no status to tell of it", () => {
    expect(new CrashTally(10, outputs.slice(0, 1)).add(3, "bad input", true)).toBe(
      "voxel 3 crashed the kernel (bad input), and this model has no status to say so",
    );
  });
});
