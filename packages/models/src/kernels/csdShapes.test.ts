import { afterEach, describe, expect, it, vi } from "vitest";
import { randomNumbers } from "../csd/testing.ts";
import { type OutputView, VoxelStatus } from "../model.ts";
import { createCsdKernel, kernelOf } from "./csd.ts";
import { type CsdDesign, createCsdDesign } from "./csdDesign.ts";
import type { CsdPrecision } from "./csdFunctions.ts";
import { createCsdMemory } from "./csdMemory.ts";
import type { CsdParameters } from "./csdParameters.ts";
import { type KernelEngine, usualEngine } from "./kernelMemory.ts";
import { coefficientCount } from "./sphericalHarmonics.ts";

const random = randomNumbers(17);
const between = (least: number, most: number) => least + Math.floor(random() * (most + 1 - least));
const directionsOf = (count: number) =>
  Float64Array.from({ length: 3 * count }, () => random() - 0.5);

interface Shape {
  readonly precision: CsdPrecision;
  readonly shOrder: number;
  readonly volumes: number;
  readonly vertices: number;
  readonly voxels: number;
}

function randomParameters({ precision, shOrder, volumes, vertices }: Shape): CsdParameters {
  const width = volumes + between(0, 3);
  const skipped = between(0, width - volumes);
  return {
    ...{ precision, width, shOrder, slope: 1.5, intercept: -0.25, shBasis: "descoteaux07" },
    volumes: Int32Array.from({ length: volumes }, (_, i) => skipped + i),
    directions: directionsOf(volumes),
    responseHarmonics: Float64Array.from({ length: shOrder / 2 + 1 }, (_, l) => (-0.3) ** l),
    ...{ lambda: 1, tau: 0.1, iterations: 4, regularisation: directionsOf(vertices) },
  };
}

/** Signals of many sizes; the third voxel has a NaN, the fourth is 0, the fifth as large as can be. */
function randomSignals({ width }: CsdParameters, voxels: number): Float64Array {
  const signals = new Float64Array(width * voxels);
  for (let v = 0; v < voxels; v++) {
    const scale = 2 ** between(-8, 8);
    const row = signals.subarray(v * width, (v + 1) * width);
    row.forEach((_, i) => {
      row[i] = scale * (random() + 0.1);
    });
    if (v === 2) row[between(0, width - 1)] = Number.NaN;
    if (v === 3) row.fill(0.25 / 1.5);
    if (v === 4) row.fill(1.1e308);
  }
  return signals;
}

function outputsFor(shOrder: number, voxels: number): OutputView[] {
  const views = [
    new Float64Array(voxels * coefficientCount(shOrder)),
    ...[new Float64Array(voxels), new Uint16Array(voxels), new Uint8Array(voxels)],
  ];
  for (const view of views) view.fill(77);
  return views;
}

const bytesOf = (view: OutputView) =>
  Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString("hex");

function fitBytes(parameters: CsdParameters, signals: Float64Array, voxels: number): string[] {
  const views = outputsFor(parameters.shOrder, voxels);
  createCsdKernel(parameters).fit(signals, 0, voxels, views, 0);
  return views.map(bytesOf);
}

/** Shapes at the edges, and some from between. */
const sizes = [
  { shOrder: 0, volumes: 1, vertices: 1, voxels: 1 },
  { shOrder: 2, volumes: 1, vertices: 400, voxels: 9 },
  { shOrder: 2, volumes: 600, vertices: 2, voxels: 5 },
  { shOrder: 16, volumes: 600, vertices: 400, voxels: 2 },
  { shOrder: 16, volumes: 1, vertices: 1, voxels: 3 },
  ...[4, 6, 8, 10, 12, 14].map((shOrder) => ({
    shOrder,
    volumes: between(1, shOrder > 8 ? 90 : 300),
    vertices: between(1, shOrder > 8 ? 150 : 400),
    voxels: between(3, shOrder > 8 ? 5 : 9),
  })),
];
/** In float32 to the order that the model allows. */
const shapes: Shape[] = [
  ...sizes.map((size) => ({ precision: "float64" as const, ...size })),
  ...sizes
    .filter(({ shOrder }) => shOrder <= 8)
    .map((size) => ({ precision: "float32" as const, ...size })),
];

const title = "$precision, order $shOrder, $volumes volumes, $vertices directions, $voxels voxels";

describe("csd in plain TypeScript", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it.each(shapes)(`has the bytes of the WebAssembly: ${title}`, (shape) => {
    const parameters = randomParameters(shape);
    const signals = randomSignals(parameters, shape.voxels);
    const fast = fitBytes(parameters, signals, shape.voxels);
    expect(usualEngine()).toBe("webassembly");
    vi.stubGlobal("WebAssembly", undefined);
    expect(usualEngine()).toBe("plain");
    expect(fitBytes(parameters, signals, shape.voxels)).toEqual(fast);
  });

  it.each(shapes)(`gives a voxel's bytes whatever is fitted beside it: ${title}`, (shape) => {
    const parameters = randomParameters(shape);
    const signals = randomSignals(parameters, shape.voxels);
    const whole = outputsFor(shape.shOrder, shape.voxels);
    createCsdKernel(parameters).fit(signals, 0, shape.voxels, whole, 0);
    const alone = outputsFor(shape.shOrder, shape.voxels);
    const kernel = createCsdKernel(parameters);
    for (let v = shape.voxels - 1; v >= 0; v--) kernel.fit(signals, v, 1, alone, v);
    expect(alone.map(bytesOf)).toEqual(whole.map(bytesOf));
  });

  it("is an error where WebAssembly is asked for and there is none", () => {
    vi.stubGlobal("WebAssembly", undefined);
    expect(() => createCsdMemory({ x: { y: 4 } }, "webassembly")).toThrow(TypeError);
  });
});

/** Everything of the memory that belongs to no array. */
function gapsOf({ arrays, float64, float32 }: CsdDesign): Float64Array[] {
  const groups: Readonly<Record<string, Float64Array>>[] = [
    ...[arrays, float64.arrays, float32?.arrays ?? {}],
  ];
  const all = groups
    .flatMap((group) => Object.values(group))
    .sort((a, b) => a.byteOffset - b.byteOffset);
  const ends = [...all.slice(1).map((next) => next.byteOffset), all[0].buffer.byteLength];
  return all.map(({ buffer, byteOffset, byteLength }, i) => {
    const start = byteOffset + byteLength;
    return new Float64Array(buffer, start, (ends[i] - start) / 8);
  });
}

describe.each(["webassembly", "plain"] as const)("csd in %s keeps to its rows", (engine) => {
  it.each(shapes)(title, (shape) => {
    const { shOrder, voxels } = shape;
    const parameters = randomParameters(shape);
    const signals = randomSignals(parameters, voxels);
    const expected = fitBytes(parameters, signals, voxels);
    const design = createCsdDesign(parameters, engine as KernelEngine);
    const gaps = gapsOf(design);
    expect(gaps.every((gap) => gap.length >= 8)).toBe(true);
    // A number from outside would spoil all that it touches.
    for (const gap of gaps) gap.fill(Number.NaN);
    const before = gaps.map(bytesOf);
    // One row before the voxels and two behind them, in signals and results alike.
    const wide = new Float64Array(signals.length + 3 * parameters.width).fill(Number.NaN);
    wide.set(signals, parameters.width);
    const views = outputsFor(shOrder, voxels + 3);
    kernelOf(parameters, design).fit(wide, 1, voxels, views, 1);
    expect(gaps.map(bytesOf)).toEqual(before);
    const widths = [coefficientCount(shOrder), 1, 1, 1];
    const inner = views.map((view, i) => view.slice(widths[i], widths[i] * (voxels + 1)));
    expect(inner.map(bytesOf)).toEqual(expected);
    views.forEach((view, i) => {
      const outside = [...view.slice(0, widths[i]), ...view.slice(widths[i] * (voxels + 1))];
      expect(outside).toEqual(outside.map(() => 77));
    });
  });
});

describe.each(["webassembly", "plain"] as const)("csd in %s", (engine) => {
  it.each(["float64", "float32"] as const)(
    "has its lanes apart from a bad one: %s",
    (precision) => {
      const shape = { precision, shOrder: 8, volumes: 64, vertices: 181, voxels: 2 };
      const design = createCsdDesign(randomParameters(shape), engine);
      const { allMoments, sums, places } = design.arrays;
      const stage = design[precision] ?? design.float64;
      const { normal, woven, z, factor, inverse, x } = stage.arrays;
      const pitch = allMoments.byteLength;
      const solve = () => {
        const all = Array.from(
          { length: stage.lanes },
          (_, lane) => sums.byteOffset + lane * pitch,
        );
        stage.weave(all, design.momentLength);
        const matrix = [normal.byteOffset, places.byteOffset, woven.byteOffset] as const;
        const out = [factor.byteOffset, inverse.byteOffset, x.byteOffset] as const;
        const good = stage.factorize(...matrix, design.tiles, z.byteOffset, ...out);
        stage.solve(out[0], out[1], design.tiles, out[2]);
        const others = Array.from(stage.x).filter((_, i) => i % stage.lanes > 0);
        return { good, others };
      };
      for (let lane = 0; lane < stage.lanes; lane++) sums.set(allMoments, lane * allMoments.length);
      stage.z.forEach((_, i) => {
        stage.z[i] = random() - 0.5;
      });
      const all = solve();
      expect(all.good).toBe(2 ** stage.lanes - 1);
      for (const bad of [-1e6, Number.NaN, Number.NEGATIVE_INFINITY]) {
        sums.fill(bad, 0, design.momentCount);
        expect(solve()).toEqual({ good: all.good - 1, others: all.others });
      }
    },
  );
});

it("the shapes' voxels end in all ways that there are", () => {
  const seen = new Set<number>();
  for (const shape of shapes) {
    const parameters = randomParameters(shape);
    const views = outputsFor(shape.shOrder, shape.voxels);
    const signals = randomSignals(parameters, shape.voxels);
    createCsdKernel(parameters).fit(signals, 0, shape.voxels, views, 0);
    for (const status of views[3]) seen.add(status);
  }
  const { fitted, notConverged, notFinite, noSignal } = VoxelStatus;
  expect([...seen].sort()).toEqual([fitted, notConverged, notFinite, noSignal]);
});
