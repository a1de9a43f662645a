/** `runtime quickstart`: what `npm run quickstart` runs. */
import { pathToFileURL } from "node:url";
import { counted } from "@fascicle/core";
import { type Command, Option } from "commander";
import { UsageError } from "../errors.ts";
import { quickstart, type ScanFiles } from "../quickstart/quickstart.ts";
import { formatSeconds, grouped, groupedCount, parseCount, parseNumber } from "./parse.ts";
import { parseSize } from "./phantom.ts";
import { ProgressBar } from "./progressBar.ts";
import { interruptible } from "./signals.ts";

interface QuickstartCommandOptions extends Partial<ScanFiles> {
  out: string;
  size?: readonly [number, number, number];
  scheme?: "hcp" | "64dir" | "2shell";
  seed?: number;
  maxB?: number;
  workers?: number;
}

export function addQuickstartCommand(program: Command): void {
  program
    .command("quickstart")
    .description(
      "fit CSD and free water to a phantom, or to your own scan, and write a report page",
    )
    .option(
      "--dwi <FILE>",
      "your own diffusion-weighted volume, with --bval, --bvec and, best, --mask",
    )
    .option("--bval <FILE>", "b-values, FSL format")
    .option("--bvec <FILE>", "gradient directions, FSL format")
    .option("--mask <FILE>", "voxels to fit")
    .option("--out <DIR>", "directory for maps and report", "out/quickstart")
    .option("--size <X,Y,Z>", "voxels of the phantom along each axis", parseSize)
    .addOption(
      new Option("--scheme <NAME>", "gradient scheme of the phantom").choices([
        "hcp",
        "64dir",
        "2shell",
      ]),
    )
    .option("--seed <N>", "seed of the phantom's noise", parseCount(0, 2 ** 32 - 1))
    .option(
      "--max-b <B>",
      "leave out volumes with a larger b, s/mm²",
      parseNumber((value) => value > 0, "it must be a b-value above 0."),
    )
    .option("--workers <N>", "threads (default: all cores)", parseCount(1, 4096))
    .action(async (options: QuickstartCommandOptions) => {
      const bar = new ProgressBar(process.stderr);
      await interruptible((signal) => run(options, bar, signal)).finally(() => bar.clear());
    });
}

async function run(options: QuickstartCommandOptions, bar: ProgressBar, signal: AbortSignal) {
  const { out, workers, maxB, size, scheme, seed } = options;
  const say = (text: string) => {
    bar.clear();
    process.stdout.write(`${text}\n`);
  };
  const begunMs = performance.now();
  const result = await quickstart(
    { out, workers, maxB, signal, scan: scanOf(options), phantom: { size, scheme, seed } },
    {
      onStep: (step, steps) => bar.step(step, steps),
      onProgress: (text, share) => bar.show(text, share),
      onFitProgress: (model, progress) => bar.fit(model, progress),
      onNote: (text) => say(text.startsWith("warning") ? `runtime: ${text}` : text),
      onFitted: (receipt) =>
        say(
          `${receipt.model}: ${groupedCount(receipt.voxels, "voxel")} in ${formatSeconds(receipt.seconds.total)} on ${counted(receipt.workers, "thread")} (${grouped(receipt.voxelsPerSecond)} voxels/s, efficiency ${Math.round(receipt.efficiency * 100)} %)`,
        ),
    },
  );
  say(`done in ${formatSeconds((performance.now() - begunMs) / 1000)}`);
  say(`maps    ${out}`);
  say(`report  ${pathToFileURL(result.page).href}`);
}

function scanOf({ dwi, bval, bvec, mask }: QuickstartCommandOptions): ScanFiles | undefined {
  if (dwi === undefined && bval === undefined && bvec === undefined && mask === undefined) {
    return undefined;
  }
  if (dwi === undefined || bval === undefined || bvec === undefined) {
    throw new UsageError(
      "Your own scan needs --dwi, --bval and --bvec together (and, best, --mask).",
    );
  }
  return { dwi, bval, bvec, mask };
}
