import { describe, expect, it } from "vitest";
import { affineOf, fieldsFromAffine } from "./affine.ts";
import { dataBytesOf, geometryOf, parseHeader, readGeometryFields } from "./header.ts";
import { encodeHeader } from "./headerWriter.ts";
import { niftiBytes } from "./testing.ts";

const subject = 'The dwi file "x.nii"';

describe("parseHeader", () => {
  for (const version of [1, 2] as const) {
    for (const littleEndian of [true, false]) {
      it(`reads NIfTI-${version}, ${littleEndian ? "little" : "big"} endian`, () => {
        const bytes = niftiBytes({
          shape: [3, 4, 5, 6],
          dtype: "int16",
          version,
          littleEndian,
          slope: 0.5,
          intercept: -2,
          extensionBytes: 32,
          units: 10,
        });
        const header = parseHeader(bytes, subject);
        expect(header).toMatchObject({
          niftiVersion: version,
          littleEndian,
          shape: [3, 4, 5, 6],
          slope: 0.5,
          intercept: -2,
          voxOffset: version === 1 ? 384 : 576,
          spaceUnit: 2,
        });
        expect(header.datatype.dtype).toBe("int16");
        expect(dataBytesOf(header)).toBe(720);
        const geometry = geometryOf(header);
        expect([...geometry.affine]).toEqual([2, 0, 0, -9, 0, 2, 0, -8, 0, 0, 2, -7, 0, 0, 0, 1]);
        expect(geometry.voxelSize).toEqual([2, 2, 2]);
        expect(Buffer.from(geometry.header)).toEqual(bytes.subarray(0, version === 1 ? 348 : 540));
      });
    }
  }

  it("treats a slope of 0 or NaN as no scaling", () => {
    for (const slope of [0, Number.NaN]) {
      const header = parseHeader(niftiBytes({ shape: [1, 1, 1], slope, intercept: 7 }), subject);
      expect([header.slope, header.intercept]).toEqual([1, 0]);
    }
  });

  const damaged = (change: (bytes: Buffer) => void) => {
    const bytes = niftiBytes({ shape: [2, 2, 2, 2] });
    change(bytes);
    return () => parseHeader(bytes, subject);
  };

  it("refuses what it cannot read, in one sentence", () => {
    expect(damaged((b) => b.write("n+3\0", 344))).toThrow(/not a NIfTI file \(wrong magic/);
    expect(damaged((b) => b.write("ni1\0", 344))).toThrow(/\.hdr\/\.img pair; convert/);
    expect(damaged((b) => b.writeInt32LE(349, 0))).toThrow(/not a NIfTI file; convert/);
    expect(damaged((b) => b.writeInt16LE(32, 70))).toThrow(/complex values \(complex64\)/);
    expect(damaged((b) => b.writeInt16LE(128, 70))).toThrow(/RGB colours/);
    expect(damaged((b) => b.writeInt16LE(1536, 70))).toThrow(/128-bit floats/);
    expect(damaged((b) => b.writeInt16LE(77, 70))).toThrow(/unknown data type 77/);
    expect(damaged((b) => b.writeInt16LE(-2, 44))).toThrow(/dimensions 2 x -2 x 2 x 2/);
    expect(damaged((b) => b.writeInt16LE(9, 40))).toThrow(/is damaged: its header gives/);
    expect(damaged((b) => b.writeFloatLE(12, 108))).toThrow(/values begin at byte 12/);
    expect(damaged((b) => b.writeFloatLE(Number.NaN, 108))).toThrow(/begin at byte NaN/);
    expect(() => parseHeader(new Uint8Array(0), subject)).toThrow(`${subject} is empty.`);
    const short = niftiBytes({ shape: [2, 2, 2] }).subarray(0, 200);
    expect(() => parseHeader(short, subject)).toThrow(/cut short: it has 200 bytes/);
    const second = niftiBytes({ shape: [2, 2, 2], version: 2 });
    second[8] = 0x20;
    expect(() => parseHeader(second, subject)).toThrow(/wrong magic/);
  });
});

describe("affines", () => {
  it("come from the sform, else the qform, else the voxel size", () => {
    const base = { shape: [2, 2, 2], pixdim: [-1, 2, 3, 4, 0, 0, 0, 0] };
    const affine = (image: object) =>
      geometryOf(parseHeader(niftiBytes({ ...base, ...image }), subject)).affine;
    const turned = { qform: [0, 0, 1, 5, 6, 7], qformCode: 4 };
    expect([...affine({ sformCode: 0, ...turned })].map((x) => x + 0)).toEqual([
      -2, 0, 0, 5, 0, -3, 0, 6, 0, 0, -4, 7, 0, 0, 0, 1,
    ]);
    // Any sform wins, however high the code of the qform.
    expect(affine({ sformCode: 1, ...turned })[3]).toBe(-9);
    expect([...affine({ sformCode: 0, qformCode: 0 })]).toEqual([
      2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 1,
    ]);
    // A half turn that rounding made longer than 1 is a rotation all the same.
    const long = affine({ sformCode: 0, qformCode: 1, qform: [0.8, 0.6000001, 0, 0, 0, 0] });
    expect(long.every(Number.isFinite)).toBe(true);
    expect(Math.hypot(long[0], long[4], long[8])).toBeCloseTo(2, 6);
  });

  it("go to a qform and back, for every largest component of the quaternion", () => {
    for (const angle of [0.3, 2, 3.1, -2.9]) {
      for (const axis of [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [0.6, 0, 0.8],
      ]) {
        for (const flip of [1, -1]) {
          const [x, y, z] = axis;
          const [c, s] = [Math.cos(angle), Math.sin(angle)];
          const rotation = [
            [c + x * x * (1 - c), x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
            [y * x * (1 - c) + z * s, c + y * y * (1 - c), y * z * (1 - c) - x * s],
            [z * x * (1 - c) - y * s, z * y * (1 - c) + x * s, c + z * z * (1 - c)],
          ];
          const affine = rotation.flatMap((row, i) => [
            row[0] * 2,
            row[1] * 1.5,
            row[2] * 3 * flip,
            i - 9,
          ]);
          const fields = fieldsFromAffine([...affine, 0, 0, 0, 1]);
          expect(fields.qformCode).toBe(1);
          const back = affineOf({ ...fields, sformCode: 0 });
          affine.forEach((value, i) => {
            expect(back[i]).toBeCloseTo(value, 9);
          });
        }
      }
    }
    expect(fieldsFromAffine([2, 1, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]).qformCode).toBe(0);
  });
});

describe("encodeHeader", () => {
  const odd = {
    pixdim: [-1, 1.1, 2.2, 3.3, 5.5, 0, 0, 9],
    qform: [0.1, 0.2, 0.3, -4.4, 5.5, 6.6],
    srow: [1.1, 0.1, 0.2, 3, 0.3, 2.2, 0.4, 5, 0.5, 0.6, 3.3, 7],
    qformCode: 2,
    sformCode: 4,
    units: 11,
  };
  const image = (bytes: Buffer, shape: number[] = [2, 2, 2, 3]) => {
    const geometry = geometryOf(parseHeader(bytes, subject));
    return encodeHeader({ shape, dtype: "float32", geometry, description: "Fascicle 1" });
  };

  it("takes the geometry over to the bit, whatever the byte order of the input", () => {
    const little = niftiBytes({ shape: [2, 2, 2, 3], ...odd });
    const big = niftiBytes({ shape: [2, 2, 2, 3], ...odd, littleEndian: false });
    for (const written of [image(little), image(big)]) {
      expect(written.length).toBe(352);
      for (const [start, end] of [
        [76, 108],
        [123, 124],
        [252, 328],
      ]) {
        expect(Buffer.from(written.subarray(start, end))).toEqual(little.subarray(start, end));
      }
      expect(Buffer.from(written.subarray(148, 228)).toString("latin1")).toBe(
        "Fascicle 1".padEnd(80, "\0"),
      );
      expect(written.subarray(124, 148).every((byte) => byte === 0)).toBe(true);
    }
  });

  it("writes NIfTI-1 from NIfTI-2 where float32 is exact, else NIfTI-2", () => {
    const exact = { srow: [2, 0, 0, 0.5, 0, 2, 0, 0, 0, 0, 2, 0], units: 10 };
    const version1 = niftiBytes({ shape: [2, 2, 2, 3], ...exact });
    const fitting = image(
      niftiBytes({ shape: [2, 2, 2, 3], ...exact, version: 2, littleEndian: false }),
    );
    for (const [start, end] of [
      [76, 108],
      [123, 124],
      [252, 328],
    ]) {
      expect(Buffer.from(fitting.subarray(start, end))).toEqual(version1.subarray(start, end));
    }
    const fine = niftiBytes({ shape: [2, 2, 2, 3], ...odd, version: 2 });
    const kept = image(fine);
    expect(kept.length).toBe(544);
    for (const [start, end] of [
      [104, 168],
      [344, 496],
      [500, 504],
    ]) {
      expect(Buffer.from(kept.subarray(start, end))).toEqual(fine.subarray(start, end));
    }
  });

  it("writes NIfTI-2 for a dimension beyond 32767", () => {
    const source = niftiBytes({ shape: [2, 2, 2, 3], ...odd });
    const written = image(source, [40000, 2, 2]);
    const header = parseHeader(written, subject);
    expect([header.niftiVersion, header.shape]).toEqual([2, [40000, 2, 2]]);
    const fields = readGeometryFields(source, 1, true);
    expect(header.fields).toEqual(fields);
  });
});
