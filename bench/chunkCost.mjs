// What a chunk costs: the same voxels in more and more chunks, all counts in turn in each round,
// on warm threads.
//   node bench/chunkCost.mjs [--model free|csd] [--rounds 9] [--workers 1,2] [--voxels 200000] [--powers 3,6,9,12,15]
//     [--against DIRECTORY]         (after npm run build; DIRECTORY: another checkout, built, measured beside this one)
//   node bench/chunkCost.mjs --engine cluster --workers 2        (the free kernel, a head and workers of one slot each)
// free: a kernel of next to no cost, so that what grows is what chunks cost. csd: order 8, the voxels of a fixture
// over and over.
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { checkFree, freeModel, kernelName } from "./chunkKernel.mjs";
import { startAgents, startHead } from "./sleepProcesses.mjs";
import { load, machineLine, median, percent } from "./sleepReport.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "free" },
    rounds: { type: "string", default: "9" },
    workers: { type: "string", default: "1,2" },
    voxels: { type: "string", default: "200000" },
    powers: { type: "string", default: "3,6,9,12,15" },
    against: { type: "string" },
    engine: { type: "string", default: "local" },
  },
});
const numbers = (text) => text.split(",").map(Number);
const [rounds] = numbers(values.rounds);
const [voxels] = numbers(values.voxels);
const counts = numbers(values.powers).map((power) => 2 ** power);

/** The voxels of a fixture, so often that there are `voxels`. */
async function csdModel({ csd, openDwi }) {
  const stem = fileURLToPath(
    new URL("../test/fixtures/reference/csd_synthetic_b3000/", import.meta.url),
  );
  const dwi = await openDwi({
    dwi: join(stem, "dwi.nii.gz"),
    bval: join(stem, "dwi.bval"),
    bvec: join(stem, "dwi.bvec"),
  });
  const model = csd(dwi, { response: [0.0017, 0.0003, 0.0003, 1000] });
  const [slab] = dwi.signals.slabs;
  const rowBytes = slab.byteLength / dwi.signals.voxelCount;
  const rows = new Uint8Array(new SharedArrayBuffer(voxels * rowBytes));
  for (let at = 0; at < rows.length; at += slab.byteLength) {
    rows.set(new Uint8Array(slab, 0, Math.min(slab.byteLength, rows.length - at)), at);
  }
  const signals = {
    ...dwi.signals,
    voxelCount: voxels,
    voxelsPerSlab: voxels,
    slabs: [rows.buffer],
  };
  return { ...model, signals, extend: undefined };
}

/** A fit by the clock, and by the processor time of all threads of this process, on which others weigh less. */
async function timed(work) {
  const before = process.cpuUsage();
  const begunMs = performance.now();
  const fit = await work();
  const wall = (performance.now() - begunMs) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { fit, wall, processor: (user + system) / 1e6 };
}

/** One checkout, ready to fit. */
async function side(name, directory) {
  const load = (end) => import(pathToFileURL(join(directory, "packages", end)).href);
  const { fitChunked } = await load("runtime/dist/index.js");
  const model =
    values.model === "csd" ? await csdModel(await load("models/dist/index.js")) : freeModel(voxels);
  const seconds = async (workers, chunks) => {
    const run = await timed(() => fitChunked(model, chunks, { engine: "local", workers }));
    if (values.model === "free") checkFree(run.fit);
    return run;
  };
  return { name, seconds };
}

/** A head and workers of one slot each, ready to fit; `stop` ends them. */
async function clusterSide(workers) {
  const { connect, fitChunked } = await import("@fascicle/runtime");
  const head = await startHead();
  const agents = await startAgents(head.joinText, workers);
  const cluster = await connect(head.joinText);
  const model = freeModel(voxels, kernelName);
  const seconds = async (_, chunks) => {
    const run = await timed(() => fitChunked(model, chunks, { engine: "cluster", cluster }));
    checkFree(run.fit);
    return run;
  };
  const stop = async () => {
    await cluster.close();
    for (const agent of agents) await agent.stop();
    await head.stop();
  };
  return { name: "cluster", seconds, stop };
}

const here = fileURLToPath(new URL("..", import.meta.url));
const isCluster = values.engine === "cluster";
const sides = isCluster
  ? [await clusterSide(Math.max(...numbers(values.workers)))]
  : [await side("here", here)];
if (values.against) sides.push(await side(values.against, resolve(values.against)));

console.log(`${machineLine()}; ${values.model}, ${voxels} voxels, ${rounds} rounds`);
const least = new Map();
for (const workers of numbers(values.workers)) {
  const runs = new Map(sides.map(({ name }) => [name, counts.map(() => [])]));
  // Threads start with their first fit, and their code is warm after some more.
  for (let warm = 0; warm < (values.model === "free" ? 5 : 1); warm++) {
    for (const { seconds } of sides) await seconds(workers, counts.at(-1));
  }
  for (let round = 0; round < rounds; round++) {
    // Forwards and backwards, so that what drifts meets all counts alike.
    const order = [...counts.entries()];
    for (const [i, chunks] of round % 2 === 0 ? order : order.reverse()) {
      for (const { name, seconds } of sides) {
        runs.get(name)[i].push(await seconds(workers, chunks));
      }
    }
  }
  for (const { name } of sides) {
    const all = runs.get(name);
    const medianOf = (pick) => all.map((some) => median(some.map(pick)));
    const [walls, processors] = [medianOf(({ wall }) => wall), medianOf((run) => run.processor)];
    const leastProcessors = all.map((some) => Math.min(...some.map((run) => run.processor)));
    const best = Math.min(...walls);
    least.set(`${name} ${workers}`, best);
    const tail = Math.max(...all.flat().map(({ fit }) => fit.receipt.seconds.tail));
    console.log(`\n${name}, workers ${workers}: longest tail ${tail.toFixed(4)} s, load ${load()}`);
    console.log(
      "| chunks | ms | over the best | processor ms | over the best | least processor ms | over the best | a chunk more costs, processor µs |\n|---|---|---|---|---|---|---|---|",
    );
    const over = (value, all) => percent(value / Math.min(...all) - 1);
    for (const [i, chunks] of counts.entries()) {
      const extra = all[i].map(({ processor }, round) => processor - all[0][round].processor);
      const cells = [
        chunks,
        (walls[i] * 1000).toFixed(1),
        over(walls[i], walls),
        (processors[i] * 1000).toFixed(1),
        over(processors[i], processors),
        (leastProcessors[i] * 1000).toFixed(1),
        over(leastProcessors[i], leastProcessors),
        i === 0 ? "" : ((median(extra) * 1e6) / (chunks - counts[0])).toFixed(2),
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  }
}
for (const { name } of sides) {
  const [one, two] = [least.get(`${name} 1`), least.get(`${name} 2`)];
  if (one && two)
    console.log(`\n${name}: 2 threads over 1, best against best: ${(one / two).toFixed(2)}`);
}
for (const { stop } of sides) await stop?.();
