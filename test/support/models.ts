import { type ChunkedModel, fitChunked } from "@fascicle/runtime";
import { hashOfMaps } from "./bytes.ts";

const module = new URL("./kernels.mjs", import.meta.url).href;

export interface TestModelOptions {
  readonly voxels: number;
  readonly kernel?:
    | "sums"
    | "throws"
    | "exits"
    | "aborts"
    | "diesOnce"
    | "loops"
    | "loopsWhenAlone"
    | "allocates"
    | "diesAtStart"
    | "loopsAtStart";
  readonly work?: number;
  /** The voxels at which a bad kernel misbehaves: their first sample is negative. */
  readonly poison?: readonly number[];
  readonly flag?: string;
  readonly voxelsPerSlab?: number;
  /** Shared memory in which kernels that loop count themselves, and the count that they wait for. */
  readonly entered?: Int32Array;
}

/** A model over made-up signals whose answers are easily known. */
export function testModel(options: TestModelOptions): ChunkedModel {
  const { voxels, kernel = "sums", work = 10, poison = [], flag = "", entered } = options;
  const width = 5;
  const voxelsPerSlab = options.voxelsPerSlab ?? voxels;
  const slabs: SharedArrayBuffer[] = [];
  for (let first = 0; first < voxels; first += voxelsPerSlab) {
    const count = Math.min(voxelsPerSlab, voxels - first);
    const slab = new SharedArrayBuffer(count * width * 4);
    const samples = new Float32Array(slab);
    for (let i = 0; i < samples.length; i++) samples[i] = ((first * width + i) * 7919) % 1009;
    for (const voxel of poison) {
      if (voxel >= first && voxel < first + count) samples[(voxel - first) * width] = -1;
    }
    slabs.push(slab);
  }
  return {
    name: "sums",
    signals: { voxelCount: voxels, width, dtype: "float32", voxelsPerSlab, slabs },
    outputs: [
      { name: "sum", width: 1, dtype: "float64", units: "1" },
      { name: "pair", width: 2, dtype: "float64", units: "1" },
      { name: "status", width: 1, dtype: "uint8", units: "1" },
    ],
    kernel: { module, name: kernel, hash: "test", parameters: { width, work, flag, entered } },
  };
}

/** Hash of what a fit of the good kernel gives, with zeros and `status` where voxels were given up. */
export async function givenUpBytes(
  model: ChunkedModel,
  givenUp: readonly number[],
  status: number,
) {
  const fit = await fitChunked({ ...model, kernel: { ...model.kernel, name: "sums" } }, 1, {
    engine: "serial",
  });
  for (const voxel of givenUp) {
    for (const { data, shape } of Object.values(fit.maps)) {
      data.fill(0, voxel * shape[1], (voxel + 1) * shape[1]);
    }
    fit.status[voxel] = status;
  }
  return hashOfMaps(fit);
}
