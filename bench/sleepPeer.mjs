// The map that only sleeps beside Ray, in turn: workers are processes of one slot on both sides, warm, and gone when the other runs.
//   RAY_PYTHON=DIR/bin/python node bench/sleepPeer.mjs [--rounds 3] [--slots 8,72] [--ms 20,5] [--chunks 20000]
// where DIR is a virtual environment in which `pip install ray` was run.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SleepCluster } from "./sleepFit.mjs";
import { efficiency, load, machineLine, median, numbersFrom, percent } from "./sleepReport.mjs";

const { rounds, slots, ms, chunks } = numbersFrom({
  rounds: 3,
  slots: [8, 72],
  ms: [20, 5],
  chunks: 20_000,
});
const python = process.env.RAY_PYTHON ?? "python3";

/** Seconds of Ray by milliseconds of sleep. */
function raySeconds(count) {
  const script = fileURLToPath(new URL("./sleepRay.py", import.meta.url));
  const words = [script, ...[count, chunks, ...ms].map(String)];
  const result = spawnSync(python, words, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(result.stderr);
  // Its own processes may write there as well.
  return JSON.parse(result.stdout.split("\n").findLast((line) => line.startsWith("{")));
}

async function ourSeconds(count) {
  const sleepers = await SleepCluster.start();
  try {
    await sleepers.grow(count);
    const seconds = {};
    for (const sleepMs of ms) seconds[sleepMs] = await sleepers.seconds(chunks, sleepMs);
    return seconds;
  } finally {
    await sleepers.stop();
  }
}

console.log(machineLine());
console.log(
  "| workers | sleep, ms | Fascicle | Ray | Fascicle / Ray | load |\n|---|---|---|---|---|---|",
);
for (const count of slots) {
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    runs.push({ ours: await ourSeconds(count), rays: raySeconds(count) });
    console.error(`${count} workers: ${JSON.stringify(runs.at(-1))}, load ${load()}`);
  }
  for (const sleepMs of ms) {
    const share = (seconds) => percent(efficiency(seconds, count, chunks, sleepMs));
    const cells = [
      count,
      sleepMs,
      share(median(runs.map(({ ours }) => ours[sleepMs]))),
      share(median(runs.map(({ rays }) => rays[sleepMs]))),
      median(runs.map(({ ours, rays }) => rays[sleepMs] / ours[sleepMs])).toFixed(2),
      load(),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
