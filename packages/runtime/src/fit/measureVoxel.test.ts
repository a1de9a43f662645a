import type { ChunkedModel } from "@fascicle/core";
import { expect, it } from "vitest";
import { measureVoxel } from "./measureVoxel.ts";

/** A kernel of the caller's own that sleeps in every voxel and counts its calls. */
const module = (ms: number) => `data:text/javascript,
  globalThis.calls = 0;
  export const createKernel = () => ({ fit() {
    globalThis.calls++;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${ms});
  } });`;

const modelOf = (ms: number): ChunkedModel => ({
  name: "sleep",
  signals: {
    ...{ voxelCount: 5000, width: 1, dtype: "float32", voxelsPerSlab: 5000 },
    slabs: [new SharedArrayBuffer(20_000)],
  },
  outputs: [{ name: "status", width: 1, dtype: "uint8", units: "1" }],
  kernel: { module: module(ms), name: "sleep", hash: "0", parameters: {} },
});

it("tries a slow voxel out once, since nobody can stop the fit meanwhile", async () => {
  expect(await measureVoxel(modelOf(300))).toBeGreaterThan(0.25);
  expect(Reflect.get(globalThis, "calls")).toBe(1);
});

it("tries several out where they are quick", async () => {
  await measureVoxel(modelOf(1));
  expect(Reflect.get(globalThis, "calls")).toBeGreaterThan(4);
});
