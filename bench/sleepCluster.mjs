// One map of chunks that only sleep, through a head to workers of one slot each, all of them processes of their own.
//   node bench/sleepCluster.mjs [--rounds 3] [--slots 8,16,32,48,72] [--ms 20] [--chunks 20000]        (after npm run build)
import { SleepCluster } from "./sleepFit.mjs";
import { efficiency, load, machineLine, median, numbersFrom, percent } from "./sleepReport.mjs";
import { runBare } from "./sleepThreads.mjs";

const { rounds, slots, ms, chunks } = numbersFrom({
  rounds: 3,
  slots: [8, 16, 32, 48, 72],
  ms: [20],
  chunks: 20_000,
});

async function row(sleepers, count, sleepMs) {
  const share = (seconds) => efficiency(seconds, count, chunks, sleepMs);
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    const bare = share((await runBare(count, chunks, sleepMs)).seconds);
    const before = sleepers.cpuUs();
    const ours = share(await sleepers.seconds(chunks, sleepMs));
    const after = sleepers.cpuUs();
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

const sleepers = await SleepCluster.start();
try {
  console.log(machineLine());
  console.log(
    "| workers | sleep, ms | Fascicle | bare threads | Fascicle / bare | processor time a chunk, µs: head | driver | workers | load |\n|---|---|---|---|---|---|---|---|---|",
  );
  for (const count of slots) {
    await sleepers.grow(count);
    for (const sleepMs of ms)
      console.log(`| ${(await row(sleepers, count, sleepMs)).join(" | ")} |`);
  }
} finally {
  await sleepers.stop();
}
