import { describe, expect, it } from "vitest";
import {
  gradientTable,
  gradientWarnings,
  parseBvals,
  parseBvecs,
  selectVolumes,
} from "./gradients.ts";

const subjects = { bval: 'The bval file "a"', bvec: 'The bvec file "b"' };
const table = (bvals: number[], bvecs: number[], threshold = 50) =>
  gradientTable(Float64Array.from(bvals), Float64Array.from(bvecs), threshold, subjects);

describe("parseBvals", () => {
  it("takes any layout", () => {
    for (const text of [
      "0 1000 5e2\n",
      "0\n1000\n500\n",
      "\uFEFF0,1000\t500",
      "0 1000\r\n500 # end",
    ]) {
      expect([...parseBvals(text, "x")]).toEqual([0, 1000, 500]);
    }
  });

  it("refuses negative values, non-numbers and nothing", () => {
    expect(() => parseBvals("0 -5", "x")).toThrow(/volume 1 the b-value -5/);
    expect(() => parseBvals("0 nan", "x")).toThrow(/volume 1 the b-value NaN/);
    expect(() => parseBvals("0 abc", "x")).toThrow(/holds "abc" where a number/);
    expect(() => parseBvals("0 0x10", "x")).toThrow(/"0x10"/);
    expect(() => parseBvals("0 1e999", "x")).toThrow(/"1e999"/);
    expect(() => parseBvals(" \n", "x")).toThrow(/is empty/);
  });
});

describe("parseBvecs", () => {
  it("takes three rows or three columns, and three rows where both are possible", () => {
    expect([...parseBvecs("1 2 3 4\n5 6 7 8\n9 10 11 12", "x")]).toEqual([
      1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12,
    ]);
    expect([...parseBvecs("1 2 3\n4 5 6\n", "x")]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...parseBvecs("1 2 3\n4 5 6\n7 8 9", "x")]).toEqual([1, 4, 7, 2, 5, 8, 3, 6, 9]);
  });

  it("refuses other shapes", () => {
    expect(() => parseBvecs("1 2 3 4\n5 6 7 8", "x")).toThrow(/2 rows of 4 numbers/);
    expect(() => parseBvecs("1 2 3\n4 5", "x")).toThrow(/rows of unequal length/);
    expect(() => parseBvecs("", "x")).toThrow(/is empty/);
  });
});

describe("gradientTable", () => {
  it("sets b0 rows to zero, NaN or not, and keeps the rest as it is", () => {
    const nan = Number.NaN;
    const made = table([0, 15, 1000, 45], [nan, nan, nan, 0.6, 0, 0.8, 0, 1.005, 0, 0.1, 0, 0]);
    expect([...made.bvals]).toEqual([0, 0, 1000, 0]);
    expect([...made.bvecs]).toEqual([0, 0, 0, 0, 0, 0, 0, 1.005, 0, 0, 0, 0]);
    expect([...made.isB0]).toEqual([1, 1, 0, 1]);
    // As DIPY 1.6 keeps it: the b of a unit vector stays, that of another becomes 0.
    expect([...made.given!.bvals]).toEqual([0, 15, 1000, 0]);
    expect([...made.given!.bvecs]).toEqual([0, 0, 0, 0.6, 0, 0.8, 0, 1.005, 0, 0, 0, 0]);
    const kept = selectVolumes(made, Uint8Array.of(0, 1, 1, 0));
    expect([...kept.bvals]).toEqual([0, 1000]);
    expect([...kept.bvecs]).toEqual([0, 0, 0, 0, 1.005, 0]);
    expect([...kept.given!.bvals]).toEqual([15, 1000]);
    expect([...kept.isB0]).toEqual([1, 0]);
  });

  it("refuses directions that are not unit vectors, by volume", () => {
    expect(() => table([0, 1000], [0, 0, 0, 0, 0, 0])).toThrow(/volume 1 \(b = 1000\).*length 0/);
    expect(() => table([0, 1000], [0, 0, 0, 0, 1.02, 0])).toThrow(/volume 1.*length 1\.02/);
    expect(() => table([1000], [Number.NaN, 0, 0])).toThrow(/volume 0/);
    expect(() => table([0, 1000], [0, 0, 0])).toThrow(/1 directions .* 2 b-values/);
    expect(() => table([0], [0, 0, 0], -1)).toThrow(/b0 threshold is -1/);
  });

  it("warns of a high threshold and of no b0", () => {
    expect(gradientWarnings(table([0], [0, 0, 0], 199))).toEqual([]);
    expect(gradientWarnings(table([0], [0, 0, 0], 200))[0]).toMatch(/threshold of 200 is high/);
    expect(gradientWarnings(table([60], [1, 0, 0]))[0]).toMatch(/there is no b0/);
  });
});
