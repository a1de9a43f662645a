import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatJoinString, newToken, parseJoinString, whyNotToken } from "./joinString.ts";

describe("join strings", () => {
  it("are read back", () => {
    for (const host of ["127.0.0.1", "head", "node-1.lab.example", "::1"]) {
      const join = { host, port: 6380, token: newToken() };
      expect(parseJoinString(` ${formatJoinString(join)}\n`)).toEqual(join);
    }
  });

  it("are refused when any character is changed, lost or added", () => {
    const text = formatJoinString({ host: "10.0.0.7", port: 6380, token: newToken() });
    for (let i = 0; i < text.length; i++) {
      const other = text[i] === "x" ? "y" : "x";
      expect(() => parseJoinString(text.slice(0, i) + other + text.slice(i + 1))).toThrow(
        /join string/,
      );
      expect(() => parseJoinString(text.slice(0, i) + text.slice(i + 1))).toThrow(/join string/);
      expect(() => parseJoinString(text.slice(0, i))).toThrow(/join string/);
    }
  });

  it("never crash on what is no join string", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => parseJoinString(text)).toThrow(/join string/);
      }),
    );
  });

  it("take only tokens that fit in them", () => {
    expect(whyNotToken(newToken())).toBeUndefined();
    for (const token of ["short", "has space in it!!", "x".repeat(129)]) {
      expect(whyNotToken(token)).toMatch(/16 to 128/);
    }
  });
});
