// Kernels for tests of the engines: simple sums, and kernels that misbehave on purpose.
import { existsSync, writeFileSync } from "node:fs";

export const kernelHash = () => "test";

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
    out[2][row] = 0;
  };
}

export function createKernel(name, parameters) {
  if (name === "diesAtStart") process.exit(9);
  const fitVoxel = sums(parameters);
  const { poison, flag } = parameters;
  return {
    fit(signals, first, count, out, outFirst) {
      for (let i = 0; i < count; i++) {
        const row = outFirst + i;
        if (row === poison && name === "throws") throw new Error("this voxel cannot be fitted");
        if (row === poison && name === "diesAlways") process.exit(9);
        if (row === poison && name === "diesOnce" && !existsSync(flag)) {
          writeFileSync(flag, "");
          process.exit(9);
        }
        fitVoxel(signals, first + i, out, row);
      }
    },
  };
}
