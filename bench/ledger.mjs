// What the ledger costs: the same fits with and without it, in turns, in one process. Prints a line of JSON. On a
// machine that others use, processor time (all threads, system time included) says more than time on the wall.
// node bench/ledger.mjs csd|freewater|dti PHANTOM_DIRECTORY [ROUNDS]; the ledger lies in XDG_STATE_HOME.
import { csd, dti, freeWater, openDwi } from "@fascicle/models";
import { endLocalThreads, fitChunked } from "@fascicle/runtime";

const [name, folder, rounds = "5"] = process.argv.slice(2);
const path = (file) => `${folder}/${file}`;
const dwi = await openDwi({
  dwi: path("dwi.nii.gz"),
  bval: path("dwi.bval"),
  bvec: path("dwi.bvec"),
  mask: path("mask.nii.gz"),
});
const bind = { csd, dti, freewater: freeWater };
const model = bind[name](dwi);
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

const wall = { without: [], with: [] };
const processor = { without: [], with: [] };
await fitChunked(model, 500);
for (let round = 0; round < Number(rounds); round++) {
  for (const kind of round % 2 === 0 ? ["without", "with"] : ["with", "without"]) {
    const begunMs = performance.now();
    const begun = process.cpuUsage();
    await fitChunked(model, 500, { resume: kind === "with" });
    const { user, system } = process.cpuUsage(begun);
    wall[kind].push((performance.now() - begunMs) / 1000);
    processor[kind].push((user + system) / 1e6);
  }
}
await endLocalThreads();
const ratio = (of) => median(of.with.map((seconds, i) => seconds / of.without[i]));
const medians = { wall: median(wall.without), processor: median(processor.without) };
console.log(
  JSON.stringify({ name, wall: ratio(wall), processor: ratio(processor), seconds: medians }),
);
