/** Reads the reference cases of the tests (NIfTI-1 without extensions) and makes a `Dwi` of numbers. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Dwi, GradientTable } from "../io/dwi.ts";
import type { DwiModel, FittedMaps, OutputView, VoxelKernel } from "../model.ts";

const REFERENCE = new URL("../../../../test/fixtures/reference/", import.meta.url);

/** An image as voxel-major numbers: `count` voxels (x fastest) of `width` numbers. */
export interface ReferenceImage {
  readonly shape: readonly [number, number, number];
  readonly count: number;
  readonly width: number;
  readonly data: Float64Array;
}

/** `name` is a file of `test/fixtures/reference`, as `case/dwi.nii.gz`. */
export function readReferenceImage(name: string): ReferenceImage {
  const bytes = gunzipSync(readFileSync(new URL(name, REFERENCE)));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = (axis: number) =>
    axis <= view.getInt16(40, true) ? view.getInt16(40 + 2 * axis, true) : 1;
  const shape = [size(1), size(2), size(3)] as const;
  const count = shape[0] * shape[1] * shape[2];
  const width = size(4);
  const offset = view.getFloat32(108, true);
  const read = numberReader(view, view.getInt16(70, true));
  const data = new Float64Array(count * width);
  for (let k = 0; k < width; k++) {
    for (let v = 0; v < count; v++) data[v * width + k] = read(offset, k * count + v);
  }
  return { shape, count, width, data };
}

function numberReader(view: DataView, datatype: number): (offset: number, at: number) => number {
  if (datatype === 4) return (offset, at) => view.getInt16(offset + 2 * at, true);
  if (datatype === 512) return (offset, at) => view.getUint16(offset + 2 * at, true);
  if (datatype === 16) return (offset, at) => view.getFloat32(offset + 4 * at, true);
  if (datatype === 64) return (offset, at) => view.getFloat64(offset + 8 * at, true);
  throw new Error(`The reference cases have no images of datatype ${datatype}.`);
}

/** The gradient table of a case: bvals with one line, bvecs with three. */
export function readReferenceGradients(name: string, b0Threshold = 50): GradientTable {
  const numbers = (file: string) =>
    readFileSync(new URL(`${name}/${file}`, REFERENCE), "utf8")
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number));
  const lines = numbers("dwi.bvec");
  const directions = lines[0].flatMap((_, i) => lines.map((line) => line[i]));
  return gradientTable(numbers("dwi.bval")[0], directions, b0Threshold);
}

export function gradientTable(
  bvals: readonly number[],
  directions: readonly number[],
  b0Threshold = 50,
): GradientTable {
  const isB0 = Uint8Array.from(bvals, (b) => (b <= b0Threshold ? 1 : 0));
  const isZero = bvals.map((_, i) => directions.slice(3 * i, 3 * i + 3).every((x) => x === 0));
  return {
    bvals: Float64Array.from(bvals, (b, i) => (isB0[i] ? 0 : b)),
    bvecs: Float64Array.from(directions, (x, i) => (isB0[Math.floor(i / 3)] ? 0 : x)),
    b0Threshold,
    isB0,
    given: {
      bvals: Float64Array.from(bvals, (b, i) => (isZero[i] ? 0 : b)),
      bvecs: Float64Array.from(directions),
    },
  };
}

/** A `Dwi` whose every voxel is masked, in one row of voxels. */
export function dwiOf(data: ArrayLike<number>, gradients: GradientTable): Dwi {
  const width = gradients.bvals.length;
  const voxelCount = data.length / width;
  const slab = new SharedArrayBuffer(8 * data.length);
  new Float64Array(slab).set(Array.from(data));
  return {
    signals: { voxelCount, width, dtype: "float64", voxelsPerSlab: voxelCount, slabs: [slab] },
    scale: { slope: 1, intercept: 0 },
    gradients,
    geometry: {
      shape: [voxelCount, 1, 1],
      voxelSize: [1, 1, 1],
      affine: Float64Array.from([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]),
      header: new Uint8Array(348),
      littleEndian: true,
      niftiVersion: 1,
    },
    voxels: Uint32Array.from({ length: voxelCount }, (_, v) => v),
    centre: { shape: [voxelCount, 1, 1], signals: Float64Array.from(data) },
    selection: { b0Threshold: gradients.b0Threshold, maxB: null, volumes: width, mask: "file" },
    inputs: [],
    warnings: [],
    close: async () => undefined,
  };
}

/** Fits a model in this thread, with a kernel made of its own parameters. */
export function fitModel<Extras extends object>(
  model: DwiModel<Extras>,
  createKernel: (parameters: never) => VoxelKernel,
): { maps: FittedMaps["maps"]; extras: Extras } {
  const { voxelCount, slabs } = model.signals;
  const views = model.outputs.map(({ width, dtype }): OutputView => {
    if (dtype === "uint8") return new Uint8Array(voxelCount * width);
    if (dtype === "uint16") return new Uint16Array(voxelCount * width);
    return new Float64Array(voxelCount * width);
  });
  const kernel = createKernel(model.kernel.parameters as never);
  kernel.fit(new Float64Array(slabs[0]), 0, voxelCount, views, 0);
  const maps = Object.fromEntries(
    model.outputs.map(({ name, width, units }, i) => [
      name,
      { data: views[i], shape: [voxelCount, width] as const, units },
    ]),
  );
  return { maps, extras: model.extend({ maps }) };
}
