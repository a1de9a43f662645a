// Kernels for tests of the engines: simple sums, and kernels that misbehave on purpose.
import { existsSync, writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

export const kernelHash = () => "test";

/** Counts this thread in the first word, and waits there until it is the number in the second, if there is one. */
function meet(entered) {
  Atomics.add(entered, 0, 1);
  Atomics.notify(entered, 0);
  for (let count = 0; count < entered[1]; count = Atomics.load(entered, 0)) {
    Atomics.wait(entered, 0, count);
  }
}

/** What a kernel does at a voxel whose first sample is negative. */
const misdeeds = {
  throws() {
    throw new Error("this voxel cannot be fitted");
  },
  exits() {
    process.exit(9);
  },
  /** Ends a process of its own; in a thread, where that cannot be, it ends the thread. */
  aborts() {
    if (isMainThread) process.abort();
    process.exit(9);
  },
  diesOnce({ flag }) {
    if (existsSync(flag)) return;
    writeFileSync(flag, "");
    process.exit(9);
  },
  loops({ entered }) {
    if (entered) meet(entered);
    for (;;);
  },
  /** Throws in a thread and loops in a process of its own. */
  loopsWhenAlone() {
    if (isMainThread) misdeeds.loops({});
    misdeeds.throws();
  },
  allocates() {
    const kept = [];
    for (;;) kept.push(new Array(100_000).fill(kept.length));
  },
};

/** Sum of the samples of each voxel, and its negative, after `work` rounds of square roots. */
function sums({ width, work }) {
  return (signals, voxel, out, row) => {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += signals[voxel * width + k];
    let busy = sum;
    for (let k = 0; k < work; k++) busy = Math.sqrt(busy * busy + 1);
    out[0][row] = sum;
    out[1][row * 2] = busy;
    out[1][row * 2 + 1] = -busy;
    if (out.length > 2) out[2][row] = 0;
  };
}

export function createKernel(name, parameters) {
  if (name === "diesAtStart") process.exit(9);
  if (name === "loopsAtStart") misdeeds.loops(parameters);
  const fitVoxel = sums(parameters);
  const { width } = parameters;
  return {
    fit(signals, first, count, out, outFirst) {
      for (let i = 0; i < count; i++) {
        const voxel = first + i;
        if (signals[voxel * width] < 0) misdeeds[name]?.(parameters);
        fitVoxel(signals, voxel, out, outFirst + i);
      }
    },
  };
}
