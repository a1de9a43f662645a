// How fast the simulator is, and what the scheduler costs with many chunks: 1,000 hosts of 72 slots.
//   node --expose-gc bench/sim.mjs [CHUNKS ...]      (default 100000 1000000 10000000; builds first)
// Events are appointments kept (a chunk ends, a message arrives, a timer) and events given to the machines. Seconds
// are of this process's CPU time, so that other work on the machine counts less. Invariants are not checked.
import { spawn, spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const hostCount = 1_000;
const slots = 72;
const mebibyte = 2 ** 20;

/** One map over all hosts, whose chunks keep every slot busy a while. */
async function bigScenario(chunkCount) {
  const { JobPlan } = await import("../out/sim/plan.js");
  const chunksPerSlot = chunkCount / (hostCount * slots);
  const plan = new JobPlan({
    index: 0,
    request: { job: "map", chunkCount, memoryBytes: 1e6 },
    // The whole map lasts about ten seconds, so that the time that passes is the same for each number of chunks.
    meanChunkMs: 10_000 / chunksPerSlot,
    spread: 1.5,
    bytesPerChunk: 1_000,
    windowBytes: 8 * mebibyte,
    fates: new Map(),
  });
  const size = { slots, memoryBytes: 2 ** 33, speed: 1, joinsMs: 0 };
  return {
    seed: 1,
    hosts: Array.from({ length: hostCount }, () => size),
    drivers: [{ actions: [{ atMs: 100, kind: "submit", plan }], storeMs: 0 }],
    network: { latencyMs: { low: 0.1, high: 0.2 }, dialTimeoutMs: 3_000 },
    syncMs: 5,
    faults: {},
    faultsEndMs: 1,
    deadlineMs: 1e7,
  };
}

/** In a process of its own: prints one line of JSON. */
async function measure(chunkCount) {
  const { simulate } = await import("../out/sim/simulate.js");
  const scenario = await bigScenario(chunkCount);
  globalThis.gc?.();
  const emptyBytes = process.memoryUsage().heapUsed;
  // What is held while the run goes on, after a collection; some times in it.
  let mostBytes = 0;
  const look = () => {
    globalThis.gc?.();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    mostBytes = Math.max(mostBytes, heapUsed + arrayBuffers - emptyBytes);
  };
  const before = process.cpuUsage();
  let lookedMicroseconds = 0;
  const watch = () => {
    const begun = process.cpuUsage();
    look();
    const { user, system } = process.cpuUsage(begun);
    lookedMicroseconds += user + system;
  };
  const result = simulate(1, { scenario, checks: { local: 0, whole: 0 }, watch });
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system - lookedMicroseconds) / 1e6;
  const events = result.appointments + result.steps;
  const { failure, chunks, steps } = result;
  console.log(JSON.stringify({ chunks, seconds, events, steps, mostBytes, failure }));
}

function runFor(chunkCount) {
  const words = ["--expose-gc", fileURLToPath(import.meta.url), "measure", String(chunkCount)];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (piece) => {
    text += piece;
  });
  return new Promise((resolve) => child.on("close", () => resolve(JSON.parse(text))));
}

const [first, ...others] = process.argv.slice(2);
if (first === "measure") {
  await measure(Number(others[0]));
} else {
  const { status } = spawnSync(process.execPath, ["scripts/build.mjs", "test/sim"], {
    cwd: join(here, ".."),
    stdio: "inherit",
  });
  if (status !== 0) process.exit(1);
  console.log(`Node ${process.version}, ${hostCount} hosts of ${slots} slots`);
  console.log("| chunks | seconds | µs/chunk | events/s | machine events/s | held at most, MiB |");
  console.log("|---|---|---|---|---|---|");
  const sizes = first === undefined ? [1e5, 1e6, 1e7] : [first, ...others].map(Number);
  for (const chunkCount of sizes) {
    const { seconds, events, steps, chunks, mostBytes, failure } = await runFor(chunkCount);
    if (failure !== undefined || chunks !== chunkCount)
      throw new Error(failure ?? "chunks are lost");
    const cells = [
      chunkCount.toLocaleString("en-US"),
      seconds.toFixed(1),
      ((seconds * 1e6) / chunks).toFixed(1),
      Math.round(events / seconds).toLocaleString("en-US"),
      Math.round(steps / seconds).toLocaleString("en-US"),
      Math.round(mostBytes / mebibyte),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
