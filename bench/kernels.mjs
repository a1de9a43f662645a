// Voxels per second on one thread beside DIPY: the same voxels, runs interleaved, medians, the ratio pair by pair.
//   node bench/kernels.mjs [ROUNDS] [MODEL...]   (after npm run build; DIPY: Debian's python3-dipy and python3-nibabel)
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const reference = join(here, "..", "test", "fixtures", "reference");
const rounds = Number(process.argv[2] ?? 5);
const models = process.argv.slice(3);
const python = ["/usr/bin/python3", "python3"].find(
  (name) => spawnSync(name, ["-c", "import dipy, nibabel"]).status === 0,
);

/** model, case, how often its voxels are repeated for us and for DIPY (each side runs for about a second). */
const cases = [
  ["csd", "csd_synthetic_b3000", 8, 4, "0.0017,0.0003,0.0003,1000"],
  ["csd", "csd_real_64dir", 8, 4, "0.0014882744,0.0003025621,0.0003025621,191.533333"],
  ["freewater-nls", "freewater_synthetic_hcp_scheme", 40, 1],
  ["freewater-nls", "freewater_synthetic_2shell", 60, 1],
  ["freewater-nls", "freewater_real_101dir", 120, 2],
  ["freewater-wls", "freewater_synthetic_hcp_scheme", 25, 3],
  ["dti-wls", "freewater_synthetic_hcp_scheme", 200, 20],
];

function run(program, words) {
  const result = spawnSync(program, words, {
    encoding: "utf8",
    env: { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" },
  });
  if (result.status !== 0) throw new Error(result.stderr);
  const { voxels, seconds } = JSON.parse(result.stdout.trim().split("\n").at(-1));
  return voxels / seconds;
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const whole = (value) => Math.round(value).toLocaleString("en-US");

console.log(
  `${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}, ${rounds} rounds`,
);
console.log(
  "| model | case | Fascicle, voxels/s | DIPY, voxels/s | ratio |\n|---|---|---|---|---|",
);
for (const [model, name, ourRepeats, theirRepeats, response] of cases) {
  if (models.length > 0 && !models.includes(model)) continue;
  const stem = join(reference, name);
  const ours = [];
  const theirs = [];
  for (let round = 0; round < rounds; round++) {
    const extra = response === undefined ? [] : [response];
    ours.push(
      run(process.execPath, [join(here, "ours.mjs"), model, stem, String(ourRepeats), ...extra]),
    );
    if (python !== undefined) {
      theirs.push(
        run(python, [join(here, "peer.py"), model, stem, String(theirRepeats), ...extra]),
      );
    }
  }
  const ratio =
    python === undefined ? "" : median(ours.map((rate, i) => rate / theirs[i])).toFixed(1);
  const peer = python === undefined ? "not installed" : whole(median(theirs));
  console.log(`| ${model} | ${name} | ${whole(median(ours))} | ${peer} | ${ratio} |`);
}
