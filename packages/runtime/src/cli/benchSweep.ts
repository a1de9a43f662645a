/** `runtime bench sweep`. */
import { checkWritable } from "@fascicle/models";
import { usableCores } from "@fascicle/worker";
import { type Command, InvalidArgumentError, Option } from "commander";
import { peerVersions } from "../bench/sweep/dipyRay.ts";
import { readSweep, SweepFiles, sweepFiles, withSummary } from "../bench/sweep/files.ts";
import { defaultWorkers, type SweepModel, sweepModels } from "../bench/sweep/points.ts";
import { renderSweep } from "../bench/sweep/text.ts";
import { type Cluster, connect } from "../client/connect.ts";
import { UsageError } from "../errors.ts";
import { readJoinString } from "./joinString.ts";
import { parseCount } from "./parse.ts";
import { ProgressBar } from "./progressBar.ts";
import { interruptible } from "./signals.ts";
import { measureSweep } from "./sweepRun.ts";

const defaultVoxels = 200_000;

export interface SweepOptions {
  models: SweepModel[];
  minChunks: number;
  maxChunks: number;
  runs: number;
  workers?: number[];
  voxels?: number;
  dwi?: string;
  bval?: string;
  bvec?: string;
  mask?: string;
  join?: string;
  joinFile?: string;
  peer?: "dipy-ray";
  peerMaxChunks?: number;
  python?: string;
  seed: number;
  out: string;
  continue?: boolean;
  pageOnly?: boolean;
  json?: boolean;
}

const help = `
Times the fit alone (from its submission to the last result in place, on warm threads) with 2^min to 2^max chunks on
each number of workers, and the serial engine as the one baseline of the machine. Each round runs every point once, in
an order of its own. Writes sweep.csv (a row for each run, as it ends), sweep.json (all of it), sweep.html (a page
with plots, beside the published figures of the report that this experiment comes from) and speedup.svg; an
earlier sweep in that directory is replaced. Ctrl-C keeps the runs that ended; --continue goes on from there.`;

export function addSweepCommand(bench: Command): void {
  bench
    .command("sweep")
    .description("time fits against chunk counts and workers, and draw the page")
    .addOption(
      new Option("--models <NAMES...>", "csd, freewater")
        .choices(sweepModels)
        .default([...sweepModels], "both"),
    )
    .option("--min-chunks <X>", "the fewest chunks are 2^X", parseCount(0, 30), 1)
    .option("--max-chunks <X>", "the most chunks are 2^X", parseCount(0, 30), 15)
    .option("--runs <N>", "rounds; each runs every point once", parseCount(1, 1000), 5)
    .option(
      "--workers <LIST>",
      "threads, or slots of the cluster: 1,2,4 (default: powers of two, and all there are)",
      parseWorkers,
    )
    .option(
      "--voxels <N>",
      `voxels of the phantom to fit (default: ${defaultVoxels})`,
      parseCount(8),
    )
    .option("--dwi <FILE>", "a scan of your own in place of the phantom, with --bval and --bvec")
    .option("--bval <FILE>", "b-values, FSL format")
    .option("--bvec <FILE>", "gradient directions, FSL format")
    .option("--mask <FILE>", "voxels to fit")
    .option("--join <JOIN_STRING>", "fit on the workers of this head")
    .option("--join-file <FILE>", "read the join string from a file")
    .addOption(
      new Option("--peer <NAME>", "measure it beside, on the same voxels").choices(["dipy-ray"]),
    )
    .option("--peer-max-chunks <X>", "the peer's most chunks are 2^X", parseCount(0, 30))
    .option("--python <PATH>", "that has DIPY and Ray (default: RAY_PYTHON, else python3)")
    .option("--seed <N>", "decides the order of each round", parseCount(0, 2 ** 31), 1)
    .option("--out <DIR>", "directory for the results", "out/bench/sweep")
    .option("--continue", "add rounds to the sweep of the same settings that is in --out")
    .option("--page-only", "draw the page again from sweep.json in --out")
    .option("--json", "print the results as one JSON object")
    .addHelpText("after", help)
    .action(async (options: SweepOptions) => {
      const bar = new ProgressBar(process.stderr);
      await interruptible((signal) => run(options, bar, signal)).finally(() => bar.clear());
    });
}

function parseWorkers(text: string): number[] {
  const counts = text.split(",").map((part) => {
    const count = Number(part);
    if (part.trim() === "" || !Number.isSafeInteger(count) || count < 1 || count > 100_000) {
      throw new InvalidArgumentError(
        "it must be whole numbers of at least 1 with commas between, for instance 1,2,4.",
      );
    }
    return count;
  });
  return [...new Set(counts)].sort((a, b) => a - b);
}

async function run(options: SweepOptions, bar: ProgressBar, signal: AbortSignal): Promise<void> {
  const { out, json } = options;
  if (options.pageOnly) {
    const record = await readSweep(out);
    await SweepFiles.at(out).writePage(record);
    process.stdout.write(`page    ${out}/${sweepFiles.page}\n`);
    return;
  }
  checkOptions(options);
  await checkWritable(out);
  const { join, joinFile } = options;
  const isCluster = join !== undefined || joinFile !== undefined;
  const python = options.python ?? process.env.RAY_PYTHON ?? "python3";
  const peer = options.peer === undefined ? undefined : await peerVersions(python);
  const cluster = isCluster ? await connect(readJoinString(join, joinFile), signal) : undefined;
  try {
    const hosts = await hostsOf(cluster);
    const slots = cluster ? hosts.reduce((sum, host) => sum + host.slots, 0) : usableCores();
    const workers = options.workers ?? defaultWorkers(slots);
    if (cluster && workers.some((count) => count > slots)) {
      throw new UsageError(
        `The cluster has ${slots} slots, and --workers asks for ${Math.max(...workers)}: ask for fewer, or let more workers join.`,
      );
    }
    const { minChunks, maxChunks, peerMaxChunks = maxChunks } = options;
    const record = await measureSweep({
      ...{ models: options.models, minChunks, maxChunks, runs: options.runs, workers },
      ...{ seed: options.seed, out, isContinued: options.continue ?? false },
      voxels: options.voxels ?? defaultVoxels,
      scan: scanOf(options),
      cluster,
      hosts,
      peer: peer && { versions: { ...peer, maxChunks: peerMaxChunks }, python },
      bar,
      signal,
    });
    bar.clear();
    process.stdout.write(
      json ? `${JSON.stringify(withSummary(record))}\n` : renderSweep(record, out),
    );
  } finally {
    await cluster?.close();
  }
}

function checkOptions(options: SweepOptions): void {
  const { minChunks, maxChunks, dwi, voxels, peer, peerMaxChunks } = options;
  if (minChunks > maxChunks) {
    throw new UsageError(
      `--min-chunks ${minChunks} is more than --max-chunks ${maxChunks}: chunk counts go from 2^min to 2^max.`,
    );
  }
  if (dwi !== undefined && voxels !== undefined) {
    throw new UsageError("--voxels is for the phantom; of a scan of your own, give a --mask.");
  }
  if (peer === undefined && peerMaxChunks !== undefined) {
    throw new UsageError("--peer-max-chunks needs --peer dipy-ray.");
  }
}

function scanOf({ dwi, bval, bvec, mask }: SweepOptions) {
  if ([dwi, bval, bvec, mask].every((file) => file === undefined)) return undefined;
  if (dwi === undefined || bval === undefined || bvec === undefined) {
    throw new UsageError("A scan of your own needs --dwi, --bval and --bvec together.");
  }
  return { dwi, bval, bvec, mask };
}

/** Hosts of a cluster with slots. Throws `UsageError` where nobody could fit. */
async function hostsOf(cluster: Cluster | undefined): Promise<{ name: string; slots: number }[]> {
  if (cluster === undefined) return [];
  const { hosts } = await cluster.status();
  const named = hosts.map(({ hostName, slots }) => ({ name: hostName, slots }));
  if (named.length > 0) return named;
  throw new UsageError("The cluster has no worker yet: `runtime join` adds one.");
}
