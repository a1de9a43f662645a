// The object store beside memcpy, plain files and Ray; in turns, medians of several rounds. Prints a table and a line of JSON.
//   RAY_PYTHON=DIR/bin/python node bench/objects.mjs [--rounds 9] [--blocks 64] [--large 5]
// where DIR is a virtual environment in which `pip install ray numpy` was run; without it, our side alone is measured.
// Files lie in the temporary directory, or in BENCH_DIRECTORY; as root, also reads from the disk itself are measured.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { blockBytesTarget, ObjectStore, SlabPool } from "@fascicle/object-store";
import { DiskBench } from "./objectsDisk.mjs";
import { load, machineLine, median, numbersFrom, percent } from "./sleepReport.mjs";

const { rounds, blocks, large } = numbersFrom({ rounds: 9, blocks: 64, large: 5 });
const largeBytes = 100 << 20;
const smallBytes = 1 << 10;
const smallCount = 20_000;
const owner = "bench";

const seconds = (work) => {
  const begunMs = performance.now();
  work();
  return (performance.now() - begunMs) / 1000;
};

/** How long a thread takes to have 100 MiB whose handle it holds: medians of rounds, in microseconds. */
async function getsInThread() {
  const store = new ObjectStore({ pool: new SlabPool() });
  const values = Float64Array.from({ length: largeBytes / 8 }, (_, n) => n);
  const medians = [];
  for (let round = 0; round < rounds; round++) {
    const ref = store.put(values, { owner });
    const worker = new Worker(new URL("./objectsReader.mjs", import.meta.url));
    const thread = store.threadOf(worker);
    worker.postMessage({ port: thread.port }, [thread.port]);
    worker.postMessage({ handle: store.handleOf(ref, thread) });
    const [times] = await once(worker, "message");
    const view = store.get(ref);
    if (view.data[0] !== -1) throw new Error("the thread had a copy");
    view.close();
    store.release(ref, owner);
    await worker.terminate();
    medians.push(median(times));
  }
  await store.close();
  return medians;
}

/** Bytes a second of `put`, and of copying the same bytes to warm memory of our own. */
function largePuts() {
  const source = new Uint8Array(largeBytes).fill(3);
  const target = new Uint8Array(largeBytes).fill(1);
  const store = new ObjectStore({ pool: new SlabPool() });
  const put = () =>
    seconds(() => {
      store.release(store.put(source, { owner }), owner);
    });
  const copy = () => seconds(() => target.set(source));
  put();
  copy();
  const runs = [];
  for (let round = 0; round < rounds * 3; round++) {
    const [first, second] = round % 2 === 0 ? [put(), copy()] : [copy(), put()].reverse();
    runs.push({ put: largeBytes / first, copy: largeBytes / second });
  }
  return runs;
}

/** Puts and gets a second of objects that are kept inline. */
function smallOnes() {
  const data = Float64Array.from({ length: smallBytes / 8 }, (_, n) => n);
  const store = new ObjectStore({ pool: new SlabPool() });
  const once = () => {
    const refs = [];
    const putSeconds = seconds(() => {
      for (let n = 0; n < smallCount; n++) refs.push(store.put(data, { owner }));
    });
    const getSeconds = seconds(() => {
      for (const ref of refs) {
        const view = store.get(ref);
        if (view.data[data.length - 1] !== data.length - 1) throw new Error("wrong value");
        view.close();
      }
    });
    store.releaseOwner(owner);
    return { puts: smallCount / putSeconds, gets: smallCount / getSeconds };
  };
  once();
  return Array.from({ length: rounds }, once);
}

/** Spill and restore beside plain files. */
async function disk(partBytes, partCount) {
  const bench = new DiskBench(partBytes, partCount);
  const runs = [];
  try {
    await bench.plain();
    await bench.spilled();
    for (let round = 0; round < rounds; round++) {
      if (round % 2 === 0)
        runs.push({ plain: await bench.plain(), spilled: await bench.spilled() });
      else {
        const spilled = await bench.spilled();
        runs.push({ plain: await bench.plain(), spilled });
      }
    }
  } finally {
    bench.end();
  }
  return runs;
}

function rayFigures() {
  const python = process.env.RAY_PYTHON;
  if (python === undefined) return undefined;
  const script = fileURLToPath(new URL("./objectsRay.py", import.meta.url));
  const words = [script, smallBytes, smallCount / 4, largeBytes, 5].map(String);
  const result = spawnSync(python, words, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout.split("\n").findLast((line) => line.startsWith("{")));
}

const perSecond = (bytes) => `${(bytes / 2 ** 30).toFixed(2)} GiB/s`;
const count = (number) => `${Math.round(number).toLocaleString("en")}/s`;
const rows = [];
const figures = {};

/** A row of a comparison: medians of both sides, and their ratio. */
function compare(name, ours, theirs, write, wanted) {
  const [our, their] = [median(ours), median(theirs)];
  const ratio = our / their;
  figures[name] = { ours: our, theirs: their, ratio };
  const told = ratio < 5 ? percent(ratio) : `${ratio.toFixed(0)} x`;
  rows.push([name, write(our), write(their), told, wanted]);
}

const gets = await getsInThread();
figures["get of 100 MiB in a thread"] = { microseconds: median(gets) };
rows.push(["get of 100 MiB in a thread", `${median(gets).toFixed(1)} µs`, "", "", "below 50 µs"]);
const puts = largePuts();
const column = (runs, of) => runs.map(of);
compare(
  "put of 100 MiB, memcpy",
  column(puts, ({ put }) => put),
  column(puts, ({ copy }) => copy),
  perSecond,
  "80 %",
);
const small = smallOnes();
const ray = Array.from({ length: Math.min(3, rounds) }, rayFigures);
if (ray[0] === undefined) {
  rows.push(["Ray: not measured (RAY_PYTHON is not set)", "", "", "", ""]);
  rows.push(["puts of 1 KiB", count(median(column(small, ({ puts }) => puts))), "", "", ""]);
  rows.push(["gets of 1 KiB", count(median(column(small, ({ gets }) => gets))), "", "", ""]);
} else {
  const compareColumn = (name, runs, ours, theirs, write, wanted) =>
    compare(name, column(runs, ours), column(ray, theirs), write, wanted);
  const ofPuts = ({ puts }) => puts;
  const ofGets = ({ gets }) => gets;
  compareColumn("puts of 1 KiB, Ray", small, ofPuts, ofPuts, count, "10 x");
  compareColumn("gets of 1 KiB, Ray", small, ofGets, ofGets, count, "10 x");
  compareColumn(
    "put of 100 MiB, Ray",
    puts,
    ({ put }) => put,
    ({ putBytes }) => putBytes,
    perSecond,
    "",
  );
}
for (const [what, partBytes, partCount] of [
  ["blocks of 8 MiB", blockBytesTarget, blocks],
  ["objects of 100 MiB", largeBytes, large],
]) {
  const runs = await disk(partBytes, partCount);
  for (const [kind, title] of [
    ["write", `spill, ${what}`],
    ["warm", `restore from the page cache, ${what}`],
    ["cold", `restore from the disk, ${what}`],
  ]) {
    if (runs[0].plain[kind] === undefined) continue;
    const rates = (side) => column(runs, (run) => run[side][kind].rate);
    compare(title, rates("spilled"), rates("plain"), perSecond, "80 %");
    for (const [name, of] of [
      ["others waited", ({ blockedMs }) => blockedMs],
      ["of that on a processor", ({ blockedProcessorMs }) => blockedProcessorMs],
    ]) {
      const longest = (side) => column(runs, (run) => of(run[side][kind]));
      const told = (times) => `${median(times).toFixed(1)} ms (${Math.max(...times).toFixed(1)})`;
      figures[title][name] = { ours: median(longest("spilled")), theirs: median(longest("plain")) };
      rows.push([
        `- ${name} (at most)`,
        told(longest("spilled")),
        told(longest("plain")),
        "",
        "20 ms",
      ]);
    }
  }
}
console.log(`${machineLine()}, load ${load()}\n`);
console.log("| | Fascicle | the other | ratio | wanted |\n|---|---|---|---|---|");
for (const row of rows) console.log(`| ${row.join(" | ")} |`);
console.log(`\n${JSON.stringify(figures)}`);
