import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeFrame,
  decodeValue,
  encodeAcknowledgement,
  encodeHeader,
  encodeValue,
  writeNumbers,
} from "./frame.ts";

const message = { type: "result", job: "j", voxels: { start: 0, end: 12 }, crc: 4_000_000_000 };

describe("frames", () => {
  it("come out as they went in, wherever the network cuts them", () => {
    const payload = Uint8Array.from({ length: 50 }, (_, i) => i * 5);
    const header = encodeHeader(message);
    writeNumbers(header, 2 ** 47 + 1, 2 ** 33 + 7);
    const whole = Buffer.concat([header, payload]);
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length), { maxLength: 5 }), (cuts) => {
        const ends = [...cuts, whole.length].sort((a, b) => a - b);
        const fragments = ends.map((end, i) => whole.subarray(i === 0 ? 0 : ends[i - 1], end));
        const frame = decodeFrame(fragments);
        expect([frame.sequence, frame.acknowledged]).toEqual([2 ** 47 + 1, 2 ** 33 + 7]);
        expect(decodeValue(frame.header)).toEqual(message);
        expect([...frame.payload]).toEqual([...payload]);
      }),
    );
  });

  it("begin their payload at a multiple of 8 bytes", () => {
    for (const text of ["", "a", "bb", "ccc", "dddd", "a longer one"]) {
      expect(encodeHeader({ text }).length % 8).toBe(0);
    }
  });

  it("are mere acknowledgements where they have no number", () => {
    const bytes = encodeAcknowledgement(41);
    expect(bytes.length).toBe(16);
    expect(decodeFrame([bytes])).toMatchObject({ sequence: 0, acknowledged: 41 });
    expect(() => decodeFrame([encodeHeader(message)])).toThrow(/carries a message/);
    expect(() => decodeFrame([bytes, Buffer.from("x")])).toThrow(/carries a message/);
  });

  it("are refused when they are none", () => {
    const fixed = new Array(12).fill(0);
    for (const bytes of [[], [1], [255, 255, 255, 255, ...fixed], [9, 0, 0, 0, ...fixed, 1, 2]]) {
      expect(() => decodeFrame([Buffer.from(bytes)])).toThrow();
    }
    const junk = fc.uint8Array({ maxLength: 64 });
    fc.assert(
      fc.property(junk, (bytes) => {
        try {
          decodeFrame([Buffer.from(bytes)]);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });

  it("keep the type of typed arrays in values", () => {
    const value = {
      matrix: Float64Array.from([1.5, Number.NaN, -0]),
      index: Int32Array.from([-7]),
    };
    const decoded = decodeValue(encodeValue(value)) as typeof value;
    expect(decoded.matrix).toBeInstanceOf(Float64Array);
    expect(decoded.index).toBeInstanceOf(Int32Array);
    expect(Object.is(decoded.matrix[2], -0)).toBe(true);
    expect([...decoded.matrix]).toEqual([...value.matrix]);
  });
});
