import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Checksum } from "./checksum.ts";

function sumOf(bytes: Uint8Array, cuts: readonly number[] = []): number {
  const sum = new Checksum(bytes.length);
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    sum.add(bytes.subarray(at, cut));
    at = cut;
  }
  return sum.value();
}

describe("Checksum", () => {
  it("is the same however the bytes are cut, and another when any bit, length or order differs", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 100, 65_535, 65_536, 200_001),
        fc.array(fc.nat(), { maxLength: 5 }),
        fc.nat(),
        fc.nat(7),
        (length, cuts, where, bit) => {
          const bytes = new Uint8Array(new SharedArrayBuffer(length));
          for (let n = 0; n < length; n++) bytes[n] = (n * 31) ^ (n >> 8);
          const sum = sumOf(bytes);
          const sorted = cuts.map((cut) => cut % (length + 1)).sort((a, b) => a - b);
          expect(sumOf(bytes, sorted)).toBe(sum);
          bytes[where % length] ^= 1 << bit;
          expect(sumOf(bytes)).not.toBe(sum);
          expect(sumOf(bytes, sorted)).not.toBe(sum);
        },
      ),
    );
    const zeros = [65_536, 65_537, 131_072].map((length) => sumOf(new Uint8Array(length)));
    expect(new Set(zeros).size).toBe(3);
    const swapped = new Uint8Array(100_000).fill(1);
    swapped.fill(2, 0, 50_000);
    const ordered = swapped.slice().reverse();
    expect(sumOf(swapped)).not.toBe(sumOf(ordered));
    expect(Number.isSafeInteger(sumOf(swapped))).toBe(true);
  });
});
