import { describe, expect, it } from "vitest";
import { commonVersion, formatVersions, parseVersions } from "./versions.ts";

describe("versions of the wire", () => {
  it("are chosen as high as both know", () => {
    expect(commonVersion({ min: 1, max: 4 }, { min: 3, max: 6 })).toBe(4);
    expect(commonVersion({ min: 2, max: 2 }, { min: 1, max: 9 })).toBe(2);
    expect(commonVersion({ min: 1, max: 2 }, { min: 3, max: 4 })).toBeUndefined();
  });

  it("are read as they are written, and nothing else is read", () => {
    for (const range of [
      { min: 2, max: 2 },
      { min: 2, max: 14 },
    ]) {
      expect(parseVersions(formatVersions(range))).toEqual(range);
    }
    for (const text of ["", "x", "3-2", "1-", "-1", "1.5", " 1", "1234567"]) {
      expect(parseVersions(text)).toBeUndefined();
    }
  });
});
