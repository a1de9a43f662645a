// `runtime fit` from file to file at the size of a scan of the Human Connectome Project: 145 x 174 x 145 voxels,
// 288 volumes, 435,686 of them in the mask. Where the command's time goes, its memory, reading beside a plain inflate
// of the same file, writing on one core and on all.
//   node bench/wholeCommand.mjs [fit] [reading] [writing] [--data DIR] [--rounds 3] [--json FILE]
// (after npm run build). Without a word, all of them. The scan (1.2 GB) is made in DIR once and stays there.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readNifti, writeNifti } from "@fascicle/models";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", default: join(tmpdir(), "fascicle-bench-hcp") },
    rounds: { type: "string", default: "3" },
    json: { type: "string" },
  },
});
const gridSize = "145,174,145";
const maskedVoxels = 435_686;
const rounds = Number(values.rounds);
const parts = positionals.length > 0 ? positionals : ["reading", "fit", "writing"];
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const launcher = here("../packages/runtime/bin/runtime.cjs");
const child = here("wholeCommandChild.mjs");
const file = (name) => join(values.data, name);
const dwi = file("dwi.nii.gz");
const mask = file(`mask_${maskedVoxels}.nii.gz`);
const scan = ["--dwi", dwi, "--bval", file("dwi.bval"), "--bvec", file("dwi.bvec")];
const words = {
  csd: ["csd", "--response", "0.0017,0.0003,0.0003,1000"],
  freewater: ["freewater"],
};

/** The voxels of a mask that are nearest to its centre, as many as are wanted. */
async function writeMask() {
  const { shape, data, geometry } = await readNifti(file("mask.nii.gz"));
  const [nx, ny] = shape;
  const inside = [...data.keys()].filter((voxel) => data[voxel] > 0);
  const places = new Map(
    inside.map((voxel) => [
      voxel,
      [voxel % nx, Math.floor(voxel / nx) % ny, Math.floor(voxel / nx / ny)],
    ]),
  );
  const centre = [0, 1, 2].map(
    (axis) => inside.reduce((sum, voxel) => sum + places.get(voxel)[axis], 0) / inside.length,
  );
  const distances = new Map(
    inside.map((voxel) => [
      voxel,
      places.get(voxel).reduce((sum, at, axis) => sum + (at - centre[axis]) ** 2, 0),
    ]),
  );
  inside.sort((a, b) => distances.get(a) - distances.get(b) || a - b);
  const kept = new Uint8Array(data.length);
  for (const voxel of inside.slice(0, maskedVoxels)) kept[voxel] = 1;
  await writeNifti(mask, { shape, dtype: "uint8", data: kept, geometry });
}

async function makeScan() {
  if (!existsSync(dwi)) {
    const made = ["phantom", "--size", gridSize, "--scheme", "hcp", "--out", values.data];
    execFileSync(process.execPath, [launcher, ...made], { stdio: "inherit" });
  }
  if (!existsSync(mask)) await writeMask();
}

/** Runs a command with its output thrown away; gives its seconds. */
function secondsOf(command, args) {
  const begun = performance.now();
  const { status } = spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`${command} ended with ${status}.`);
  return (performance.now() - begun) / 1000;
}

const childSeconds = (...args) =>
  Number(execFileSync(process.execPath, [child, ...args], { encoding: "utf8" }));

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const medianOf = (rows, pick) => median(rows.map(pick));

/** Reading of the masked voxels, in turns with a plain inflate before it and one behind. */
function benchReading() {
  const rows = [];
  for (let round = 0; round < rounds; round++) {
    const before = childSeconds("inflate", dwi);
    const ours = childSeconds("read", dwi, file("dwi.bval"), file("dwi.bvec"), mask);
    const after = childSeconds("inflate", dwi);
    const inflate = (before + after) / 2;
    rows.push({ inflate, ours, ratio: ours / inflate });
  }
  const gzip = secondsOf("gzip", ["-dc", dwi]);
  const at = (name) => medianOf(rows, (row) => row[name]);
  console.log("\nReading, seconds (medians; the ratio is that of the rounds)");
  console.log(`  gzip -dc, once ${gzip.toFixed(2)}`);
  console.log(`  node:zlib      ${at("inflate").toFixed(2)}`);
  console.log(`  ours           ${at("ours").toFixed(2)}, ratio ${at("ratio").toFixed(3)}`);
  return rows;
}

/** One `runtime fit` with the maps in `out`; gives its receipt. */
function runFit(name, out) {
  const command = [launcher, "fit", ...words[name], ...scan, "--mask", mask, "--out", out];
  const stdio = ["ignore", "pipe", "ignore"];
  return JSON.parse(
    execFileSync(process.execPath, [...command, "--json"], { encoding: "utf8", stdio }),
  );
}

const phases = ["starting", "reading", "binding", "fit", "writing", "total"];

function benchFit() {
  const names = ["csd", "freewater"];
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    for (const name of names) runs.push({ name, ...runFit(name, file(`maps-${name}`)) });
  }
  console.log("\nThe whole command (medians)");
  console.log(`  ${"seconds".padEnd(12)}${phases.map((phase) => phase.padStart(10)).join("")}`);
  for (const name of names) {
    const own = runs.filter((run) => run.name === name);
    const cells = phases.map((phase) => medianOf(own, (run) => run.commandSeconds[phase]));
    console.log(
      `  ${name.padEnd(12)}${cells.map((cell) => cell.toFixed(2).padStart(10)).join("")}`,
    );
    const tail = Math.max(...own.map((run) => run.seconds.tail));
    const memory = Math.max(...own.map((run) => run.peakBytes.memory));
    console.log(
      `  ${"".padEnd(12)}${own[0].voxels} voxels, ${own[0].chunks} chunks, efficiency ${medianOf(own, (run) => run.efficiency)}, ${medianOf(own, (run) => run.voxelsPerSecond)} voxels/s; tail at most ${tail.toFixed(4)} s; ${(memory / 1e9).toFixed(2)} GB at most`,
    );
  }
  return runs;
}

/** The FODs of that fit, written on one core and on two. */
function benchWriting() {
  const map = file("maps-csd/csd_sh.nii.gz");
  if (!existsSync(map)) runFit("csd", file("maps-csd"));
  const written = file("written");
  const write = (cores) => {
    const args = ["-c", cores, process.execPath, child, "write", mask, map, written];
    const seconds = Number(execFileSync("taskset", args, { encoding: "utf8" }));
    const digest = createHash("sha256").update(readFileSync(join(written, "map.nii.gz")));
    rmSync(written, { recursive: true });
    return { seconds, digest: digest.digest("hex") };
  };
  const rows = [];
  for (let round = 0; round < rounds; round++) {
    const one = write("0");
    const two = write("0,1");
    const isSame = one.digest === two.digest;
    rows.push({ one: one.seconds, two: two.seconds, ratio: one.seconds / two.seconds, isSame });
  }
  const at = (name) => medianOf(rows, (row) => row[name]);
  const bytes = rows.every(({ isSame }) => isSame) ? "the same bytes" : "OTHER BYTES";
  console.log("\nWriting csd_sh.nii.gz, seconds (medians)");
  console.log(
    `  one core ${at("one").toFixed(2)}, two ${at("two").toFixed(2)}: ${at("ratio").toFixed(2)} times as fast, ${bytes}`,
  );
  return rows;
}

await makeScan();
const benches = { reading: benchReading, fit: benchFit, writing: benchWriting };
const results = Object.fromEntries(parts.map((part) => [part, benches[part]()]));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
