/** What a reader must know before believing a sweep: sentences, for the page. */
import type { SweepRecord } from "./record.ts";
import { disturbedFrom, runsThatCount } from "./summary.ts";

export function caveatsOf(record: SweepRecord): string[] {
  const { machine, engine, workers, models, peer, skipped, minChunks, hosts } = record;
  const { physicalCores, logicalCores, usableCores } = machine;
  const most = Math.max(...workers);
  const rounds = record.runs.reduce((last, { round }) => Math.max(last, round), 0);
  const one = (text: string, isSo: boolean) => (isSo ? [text] : []);
  return [
    ...one(
      `This machine says that it has ${physicalCores} physical cores and ${logicalCores} hardware threads, of which ${usableCores} may be used here. Two threads of one core share its arithmetic: efficiency is told for each worker, so more workers than physical cores cannot reach 100 %. A virtual machine may call hardware threads cores.`,
      engine === "local",
    ),
    ...one(
      `The baseline ran on the driver's machine; the workers are ${hosts.map(({ name, slots }) => `${name} (${slots} slots)`).join(", ")}. Where these are faster or slower, speed-up and efficiency are that much off. Signals travel to the workers in each run, and that is in its time.`,
      engine === "cluster",
    ),
    ...one(
      `${most} workers are more than the ${usableCores} processors that there are: they take turns.`,
      engine === "local" && most > usableCores,
    ),
    "One serial baseline for each model: the serial engine of this version, one thread, measured once in every round among the other runs. Speed-ups of different sides have different baselines, and a faster one makes for smaller ratios: look at the seconds beside them.",
    "The time is that of the fit alone, from its submission to the last result in place. Reading the scan, binding the model, starting threads and compiling kernels came before: one warm-up fit of each model was not counted, so no first run is dearer than the others.",
    `Points are medians of ${rounds === 1 ? "one round: there are no error bars" : `${rounds} rounds`}; each round ran every point once, in an order of its own (seed ${record.seed}). Error bars are one standard deviation of the runs; of ratios, the relative deviations of numerator and denominator added in quadrature.`,
    ...disturbances(record),
    ...one(
      "One chunk is one worker's work, whatever the number of workers; in the report, that point was the serial engine.",
      minChunks === 0,
    ),
    "The published figures were read off the report's plots: other machines, another scan (an HCP subject, 435,686 voxels, all three shells at once in CSD), Python 3.11 and Ray 2.10. Their processors are hardware threads of one host of 36 cores: up to 32 of them may each have had a core of their own, 48 and 72 had not. Each of their machine sizes had its own serial run, which moves their speed-ups by up to 14 %; by the clock, 32, 48 and 72 processors took the same time for CSD. On machines that had 8, 16, 36 and 72 processors and no more, the same program took 38, 22, 13 and 9 to 10 s for CSD and 188, 99, 51 and 29 s for free water. Their error bars are not drawn: they were seconds on an axis of ratios.",
    `What was fitted here: ${models.map(({ name, voxels, volumes, data }) => `${name}: ${voxels.toLocaleString("en-US")} voxels of ${volumes} volumes, ${data}`).join("; ")}. Another scan has other iterations in other voxels, so compare voxels a second between machines with care, and the shape of the curves with less.`,
    ...one(
      `DIPY ${peer?.dipy} on Ray ${peer?.ray} fitted the same voxels in the same rounds. This DIPY has no engine argument: each chunk is one Ray task with the model pickled into it and fit objects back, as DIPY's own engine does it later; chunks have n div count voxels, as there, so there are some more of them than the axis says. Its baseline is DIPY's loop in one process. Ray was started and warmed up before the first round, and runs idle beside our fits.`,
      peer !== null,
    ),
    ...skipped.map(
      ({ model, chunks }) =>
        `${model} with ${chunks.toLocaleString("en-US")} chunks was left out: it has fewer voxels.`,
    ),
  ];
}

/** Runs beside which other processes worked. */
function disturbances({ runs }: SweepRecord): string[] {
  const disturbed = runs.filter(({ others = 0 }) => others > disturbedFrom);
  if (disturbed.length === 0) return [];
  const most = Math.max(...disturbed.map(({ others = 0 }) => others));
  const left = runs.length - runsThatCount(runs).length;
  return [
    `During ${disturbed.length} of the ${runs.length} runs other processes took more than ${100 * disturbedFrom} % of this machine (${Math.round(100 * most)} % at most). ${left} of them are left out, because their points have undisturbed runs; the rest had to be taken as they are.`,
  ];
}
