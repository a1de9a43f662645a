// Fits one after the other in one process, each of a model of its own; prints the resident bytes after each, as JSON.
//   node manyFits.mjs memory|disk FITS VOXELS [SPILL_DIRECTORY]
import { readFileSync } from "node:fs";
import { endLocalThreads, fitChunked, Scratch } from "@fascicle/runtime";

const [, , place, fits, voxels, spillDir] = process.argv;
const module = new URL("./kernels.mjs", import.meta.url).href;
const width = 5;
const voxelCount = Number(voxels);
const rowBytes = 4 * width;

const signalOf = (at) => (at * 7919) % 1009;

function fill(samples, first) {
  for (let i = 0; i < samples.length; i++) samples[i] = signalOf(first * width + i);
}

/** As after `openDwi`: in shared memory, or in a file from which blocks are read. */
async function signalsIn(scratch) {
  const shape = { voxelCount, width, dtype: "float32", voxelsPerSlab: voxelCount };
  if (scratch === undefined) {
    const slab = new SharedArrayBuffer(voxelCount * rowBytes);
    fill(new Float32Array(slab), 0);
    return { ...shape, slabs: [slab] };
  }
  const source = {
    read: async (start, end, into) => {
      fill(new Float32Array(into.buffer, into.byteOffset, (end - start) * width), start);
    },
  };
  return { ...shape, slabs: [], source };
}

const outputs = [
  { name: "sum", width: 1, dtype: "float64", units: "1" },
  { name: "pair", width: 2, dtype: "float64", units: "1" },
  { name: "status", width: 1, dtype: "uint8", units: "1" },
];

async function fitOnce() {
  const scratch = place === "disk" ? new Scratch({ spillDir }) : undefined;
  const parameters = { width, work: 1, flag: "" };
  const kernel = { module, name: "sums", hash: "test", parameters };
  const model = { name: "sums", signals: await signalsIn(scratch), outputs, kernel };
  const objectMemoryBytes = scratch && (voxelCount * (rowBytes + 25)) / 10;
  const fit = await fitChunked(model, 200, { scratch, objectMemoryBytes });
  await fit.release();
  await scratch?.remove();
}

const resident = [];
for (let n = 0; n < Number(fits); n++) {
  await fitOnce();
  const status = readFileSync("/proc/self/status", "utf8");
  resident.push(Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) * 1024);
}
await endLocalThreads();
console.log(JSON.stringify(resident));
