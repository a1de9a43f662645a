/** Fits a case's voxels as often as each line of stdin says, on this one thread; answers with the seconds in kernels. */
import { createInterface } from "node:readline";
import type { Dwi } from "@fascicle/models";
import { fitChunked } from "../../fit/fitChunked.ts";
import { readCase } from "./caseFiles.ts";
import { bindModel } from "./kernelCases.ts";

const { scan, choice } = readCase(process.argv[2]);
let times = 1;
let model = bindModel(scan, choice);

/** The same voxels so many times, one after the other. */
function repeated({ signals, ...scan }: Dwi): Dwi {
  const once = new Uint8Array(signals.slabs[0]);
  const many = new Uint8Array(new SharedArrayBuffer(times * once.length));
  for (let time = 0; time < times; time++) many.set(once, time * once.length);
  const voxelCount = times * signals.voxelCount;
  const slabs = [many.buffer];
  return { ...scan, signals: { ...signals, voxelCount, voxelsPerSlab: voxelCount, slabs } };
}

for await (const line of createInterface(process.stdin)) {
  if (Number(line) !== times) {
    times = Number(line);
    model = bindModel(repeated(scan), choice);
  }
  const { receipt } = await fitChunked(model, 1, { engine: "serial" });
  process.stdout.write(`${JSON.stringify({ seconds: receipt.seconds.compute })}\n`);
}
