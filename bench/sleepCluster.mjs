// One map of chunks that only sleep, through a head to workers of one slot each, all of them processes of their own.
//   node bench/sleepCluster.mjs [--rounds 3] [--slots 8,16,32,48,72] [--ms 20] [--chunks 20000]        (after npm run build)
import { connect, fitChunked } from "@fascicle/runtime";
import { checkSlept, kernelName, sleepModel } from "./sleepKernel.mjs";
import { cpuUsOf, startAgents, startHead } from "./sleepProcesses.mjs";
import { efficiency, load, machineLine, median, numbersFrom, percent } from "./sleepReport.mjs";
import { runBare } from "./sleepThreads.mjs";

const { rounds, slots, ms, chunks } = numbersFrom({
  rounds: 3,
  slots: [8, 16, 32, 48, 72],
  ms: [20],
  chunks: 20_000,
});

const head = await startHead();
const agents = [];
const cluster = await connect(head.joinText);
try {
  console.log(machineLine());
  console.log(
    "| workers | sleep, ms | Fascicle | bare threads | Fascicle / bare | processor time a chunk, µs: head | driver | workers | load |\n|---|---|---|---|---|---|---|---|---|",
  );
  for (const count of slots) {
    agents.push(...(await startAgents(head.joinText, count - agents.length)));
    await allJoined(count);
    // The first fit starts threads and loads kernels, and may end before the last are there.
    for (let fit = 0; fit < 2; fit++) await fitOnce(count * 50, 20);
    for (const sleepMs of ms) console.log(`| ${(await row(count, sleepMs)).join(" | ")} |`);
  }
} finally {
  await cluster.close();
  await Promise.all(agents.map((agent) => agent.stop()));
  await head.stop();
}

async function allJoined(count) {
  while ((await cluster.status()).slots.total < count) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function fitOnce(count, sleepMs) {
  const model = sleepModel(count, sleepMs, kernelName);
  checkSlept(await fitChunked(model, count, { engine: "cluster", cluster }));
}

async function row(count, sleepMs) {
  const share = (seconds) => efficiency(seconds, count, chunks, sleepMs);
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    const bare = share((await runBare(count, chunks, sleepMs)).seconds);
    const before = cpuUs();
    const begunMs = performance.now();
    await fitOnce(chunks, sleepMs);
    const ours = share((performance.now() - begunMs) / 1000);
    const after = cpuUs();
    const cost = (who) => (after[who] - before[who]) / chunks;
    runs.push({ ours, bare, head: cost("head"), driver: cost("driver"), agents: cost("agents") });
    const words = `${percent(ours)} beside ${percent(bare)}`;
    console.error(`${count} workers, ${sleepMs} ms: ${words}, load ${load()}`);
  }
  const over = (pick) => median(runs.map(pick));
  return [
    count,
    sleepMs,
    percent(over((run) => run.ours)),
    percent(over((run) => run.bare)),
    over((run) => run.ours / run.bare).toFixed(3),
    over((run) => run.head).toFixed(0),
    over((run) => run.driver).toFixed(0),
    over((run) => run.agents).toFixed(0),
    load(),
  ];
}

function cpuUs() {
  const ofAgents = agents.reduce((sum, { pid }) => sum + cpuUsOf(pid), 0);
  return { head: cpuUsOf(head.pid), driver: cpuUsOf(process.pid), agents: ofAgents };
}
