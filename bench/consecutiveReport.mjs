// What consecutive fits promise, and how their figures are written.
import { load, machineLine } from "./sleepReport.mjs";

/** The first fits of a model make its code and its buffers; after these a process must stay as large as it is. */
export const fitsBeforeFlat = 5;
/** A process may grow by this share of what a fit moves with each fit: an engine's heap takes its time to settle. */
const growthShareLimit = 0.05;
/** So many fits it takes to tell growth from the ups and downs of a heap. */
const fitsToJudge = 8;
const mebibyte = 2 ** 20;
const inMebibytes = (bytes) => (bytes / mebibyte).toFixed(1);

export function printHeading(engine, plans, host) {
  console.log(`\n${engine}: ${machineLine()}, load ${load()}`);
  for (const [name, plan] of Object.entries(plans)) {
    const { voxelCount, signalBytes, resultBytes, objectMemoryBytes, spillLimitBytes } = plan;
    const memory =
      objectMemoryBytes === undefined ? "all" : `${inMebibytes(objectMemoryBytes)} MiB`;
    console.log(
      `${name}: ${voxelCount} voxels, signals ${inMebibytes(signalBytes)} + results ${inMebibytes(resultBytes)} MiB; object memory ${memory}, spill limit ${inMebibytes(spillLimitBytes)} MiB`,
    );
  }
  const who = Object.keys(host.pids).join("/");
  console.log(`fit  model      seconds  disk at most, MiB (${Object.keys(host.spill).join("/")})`);
  console.log(`     then resident, MiB (${who}); left: files, directories, bytes`);
}

export function printFit(n, { name, seconds, spillPeaks, resident, left }) {
  const columns = [
    String(n).padStart(3),
    name.padEnd(9),
    seconds.toFixed(1).padStart(7),
    Object.values(spillPeaks).map(inMebibytes).join("/").padStart(8),
    Object.values(resident).map(inMebibytes).join("/").padStart(8),
    `${left.files}, ${left.directories}, ${left.bytes}`,
  ];
  console.log(columns.join("  "));
}

/** By model and process: how resident memory went after the first fits. */
export function summarise({ fits }) {
  const summary = [];
  for (const name of new Set(fits.map((fit) => fit.name))) {
    const ofModel = fits.filter((fit) => fit.name === name);
    const settled = ofModel.slice(Math.min(fitsBeforeFlat, Math.floor(ofModel.length / 2)));
    for (const who of Object.keys(fits[0].resident)) {
      const sizes = settled.map(({ resident }) => resident[who]);
      const slopeBytes = slopeOf(sizes);
      const range = { leastBytes: Math.min(...sizes), mostBytes: Math.max(...sizes) };
      summary.push({ name, who, fits: sizes.length, slopeBytes, ...range });
    }
  }
  return summary;
}

/** Of the straight line that fits best, bytes a fit. */
function slopeOf(sizes) {
  const middle = (sizes.length - 1) / 2;
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  const squares = sizes.reduce((sum, _, n) => sum + (n - middle) ** 2, 0);
  const products = sizes.reduce((sum, size, n) => sum + (n - middle) * (size - mean), 0);
  return squares === 0 ? 0 : products / squares;
}

export function printSummary({ summary, leftAtEnd }) {
  console.log("\nmodel      process    MiB a fit  least   most  (resident, after the first fits)");
  for (const { name, who, slopeBytes, leastBytes, mostBytes } of summary) {
    const columns = [
      name.padEnd(9),
      who.padEnd(9),
      (slopeBytes / mebibyte).toFixed(2).padStart(9),
      inMebibytes(leastBytes).padStart(6),
      inMebibytes(mostBytes).padStart(6),
    ];
    console.log(columns.join("  "));
  }
  console.log(`left when all has ended: ${leftAtEnd.length === 0 ? "nothing" : leftAtEnd}`);
}

/** A sentence for each promise that was not held. */
export function brokenPromises({ engine, plans, fits, summary, leftAtEnd }) {
  const sentences = leftAtEnd.map((path) => `${engine}: ${path} was left when all had ended`);
  for (const [n, { name, spillPeaks, scratchPeakBytes, left }] of fits.entries()) {
    const fit = `${engine}: fit ${n + 1} (${name})`;
    const { spillLimitBytes, objectMemoryBytes } = plans[name];
    const own = plans.freewater.spillLimitBytes;
    for (const [who, bytes] of Object.entries({ ...spillPeaks, scratch: scratchPeakBytes })) {
      const limitBytes = who.startsWith("worker") ? own : spillLimitBytes;
      if (bytes > limitBytes) {
        sentences.push(`${fit} had ${bytes} bytes on disk (${who}), limit ${limitBytes}`);
      }
    }
    if (objectMemoryBytes !== undefined && spillPeaks.driver === 0) {
      sentences.push(`${fit} never wrote to disk: it shows nothing`);
    }
    if (left.paths.length > 0) sentences.push(`${fit} left ${left.paths.slice(0, 3).join(", ")}`);
  }
  for (const { name, who, fits: count, slopeBytes } of summary) {
    const { signalBytes, resultBytes } = plans[name];
    const mayGrowBytes = (signalBytes + resultBytes) * growthShareLimit;
    if (count >= fitsToJudge && slopeBytes > mayGrowBytes) {
      const grown = inMebibytes(slopeBytes * count);
      sentences.push(`${engine}: the ${who} grew by ${grown} MiB in ${count} fits (${name})`);
    }
  }
  return sentences;
}
