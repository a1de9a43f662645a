/** `runtime fit csd|freewater|dti`. */

import { counted } from "@fascicle/core";
import {
  checkWritable,
  csd,
  type Dwi,
  type DwiModel,
  dti,
  freeWater,
  openDwi,
  saveMaps,
} from "@fascicle/models";
import { rowBytesOf } from "@fascicle/object-store";
import { objectMemoryShare, usableMemoryBytes } from "@fascicle/worker";
import { Command, Option } from "commander";
import { connect } from "../client/connect.ts";
import { UsageError } from "../errors.ts";
import { type FitOptions, fitOnLedger } from "../fit/fitChunked.ts";
import type { FitProgress } from "../fit/progress.ts";
import { type EngineName, type Receipt, withCommand } from "../fit/receipt.ts";
import { Scratch } from "../fit/scratch.ts";
import type { FitLedgerOptions } from "../ledger/fitLedger.ts";
import { CommandClock } from "./commandClock.ts";
import { sweepDeadScratch } from "./deadScratch.ts";
import { addModelOptions, type ModelName, type ModelOptions } from "./fitModels.ts";
import { readJoinString } from "./joinString.ts";
import {
  formatBytes,
  formatSeconds,
  grouped,
  groupedCount,
  parseBytes,
  parseChunks,
  parseCount,
  parseNumber,
} from "./parse.ts";
import { ProgressBar } from "./progressBar.ts";
import { interruptible } from "./signals.ts";
import { checkSpillDir, spillDirOption, spillLimitOption } from "./spillOptions.ts";

/** Signals that would take more of the object memory than this go to disk: results need room, too. */
const signalShare = 0.6;

export interface FitCommandOptions extends ModelOptions {
  dwi: string;
  bval: string;
  bvec: string;
  mask?: string;
  out: string;
  chunks: number | "auto";
  engine?: EngineName;
  join?: string;
  joinFile?: string;
  workers?: number;
  wait: number;
  voxelTimeout?: number;
  objectMemory?: number;
  spillDir?: string;
  spillLimit: number;
  dtype: "float32" | "float64";
  precision: "float64" | "float32";
  b0Threshold: number;
  maxB?: number;
  nifti: "nii.gz" | "nii";
  resume?: boolean;
  priority?: number;
  sendVolume?: boolean;
  json?: boolean;
}

export function addFitCommand(program: Command): void {
  const fit = program
    .command("fit")
    .description("fit a model in every voxel of a diffusion volume");
  for (const name of ["csd", "freewater", "dti"] as const) {
    const command = new Command(name);
    addCommonOptions(command);
    addModelOptions(command, name);
    command.action(async (options: FitCommandOptions) => {
      await interruptible((signal) => runFit(name, options, signal));
    });
    fit.addCommand(command);
  }
}

function addCommonOptions(command: Command): void {
  command
    .requiredOption("--dwi <FILE>", "diffusion-weighted volume, NIfTI (.nii, .nii.gz)")
    .requiredOption("--bval <FILE>", "b-values, FSL format, s/mm²")
    .requiredOption("--bvec <FILE>", "gradient directions, FSL format (3xN or Nx3)")
    .option("--mask <FILE>", "voxels to fit (default: those whose mean b0 signal is above zero)")
    .requiredOption("--out <DIR>", "directory for the maps; existing maps are replaced")
    .option("--chunks <N>", "number of chunks, or auto", parseChunks, "auto")
    .addOption(
      new Option(
        "--engine <NAME>",
        "serial (one thread), local (threads of this process) or cluster (default: cluster with --join or RUNTIME_JOIN, else local)",
      ).choices(["serial", "local", "cluster"]),
    )
    .option("--join <JOIN_STRING>", "fit on the workers of this head")
    .option("--join-file <FILE>", "read the join string from a file")
    .option(
      "--workers <N>",
      "threads, or slots of the cluster, at most (default: all)",
      parseCount(1, 100_000),
    )
    .option(
      "--wait <SECONDS>",
      "how long to wait for a first worker, or for a lost head",
      parseCount(0, 1e6),
      30,
    )
    .option(
      "--send-volume",
      "on a cluster: send the signals even to workers that could read the file themselves",
    )
    .option(
      "--priority <N>",
      "on a cluster: higher goes first, equals share (-1000 to 1000, default 0)",
      parsePriority,
    )
    .option(
      "--voxel-timeout <SECONDS>",
      "give up a voxel that takes longer (status 7, zeros); off unless asked for",
      parseNumber((value) => value >= 0.01, "it must be at least 0.01 seconds."),
    )
    .option(
      "--object-memory <SIZE>",
      "limit for signals and results in shared memory; what is larger goes to disk (default: most of the memory there is)",
      parseBytes,
    )
    .addOption(spillDirOption())
    .addOption(spillLimitOption())
    .addOption(
      new Option("--dtype <TYPE>", "number type of the maps")
        .choices(["float32", "float64"])
        .default("float32"),
    )
    .addOption(
      new Option(
        "--precision <TYPE>",
        "arithmetic; float32 is for csd to order 8: the same answers, hardly faster",
      )
        .choices(["float64", "float32"])
        .default("float64"),
    )
    .option(
      "--b0-threshold <B>",
      "volumes with b at or below this are b0, s/mm²",
      parseNumber((value) => value >= 0, "it must be a b-value of at least 0."),
      50,
    )
    .option(
      "--max-b <B>",
      "leave out volumes with a larger b, s/mm²",
      parseNumber((value) => value > 0, "it must be a b-value above 0."),
    )
    .addOption(
      new Option("--nifti <ENDING>", "file ending of the maps")
        .choices(["nii.gz", "nii"])
        .default("nii.gz"),
    )
    .option("--resume", "continue this fit where an earlier run of it died")
    .option("--json", "print the receipt as one JSON object");
}

async function runFit(name: ModelName, options: FitCommandOptions, signal: AbortSignal) {
  const clock = new CommandClock();
  checkPrecision(name, options);
  const bar = new ProgressBar(process.stderr);
  const engine = engineOf(options);
  await checkWritable(options.out);
  await sweepDeadScratch();
  await checkSpillDir(options.spillDir);
  // Before the volume is read: a head that is not there should be known at once.
  const cluster =
    engine === "cluster"
      ? await connect(readJoinString(options.join, options.joinFile), signal)
      : undefined;
  const scratch = new Scratch({
    spillDir: options.spillDir,
    spillLimitBytes: options.spillLimit,
    what: `runtime fit ${name}`,
    onWait: (reason) => bar.waits(reason),
  });
  try {
    clock.begin("reading");
    bar.step(1, 3);
    const limitBytes = options.objectMemory ?? objectMemoryShare(usableMemoryBytes());
    const dwi = await openDwi({
      dwi: options.dwi,
      bval: options.bval,
      bvec: options.bvec,
      mask: options.mask,
      b0Threshold: options.b0Threshold,
      maxB: options.maxB,
      scratch,
      memoryBytes: limitBytes * signalShare,
      signal,
      onProgress: (share) => bar.show(`reading ${options.dwi}`, share),
    });
    clock.begin("binding");
    bar.step(2, 3);
    const model = makeModel(name, options.sendVolume ? withoutOrigin(dwi) : dwi, options);
    for (const warning of [...dwi.warnings, ...model.warnings]) {
      process.stderr.write(`runtime: warning: ${warning}\n`);
    }
    const place: FitLedgerOptions = {
      directory: options.out,
      resume: options.resume ?? false,
      howToResume: "Run the same command with --resume",
      notify: (sentence: string) => {
        bar.clear();
        process.stderr.write(`runtime: ${sentence}\n`);
      },
    };
    const fitOptions: FitOptions = {
      engine,
      cluster,
      signal,
      workers: options.workers,
      priority: options.priority,
      waitSeconds: options.wait,
      voxelTimeoutSeconds: options.voxelTimeout,
      objectMemoryBytes: limitBytes - bytesInMemory(dwi),
      scratch,
      onProgress: (progress: FitProgress) => bar.fit(name, progress),
    };
    clock.begin("fit");
    const receipt = await fitOnLedger(model, options.chunks, fitOptions, place, async (fit) => {
      clock.begin("writing");
      bar.step(3, 3);
      bar.show(`writing maps to ${options.out}`, 0);
      const { dtype, nifti } = options;
      const memoryBytes = limitBytes - bytesInMemory(dwi);
      let written = fit.receipt;
      const receipt = () => {
        written = withCommand(fit.receipt, clock.seconds);
        return written;
      };
      await saveMaps(fit, options.out, { dtype, nifti, signal, receipt, memoryBytes });
      return written;
    });
    bar.clear();
    process.stdout.write(
      options.json ? `${JSON.stringify(receipt)}\n` : renderReceipt(receipt, options),
    );
  } finally {
    bar.clear();
    try {
      await scratch.remove();
    } finally {
      await cluster?.close();
    }
  }
}

/** What signals take of the object memory; the rest is for results. */
function bytesInMemory({ signals }: Dwi): number {
  return signals.source === undefined ? signals.voxelCount * rowBytesOf(signals) : 0;
}

/** Nobody is told where the file is. */
const withoutOrigin = (dwi: Dwi): Dwi => ({
  ...dwi,
  signals: { ...dwi.signals, origin: undefined },
});

function checkPrecision(name: ModelName, { precision }: FitCommandOptions): void {
  if (precision === "float32" && name !== "csd") {
    throw new UsageError(
      `--precision float32 is for csd; ${name} is fitted in float64 alone: leave it out.`,
    );
  }
}

const parsePriority = parseNumber(
  (value) => Number.isInteger(value) && Math.abs(value) <= 1_000,
  "it must be a whole number from -1000 to 1000.",
);

function engineOf({ engine, join, joinFile }: FitCommandOptions): EngineName {
  const isJoined = join !== undefined || joinFile !== undefined;
  if (isJoined && engine !== undefined && engine !== "cluster") {
    throw new UsageError(
      `A join string means the cluster engine, --engine ${engine} another: leave one of them out.`,
    );
  }
  return engine ?? (isJoined || process.env.RUNTIME_JOIN ? "cluster" : "local");
}

function makeModel(name: ModelName, dwi: Dwi, options: FitCommandOptions): DwiModel {
  switch (name) {
    case "csd": {
      const { shOrder, response, shell, shBasis, lambda, tau, iterations, precision } = options;
      return csd(dwi, { shOrder, response, shell, shBasis, lambda, tau, iterations, precision });
    }
    case "freewater":
      return freeWater(dwi, { method: options.method as "nls" | "wls" });
    case "dti":
      return dti(dwi, { method: options.method as "wls" | "ols" });
  }
}

function renderReceipt(receipt: Receipt, { out, voxelTimeout }: FitCommandOptions): string {
  const { seconds, voxelsByStatus } = receipt;
  const statuses = Object.entries(voxelsByStatus)
    .map(([name, count]) => `${grouped(count)} ${words(name)}`)
    .join(", ");
  return `${[
    `${receipt.model}: ${groupedCount(receipt.voxels, "voxel")} in ${formatSeconds(seconds.total)} (${grouped(receipt.voxelsPerSecond)} voxels/s), ${groupedCount(receipt.chunks, "chunk")} on ${counted(receipt.workers, "worker")} (${receipt.engine})`,
    `voxels     ${statuses}`,
    ...givenUpLines(voxelsByStatus, voxelTimeout),
    `efficiency ${Math.round(receipt.efficiency * 100)} % (compute ${seconds.compute.toFixed(2)} s, copy ${seconds.copy.toFixed(2)} s, idle ${seconds.idle.toFixed(2)} s, tail ${seconds.tail.toFixed(3)} s)`,
    ...commandLines(receipt),
    `memory     ${formatBytes(receipt.peakBytes.memory)} at most; ${formatBytes(receipt.bytesLeft)} left on disk`,
    ...(receipt.peakBytes.spill > 0
      ? [
          `spill      ${formatBytes(receipt.peakBytes.spill)} on disk at most, ${seconds.spill.toFixed(2)} s of writing and reading, summed over all at once`,
        ]
      : []),
    `maps       ${out}`,
  ].join("\n")}\n`;
}

/** Where the time of the whole command went. */
function commandLines({ commandSeconds }: Receipt): string[] {
  if (commandSeconds === undefined) return [];
  const { total, reading, binding, fit, writing, starting } = commandSeconds;
  const phases = Object.entries({ reading, "binding the model": binding, fit, writing, starting });
  const shares = phases.map(([name, seconds]) => `${name} ${seconds.toFixed(1)} s`).join(", ");
  return [`command    ${formatSeconds(total)}: ${shares}`];
}

/** Voxels that were given up, where there are any, and why. */
function givenUpLines(
  { timedOut = 0, crashed = 0 }: Receipt["voxelsByStatus"],
  voxelTimeout: number | undefined,
): string[] {
  if (timedOut + crashed === 0) return [];
  const reasons = [
    ...(timedOut > 0 ? [`${grouped(timedOut)} took longer than ${voxelTimeout} s (status 7)`] : []),
    ...(crashed > 0 ? [`${grouped(crashed)} crashed the kernel (status 6)`] : []),
  ];
  return [
    `given up   ${reasons.join(", ")}: zeros in the maps; their chunks ran again in processes of their own`,
  ];
}

/** `notConverged` as `not converged`. */
const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
