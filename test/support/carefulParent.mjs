// A fit whose careful process never ends; to be killed from outside.
import { fitChunked } from "@fascicle/runtime";

const slab = new SharedArrayBuffer(4 * 4);
new Float32Array(slab).fill(-1);
await fitChunked(
  {
    name: "endless",
    signals: { voxelCount: 4, width: 1, dtype: "float32", voxelsPerSlab: 4, slabs: [slab] },
    outputs: [
      { name: "sum", width: 1, dtype: "float64", units: "1" },
      { name: "pair", width: 2, dtype: "float64", units: "1" },
      { name: "status", width: 1, dtype: "uint8", units: "1" },
    ],
    kernel: {
      module: new URL("./kernels.mjs", import.meta.url).href,
      name: "loopsWhenAlone",
      hash: "test",
      parameters: { width: 1, work: 0 },
    },
  },
  1,
);
