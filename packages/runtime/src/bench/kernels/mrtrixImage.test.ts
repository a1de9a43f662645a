import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readImage, writeImage } from "./mrtrixImage.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "fascicle-mrtrix-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("an image of MRtrix3", () => {
  it("comes back as it was written, voxel after voxel", () => {
    writeImage(directory, "rows", Float32Array.of(1, 2, 3, 4, 5, 6), 3);
    expect(Array.from(readImage(directory, "rows"))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("is turned where its volumes follow each other", () => {
    const header = writeImage(directory, "volumes", Float32Array.of(1, 3, 5, 2, 4, 6), 2);
    const text = readFileSync(header, "utf8").replace(/layout: .*/, "layout: +0,+1,+2,+3");
    writeFileSync(header, text);
    expect(Array.from(readImage(directory, "volumes"))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("is refused where an axis runs backwards", () => {
    const header = writeImage(directory, "turned", Float32Array.of(1, 2), 1);
    writeFileSync(header, readFileSync(header, "utf8").replace("+1,", "-1,"));
    expect(() => readImage(directory, "turned")).toThrow("turned");
  });
});
