import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { slicePixels, windowOf } from "./colours.ts";
import { fodColour, fodPeaks, lineAngleDegrees } from "./fibres.ts";
import { gridFromBvec, gridFromPatient, patientFromGrid, scannerFromGrid } from "./frames.ts";
import { drawGlyphs } from "./glyphs.ts";
import { type Grid, planeAt, planesThroughMask } from "./planes.ts";
import { encodePng } from "./png.ts";
import { summariseSlices } from "./slices.ts";
import { sphereMesh } from "./sphere.ts";

/** Stored x to the left, as scanners do. */
const radiological: Grid = {
  shape: [4, 5, 3],
  voxelSize: [2, 2, 2],
  affine: Float64Array.of(-2, 0, 0, 3, 0, 2, 0, -4, 0, 0, 2, -2, 0, 0, 0, 1),
};
/** The same head, stored z first, then x to the right, then y backwards. */
const shuffled: Grid = {
  shape: [3, 4, 5],
  voxelSize: [2, 2, 2],
  affine: Float64Array.of(0, 2, 0, -3, 0, 0, -2, 4, 2, 0, 0, -2, 0, 0, 0, 1),
};

/** The value of a made-up field at a place in scanner millimetres, different everywhere. */
const field = (x: number, y: number, z: number) => x + 10 * y + 100 * z;

function sample(grid: Grid): { voxels: Uint32Array; data: Float64Array } {
  const [nx, ny, nz] = grid.shape;
  const voxels = Uint32Array.from({ length: nx * ny * nz }, (_, at) => at);
  const data = Float64Array.from(voxels, (at) => {
    const index = [at % nx, Math.floor(at / nx) % ny, Math.floor(at / (nx * ny)), 1];
    const [x, y, z] = [0, 1, 2].map((row) =>
      index.reduce((sum, value, axis) => sum + grid.affine[4 * row + axis] * value, 0),
    );
    return field(x, y, z);
  });
  return { voxels, data };
}

describe("planes", () => {
  it("show the same head alike however it is stored", () => {
    const pictures = [radiological, shuffled].map((grid) => {
      const { voxels, data } = sample(grid);
      return summariseSlices({ ...grid, voxels }, data).map(({ plane, values }) => ({
        name: plane.name,
        size: [plane.width, plane.height],
        positionMm: plane.positionMm,
        values: [...values],
      }));
    });
    const [one, other] = pictures;
    expect(one.slice(0, 2)).toEqual(other.slice(0, 2));
    expect(one.map(({ size }) => size)).toEqual([
      [4, 5],
      [4, 3],
      [5, 3],
    ]);
  });

  it("have the patient's right on the left, front and head on top", () => {
    const { voxels, data } = sample(radiological);
    const [axial, coronal, sagittal] = summariseSlices({ ...radiological, voxels }, data);
    // Scanner x = 3 is the rightmost voxel, y = 4 the foremost, z = 2 the topmost.
    expect(axial.values[0]).toBe(field(3, 4, 0));
    expect(axial.values.at(-1)).toBe(field(-3, -4, 0));
    expect(coronal.values[0]).toBe(field(3, 0, 2));
    expect(sagittal.values[0]).toBe(field(sagittal.plane.positionMm, 4, 2));
    expect(axial.plane.labels).toEqual({ left: "R", right: "L", top: "A", bottom: "P" });
    expect(sagittal.plane.labels.left).toBe("A");
  });

  it("leave what is outside of the mask empty", () => {
    const { voxels, data } = sample(radiological);
    const inside = voxels.filter((at) => at % 4 > 0);
    const planes = planesThroughMask(radiological, voxels);
    const [axial] = summariseSlices({ ...radiological, voxels: inside }, data, { planes });
    expect([...axial.values].filter(Number.isNaN)).toHaveLength(5);
    const { rgba } = slicePixels(axial, [0, 10], "grey");
    expect([rgba[3], rgba[7]]).toEqual([0, 255]);
  });

  it("turn directions with the picture", () => {
    const coronal = planeAt(radiological, "coronal", 2);
    const toPatient = patientFromGrid(radiological.affine);
    // Along the file's x, that is to the patient's left and so to the right of the picture.
    expect(coronal.toView(toPatient([1, 0, 0])).map((v) => v + 0)).toEqual([1, 0, 0]);
    expect(coronal.toView(toPatient([0, 0, 1])).map((v) => v + 0)).toEqual([0, 1, 0]);
  });
});

describe("frames", () => {
  it("lead back to where they came from, and mirror bvecs of right-handed files alone", () => {
    for (const { affine } of [radiological, shuffled]) {
      const there = patientFromGrid(affine)([0.6, 0, 0.8]);
      expect(gridFromPatient(affine)(there)).toEqual([0.6, 0, 0.8]);
    }
    const rightHanded = Float64Array.of(2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1);
    expect(gridFromBvec(rightHanded)([1, 0, 0])[0]).toBe(-1);
    expect(gridFromBvec(radiological.affine)([1, 0, 0])[0]).toBe(1);
    expect(scannerFromGrid(radiological.affine)([1, 0, 0])[0]).toBe(-1);
  });
});

describe("encodePng", () => {
  it("holds the pixels, readable by the rules of the format", () => {
    const rgba = Uint8Array.from({ length: 4 * 3 * 2 }, (_, i) => (37 * i) % 256);
    const bytes = Buffer.from(encodePng({ width: 3, height: 2, rgba }));
    expect(bytes.subarray(1, 4).toString("latin1")).toBe("PNG");
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([3, 2]);
    const length = bytes.readUInt32BE(33);
    expect(bytes.subarray(37, 41).toString("latin1")).toBe("IDAT");
    const rows = inflateSync(bytes.subarray(41, 41 + length));
    expect([...rows.subarray(1, 13), ...rows.subarray(14, 26)]).toEqual([...rgba]);
    expect(() => encodePng({ width: 3, height: 3, rgba })).toThrow(RangeError);
  });
});

describe("windows", () => {
  it("take in nearly all values, between round numbers", () => {
    const { voxels, data } = sample(radiological);
    const slices = summariseSlices({ ...radiological, voxels }, data.map(Math.abs));
    expect(windowOf(slices)).toEqual([0, 250]);
    expect(windowOf([])).toEqual([0, 1]);
  });
});

describe("FODs", () => {
  const mesh = sphereMesh(3);
  const lobe = (axis: readonly number[], weight: number) => (x: number, y: number, z: number) =>
    weight * Math.abs(x * axis[0] + y * axis[1] + z * axis[2]) ** 24;
  const fod = (...lobes: ReturnType<typeof lobe>[]) =>
    Float64Array.from({ length: mesh.vertices.length / 3 }, (_, i) =>
      lobes.reduce(
        (sum, f) =>
          sum + f(...(mesh.vertices.slice(3 * i, 3 * i + 3) as never as [number, number, number])),
        0,
      ),
    );
  const oblique = [0.48, 0.6, 0.64];
  const across = [0.8, 0, -0.6];

  it("are sampled on an even sphere", () => {
    expect(mesh.vertices.length / 3).toBe(642);
    expect(mesh.triangles.length / 3).toBe(1280);
    expect(mesh.neighbours.filter((around) => around.length === 5)).toHaveLength(12);
    expect(mesh.neighbours.filter((around) => around.length === 6)).toHaveLength(630);
  });

  it("have their peaks found to a degree or two, largest first", () => {
    const peaks = fodPeaks(fod(lobe(oblique, 1), lobe(across, 0.6)), mesh);
    expect(peaks).toHaveLength(2);
    expect(lineAngleDegrees(peaks[0].direction, oblique)).toBeLessThan(2);
    expect(lineAngleDegrees(peaks[1].direction, across)).toBeLessThan(2);
    expect(fodPeaks(fod(lobe(oblique, 1), lobe(across, 0.2)), mesh)).toHaveLength(1);
    expect(fodPeaks(fod(), mesh)).toEqual([]);
  });

  it("are coloured by direction, brighter the more fibre there is", () => {
    const [red, green, blue] = fodColour(fod(lobe([0, 1, 0], 1)), mesh);
    expect(green).toBeGreaterThan(2 * Math.max(red, blue));
    expect(fodColour(fod(lobe([0, 1, 0], 2)), mesh)[1]).toBeCloseTo(2 * green, 9);
    expect(fodColour(fod(), mesh)).toEqual([0, 0, 0]);
  });

  it("are drawn where they point and in its colour", () => {
    const { rgba, width } = drawGlyphs(
      {
        columns: 2,
        rows: 1,
        mesh,
        glyphs: [{ column: 0, row: 0, amplitudes: fod(lobe([1, 0, 0], 1)) }],
        fullAmplitude: 1,
        background: Float64Array.of(0, Number.NaN),
        toView: ([x, y, z]) => [x, y, z],
      },
      32,
    );
    const at = (x: number, y: number) => rgba.slice(4 * (y * width + x), 4 * (y * width + x) + 3);
    const [red, green] = at(8, 16);
    expect(red).toBeGreaterThan(80);
    expect(red).toBeGreaterThan(2 * green);
    // Nothing above and below the lobe, and nothing in the cell beside it.
    expect(new Set(at(16, 4)).size).toBe(1);
    expect(new Set(at(52, 16)).size).toBe(1);
  });
});
