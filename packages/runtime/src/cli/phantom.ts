/** `runtime phantom`. */
import { writePhantom } from "@fascicle/models";
import { type Command, InvalidArgumentError, Option } from "commander";
import { exitCodes } from "./exit.ts";
import { parseCount, parseNumber } from "./parse.ts";
import { ProgressBar } from "./progressBar.ts";
import { interruptible } from "./signals.ts";

interface PhantomOptions {
  out: string;
  size?: readonly [number, number, number];
  scheme: "hcp" | "64dir" | "2shell";
  snr: number;
  seed: number;
}

export function addPhantomCommand(program: Command): void {
  program
    .command("phantom")
    .description("write a diffusion phantom with known truth; files of an earlier one are replaced")
    .requiredOption("--out <DIR>", "directory for the files")
    .option("--size <X,Y,Z>", "voxels along each axis (default: 40,48,32)", parseSize)
    .addOption(
      new Option("--scheme <NAME>", "gradient scheme")
        .choices(["hcp", "64dir", "2shell"])
        .default("hcp"),
    )
    .option(
      "--snr <N>",
      "signal-to-noise ratio of white matter at b=0",
      parseNumber((value) => value >= 1, "it must be a number of at least 1."),
      30,
    )
    .option("--seed <N>", "seed of the noise", parseCount(0, 2 ** 32 - 1), 1)
    .action(async (options: PhantomOptions) => {
      const bar = new ProgressBar(process.stderr);
      await interruptible(async (signal) => {
        const onProgress = (share: number) => bar.show("making the phantom", share);
        const { out, ...phantom } = options;
        await writePhantom(out, phantom, { signal, onProgress });
        bar.clear();
        process.stdout.write(`wrote the phantom to ${out}\n`);
      });
      process.exitCode = exitCodes.done;
    });
}

export function parseSize(text: string): [number, number, number] {
  const parts = text.split(",").map(Number);
  if (parts.length !== 3 || parts.some((part) => !Number.isInteger(part))) {
    throw new InvalidArgumentError("it must be three whole numbers, for instance 40,48,32.");
  }
  return parts as [number, number, number];
}
