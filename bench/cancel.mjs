// How soon an abort ends a fit whose threads are all in a kernel that ignores everything, beside ending as many bare
// threads in endless loops, which is the floor: rounds interleaved, medians.
//   node bench/cancel.mjs [THREADS] [ROUNDS]          (after npm run build)
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { endLocalThreads, fitChunked } from "@fascicle/runtime";

const threads = Number(process.argv[2] ?? 72);
const rounds = Number(process.argv[3] ?? 7);
const module = new URL("../test/support/kernels.mjs", import.meta.url).href;
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Threads wait for each other, or the first would keep the last from coming. */
function newMeeting() {
  const entered = new Int32Array(new SharedArrayBuffer(8));
  entered[1] = threads;
  return entered;
}

async function allIn(entered) {
  while (Atomics.load(entered, 0) < threads) await sleep(20);
  await sleep(200);
}

/** Milliseconds from the abort until the fit has rejected, which it does when nothing can touch its memory any more. */
async function abortMs() {
  const width = 1;
  const slab = new SharedArrayBuffer(threads * width * 4);
  new Float32Array(slab).fill(-1);
  const entered = newMeeting();
  const model = {
    name: "deaf",
    signals: {
      voxelCount: threads,
      width,
      dtype: "float32",
      voxelsPerSlab: threads,
      slabs: [slab],
    },
    outputs: [{ name: "sum", width: 1, dtype: "float64", units: "1" }],
    kernel: { module, name: "loops", hash: "bench", parameters: { width, work: 0, entered } },
  };
  const controller = new AbortController();
  const fit = fitChunked(model, threads, { workers: threads, signal: controller.signal });
  const ended = fit.catch(() => performance.now());
  await allIn(entered);
  const begunMs = performance.now();
  controller.abort(new Error("enough"));
  return (await ended) - begunMs;
}

async function bareMs() {
  const entered = newMeeting();
  const body = `
    const { workerData: entered } = require("node:worker_threads");
    Atomics.add(entered, 0, 1);
    Atomics.notify(entered, 0);
    for (let count = 0; count < entered[1]; count = Atomics.load(entered, 0)) {
      Atomics.wait(entered, 0, count);
    }
    for (;;);`;
  const workers = Array.from({ length: threads }, () => {
    return new Worker(body, { eval: true, workerData: entered });
  });
  await allIn(entered);
  const begunMs = performance.now();
  await Promise.all(workers.map((worker) => worker.terminate()));
  return performance.now() - begunMs;
}

const aborts = [];
const bare = [];
for (let round = 0; round < rounds; round++) {
  aborts.push(await abortMs());
  bare.push(await bareMs());
}
await endLocalThreads();
const show = (values) =>
  `median ${Math.round(median(values))} ms (${values.map((ms) => Math.round(ms)).join(", ")})`;
console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}`);
console.log(`abort of a fit on ${threads} deaf threads: ${show(aborts)}`);
console.log(`end of ${threads} bare threads that loop:     ${show(bare)}`);
