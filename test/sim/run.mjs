// node test/sim/run.mjs --seed N [--trace]            runs one seed; --trace prints all that happens
// node test/sim/run.mjs --from N --count M            runs many; ends with 1 where one fails, and says how to replay it
// node test/sim/run.mjs --seed N --keep NAME --found "WHAT"   keeps the scenario of a seed as a test
// node test/sim/run.mjs --kept NAME [--trace]         runs a scenario that was kept
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    count: { type: "string", default: "100" },
    // Of so many processes that share the seeds, this is number `part`, from 0.
    parts: { type: "string", default: "1" },
    part: { type: "string", default: "0" },
    trace: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    keep: { type: "string" },
    found: { type: "string", default: "" },
    kept: { type: "string" },
    "no-build": { type: "boolean", default: false },
  },
});

if (!values["no-build"]) {
  const { status } = spawnSync(process.execPath, ["scripts/build.mjs", ".", "test/sim"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (status !== 0) process.exit(2);
}
const { simulate } = await import("../../out/sim/simulate.js");
const { scenarioOf } = await import("../../out/sim/scenario.js");
const { scenarioFrom, scenarioRecord } = await import("../../out/sim/kept.js");

const print = (line) => writeSync(1, `${line}\n`);
const fileOf = (name) => join(here, "kept", `${name}.json`);

if (values.keep !== undefined) {
  const scenario = scenarioRecord(scenarioOf(Number(values.seed)));
  writeFileSync(fileOf(values.keep), `${JSON.stringify({ found: values.found, scenario })}\n`);
}

/** Runs one; prints what went wrong and how to see it again. */
function runOne(seed, name, scenario) {
  const result = simulate(seed, { scenario, print: values.trace ? print : undefined });
  if (result.failure !== undefined && !values.json) {
    const which = name === undefined ? `--seed ${seed}` : `--kept ${name}`;
    print(`seed ${seed} fails: ${result.failure}`);
    print(`  replay: node test/sim/run.mjs ${which} --trace`);
    if (name === undefined) {
      print(`  keep:   node test/sim/run.mjs --seed ${seed} --keep NAME --found "WHAT IT FOUND"`);
    }
  }
  return result;
}

const counted = [
  "appointments",
  "steps",
  "chunks",
  "faults",
  "complete",
  "failed",
  "pairsJudged",
  "agreements",
];
const sums = Object.fromEntries(counted.map((key) => [key, 0]));
const failures = [];
const begunMs = performance.now();
let runs = 0;
function count(result) {
  runs++;
  for (const key of counted) sums[key] += result[key];
  if (result.failure !== undefined) failures.push({ seed: result.seed, failure: result.failure });
}

if (values.kept !== undefined) {
  const { scenario } = JSON.parse(readFileSync(fileOf(values.kept), "utf8"));
  count(runOne(scenario.seed, values.kept, scenarioFrom(scenario)));
} else if (values.seed !== undefined) {
  const result = runOne(Number(values.seed));
  if (!values.json) print(JSON.stringify({ ...result, failure: undefined }, undefined, 2));
  count(result);
} else {
  for (let i = Number(values.part); i < Number(values.count); i += Number(values.parts)) {
    count(runOne(Number(values.from) + i));
  }
}
const seconds = (performance.now() - begunMs) / 1000;
if (values.json) print(JSON.stringify({ runs, ...sums, seconds, failures }));
else
  print(
    `${runs} runs, ${JSON.stringify(sums)}, ${seconds.toFixed(1)} s, ${failures.length} failed`,
  );
process.exitCode = failures.length === 0 ? 0 : 1;
