/** `runtime bench kernels`. */
import { basename } from "node:path";
import { type Dwi, openDwi } from "@fascicle/models";
import { type Command, Option } from "commander";
import { benchKernels, kernelTable } from "../bench/kernels/kernelBench.ts";
import {
  type BenchModel,
  benchModels,
  phantomCases,
  scanCases,
} from "../bench/kernels/kernelCases.ts";
import { findDipy, findMrtrix, type PeerName, peerNames } from "../bench/kernels/peers.ts";
import { abortReason, UsageError } from "../errors.ts";
import { exitCodes } from "./exit.ts";
import { parseCount } from "./parse.ts";
import { ProgressBar } from "./progressBar.ts";
import { interruptible } from "./signals.ts";

interface KernelsOptions {
  models: readonly BenchModel[];
  peers: readonly (PeerName | "none")[];
  rounds: number;
  voxels?: number;
  python?: string;
  dwi?: string;
  bval?: string;
  bvec?: string;
  mask?: string;
  json?: boolean;
}

export function addKernelsCommand(bench: Command): void {
  bench
    .command("kernels")
    .description(
      "voxels per second of each model on one core, beside DIPY and MRtrix3 where they are installed",
    )
    .addOption(
      new Option("--models <NAMES...>", "which models")
        .choices(benchModels)
        .default(benchModels, "all"),
    )
    .addOption(
      new Option("--peers <NAMES...>", "beside whom; none measures Fascicle alone")
        .choices([...peerNames, "none"])
        .default(peerNames, "all that are installed"),
    )
    .option("--rounds <N>", "each side runs so often, in turn", parseCount(1, 1000), 5)
    .option(
      "--voxels <N>",
      "voxels in each case (default: from 600 to 4,000)",
      parseCount(1, 1_000_000),
    )
    .option("--python <PATH>", "the Python that has DIPY (default: python3)")
    .option("--dwi <FILE>", "voxels of this volume instead of a phantom's; needs --bval and --bvec")
    .option("--bval <FILE>", "its b-values")
    .option("--bvec <FILE>", "its directions")
    .option(
      "--mask <FILE>",
      "voxels to choose from (default: those whose mean b0 signal is above zero)",
    )
    .option("--json", "print one JSON object")
    .action(async (options: KernelsOptions) => {
      await interruptible((signal) => runKernels(options, signal));
      process.exitCode = exitCodes.done;
    });
}

async function runKernels(options: KernelsOptions, signal: AbortSignal): Promise<void> {
  const bar = new ProgressBar(process.stderr);
  const wants = (peer: PeerName) => !options.peers.includes("none") && options.peers.includes(peer);
  const dipy = wants("dipy") ? findDipy(options.python) : undefined;
  const mrtrix = wants("mrtrix3") ? findMrtrix() : undefined;
  const dwi = await openScan(options, signal);
  try {
    const all = dwi === undefined ? phantomCases : scanCases(basename(options.dwi!));
    const result = await benchKernels({
      cases: all.filter(({ model }) => options.models.includes(model)),
      ...{ dwi, dipy, mrtrix, signal, voxels: options.voxels, rounds: options.rounds },
      onProgress: (what, share) => bar.show(what, share),
    });
    bar.clear();
    const absent = {
      dipy: wants("dipy") && dipy === undefined,
      mrtrix: wants("mrtrix3") && mrtrix === undefined && options.models.includes("csd"),
    };
    const lines = options.json ? [JSON.stringify(result)] : kernelTable(result, absent);
    process.stdout.write(`${lines.join("\n")}\n`);
  } catch (error) {
    // What was cut off in its midst says so in its own words.
    throw signal.aborted ? abortReason(signal) : error;
  } finally {
    bar.clear();
    await dwi?.close();
  }
}

/** The user's volume, where there is one. */
async function openScan(
  { dwi, bval, bvec, mask }: KernelsOptions,
  signal: AbortSignal,
): Promise<Dwi | undefined> {
  if (dwi === undefined) {
    if (bval === undefined && bvec === undefined && mask === undefined) return undefined;
    throw new UsageError("--bval, --bvec and --mask belong to a volume: give it with --dwi.");
  }
  if (bval === undefined || bvec === undefined) {
    throw new UsageError("--dwi needs its gradient table: give --bval and --bvec.");
  }
  return openDwi({ dwi, bval, bvec, ...(mask === undefined ? {} : { mask }), signal });
}
