// One map of chunks that only sleep, on warm threads of this process, beside bare threads in the same run.
//   node bench/sleepLocal.mjs [--rounds 3] [--slots 72] [--ms 20,5] [--chunks 20000]        (after npm run build)
import { fitChunked } from "@fascicle/runtime";
import { checkSlept, sleepModel } from "./sleepKernel.mjs";
import { efficiency, load, machineLine, median, numbersFrom, percent } from "./sleepReport.mjs";
import { runBare, timed } from "./sleepThreads.mjs";

const { rounds, slots, ms, chunks } = numbersFrom({
  rounds: 3,
  slots: [72],
  ms: [20, 5],
  chunks: 20_000,
});

function runFit(workers, count, sleepMs) {
  return timed(async () => {
    checkSlept(await fitChunked(sleepModel(count, sleepMs), count, { engine: "local", workers }));
  });
}

/** How well it slept, and what each chunk cost in processor time. */
async function measure(run, workers, sleepMs) {
  const { seconds, cpuUs } = await run(workers, chunks, sleepMs);
  return { share: efficiency(seconds, workers, chunks, sleepMs), cpuUs: cpuUs / chunks };
}

console.log(machineLine());
console.log(
  "| slots | sleep, ms | Fascicle | bare threads | Fascicle / bare | processor time a chunk, µs | bare, µs | load |\n|---|---|---|---|---|---|---|---|",
);
for (const workers of slots) {
  // Threads are started by the first fit and are not all there when it ends: a second warms the last ones.
  for (let fit = 0; fit < 2; fit++) await runFit(workers, workers * 50, 20);
  for (const sleepMs of ms) {
    const pairs = [];
    for (let round = 0; round < rounds; round++) {
      const bare = await measure(runBare, workers, sleepMs);
      const ours = await measure(runFit, workers, sleepMs);
      pairs.push({ ours, bare });
      const words = `${percent(ours.share)} beside ${percent(bare.share)}`;
      console.error(`${workers} slots, ${sleepMs} ms: ${words}, load ${load()}`);
    }
    const over = (pick) => median(pairs.map(pick));
    const cells = [
      workers,
      sleepMs,
      percent(over(({ ours }) => ours.share)),
      percent(over(({ bare }) => bare.share)),
      over(({ ours, bare }) => ours.share / bare.share).toFixed(3),
      over(({ ours }) => ours.cpuUs).toFixed(0),
      over(({ bare }) => bare.cpuUs).toFixed(0),
      load(),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
