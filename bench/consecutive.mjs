// The founding report's case: fit after fit in one process, with a tenth of the memory that each needs. The disk stays
// within its limit, processes stay as large as they are, and nothing is left. Exits with 1 where that is not so.
//   node bench/consecutive.mjs [--csd 20] [--freewater 20] [--engine local|cluster|both] [--size 56,56,32]
//                              [--memory tenth|all] [--json FILE]                          (after npm run build)
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { csd, freeWater, openDwi, saveMaps } from "@fascicle/models";
import { connect, endLocalThreads, fitChunked, Scratch } from "@fascicle/runtime";
import { Host, residentBytes } from "./consecutiveHost.mjs";
import {
  brokenPromises,
  printFit,
  printHeading,
  printSummary,
  summarise,
} from "./consecutiveReport.mjs";

const { values } = parseArgs({
  options: {
    csd: { type: "string", default: "20" },
    freewater: { type: "string", default: "20" },
    engine: { type: "string", default: "both" },
    size: { type: "string", default: "56,56,32" },
    memory: { type: "string", default: "tenth" },
    json: { type: "string" },
  },
});
const workerCount = 2;
/** Signals that would take more of the object memory than this go to disk, as in `runtime fit`. */
const signalShare = 0.6;
/** Of what a fit needs: pieces that are freed and used again do not fit each other to the byte. */
const spillMargin = 1.25;
const models = { csd: (dwi) => csd(dwi, { shOrder: 8 }), freewater: (dwi) => freeWater(dwi) };
const bytesPerValue = { float64: 8, float32: 4, uint16: 2, uint8: 1 };
const launcher = fileURLToPath(new URL("../packages/runtime/bin/runtime.cjs", import.meta.url));

/** Bytes of the signals and of the results of each model's fit. */
async function needs(input) {
  // All of it goes to disk, so that this process begins small.
  const scratch = new Scratch();
  const dwi = await openDwi({ ...input, scratch, memoryBytes: 0 });
  const { voxelCount, width, dtype } = dwi.signals;
  const signalBytes = voxelCount * width * bytesPerValue[dtype];
  const found = Object.entries(models).map(([name, model]) => {
    const fields = model(dwi).outputs;
    const rowBytes = fields.reduce(
      (sum, field) => sum + field.width * bytesPerValue[field.dtype],
      0,
    );
    return [name, { voxelCount, signalBytes, resultBytes: voxelCount * rowBytes }];
  });
  await dwi.close();
  await scratch.remove();
  return Object.fromEntries(found);
}

/** One fit as a user's script has it, from the files to the maps; gives what its scratch came to. */
async function fitOnce(name, host, input, plan, cluster) {
  const { objectMemoryBytes, spillLimitBytes } = plan;
  const scratch = new Scratch({ spillDir: host.spill.driver, spillLimitBytes });
  const memory = objectMemoryBytes === undefined ? {} : { scratch };
  const memoryBytes = objectMemoryBytes && objectMemoryBytes * signalShare;
  try {
    const dwi = await openDwi({ ...input, ...memory, memoryBytes });
    const options = {
      ...memory,
      objectMemoryBytes,
      engine: cluster ? "cluster" : "local",
      cluster,
    };
    const fit = await fitChunked(models[name](dwi), "auto", options);
    const maps = join(host.home, "maps");
    await saveMaps(fit, maps, { memoryBytes: objectMemoryBytes });
    await fit.release();
    await dwi.close();
    rmSync(maps, { recursive: true });
    return { receipt: fit.receipt, scratchPeakBytes: scratch.use.peakBytes };
  } finally {
    await scratch.remove();
  }
}

async function run(engine) {
  const host = new Host(engine === "cluster" ? workerCount : 0);
  let left = [];
  const fits = [];
  let plans;
  try {
    const phantom = join(host.home, "phantom");
    execFileSync(process.execPath, [launcher, "phantom", "--out", phantom, "--size", values.size], {
      stdio: "ignore",
    });
    const stem = join(phantom, "dwi");
    const input = { dwi: `${stem}.nii.gz`, bval: `${stem}.bval`, bvec: `${stem}.bvec` };
    input.mask = join(phantom, "mask.nii.gz");
    plans = plansFrom(await needs(input));
    const { objectMemoryBytes, spillLimitBytes } = plans.freewater;
    const joinText =
      engine === "cluster"
        ? await host.startCluster(objectMemoryBytes ?? 2 ** 30, spillLimitBytes)
        : undefined;
    const cluster = joinText && (await connect(joinText));
    host.begin();
    printHeading(engine, plans, host);
    const wanted = Object.keys(models).flatMap((name) => Array(Number(values[name])).fill(name));
    for (const name of wanted) {
      await host.spillPeaks();
      const begunMs = performance.now();
      const { receipt, scratchPeakBytes } = await fitOnce(name, host, input, plans[name], cluster);
      const seconds = (performance.now() - begunMs) / 1000;
      const { samples, peaks } = await host.spillPeaks();
      const leftNow = await host.left();
      const resident = Object.entries(host.pids).map(([who, pid]) => [who, residentBytes(pid)]);
      const fit = { name, seconds, scratchPeakBytes, spillPeaks: peaks, samples, left: leftNow };
      fits.push({ ...fit, resident: Object.fromEntries(resident), chunks: receipt.chunks });
      printFit(fits.length, fits.at(-1));
    }
    await cluster?.close();
    await endLocalThreads();
  } finally {
    left = await host.close();
  }
  return { engine, plans, fits, leftAtEnd: left };
}

/** The memory and the disk that each model's fits get. */
function plansFrom(needed) {
  const plans = Object.entries(needed).map(([name, need]) => {
    const bytes = need.signalBytes + need.resultBytes;
    const objectMemoryBytes = values.memory === "all" ? undefined : Math.floor(bytes / 10);
    return [name, { ...need, objectMemoryBytes, spillLimitBytes: Math.ceil(bytes * spillMargin) }];
  });
  return Object.fromEntries(plans);
}

const runs = [];
for (const engine of values.engine === "both" ? ["local", "cluster"] : [values.engine]) {
  const result = await run(engine);
  runs.push({ ...result, summary: summarise(result) });
  printSummary(runs.at(-1));
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(runs, null, 1)}\n`);
const broken = runs.flatMap(brokenPromises);
for (const sentence of broken) console.log(`BROKEN: ${sentence}`);
process.exitCode = broken.length > 0 ? 1 : 0;
