/** The options of each model on the command line. */
import type { CsdOptions } from "@fascicle/models";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseCount, parseNumber } from "./parse.ts";

export type ModelName = "csd" | "freewater" | "dti";

export interface ModelOptions extends CsdOptions {
  method?: string;
}

export function addModelOptions(command: Command, name: ModelName): void {
  if (name === "csd") {
    addCsdOptions(command);
    return;
  }
  const [description, methods] =
    name === "freewater"
      ? [
          "free-water elimination with a tissue tensor (needs at least two shells and b0)",
          ["nls", "wls"],
        ]
      : ["diffusion tensor", ["wls", "ols"]];
  command
    .description(description as string)
    .addOption(new Option("--method <NAME>", "how to fit").choices(methods).default(methods[0]));
}

function addCsdOptions(command: Command): void {
  const positive = parseNumber((value) => value > 0, "it must be a number above zero.");
  command
    .description("constrained spherical deconvolution: fibre orientation distributions")
    .option("--sh-order <N>", "even order of the spherical harmonics", parseOrder, 8)
    .option(
      "--response <R>",
      "single-fibre response: auto, E1,E2,E3,S0 (eigenvalues in mm²/s and b0 signal), or an MRtrix3 response file",
      parseResponse,
      "auto",
    )
    .option("--shell <B>", "b-value of the shell to fit, largest, or all", parseShell, "largest")
    .addOption(
      new Option("--sh-basis <NAME>", "basis and frame of the coefficients")
        .choices(["descoteaux07", "mrtrix3"])
        .default("descoteaux07"),
    )
    .option("--lambda <N>", "weight of the constraint", positive, 1)
    .option(
      "--tau <N>",
      "constraint threshold, as a share of the mean amplitude",
      parseNumber((value) => value >= 0, "it must be a number of at least zero."),
      0.1,
    )
    .option("--iterations <N>", "at most so many", parseCount(1, 1_000_000), 50);
}

function parseOrder(text: string): number {
  const order = parseCount(0, 16)(text);
  if (order % 2 !== 0) throw new InvalidArgumentError("it must be even.");
  return order;
}

function parseResponse(text: string): CsdOptions["response"] {
  if (text === "auto") return "auto";
  const numbers = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (numbers.length === 4 && numbers.every(Number.isFinite)) {
    return numbers as [number, number, number, number];
  }
  if (numbers.length > 1 && numbers.some(Number.isFinite)) {
    throw new InvalidArgumentError("eigenvalues and b0 signal are four numbers: E1,E2,E3,S0.");
  }
  return text;
}

function parseShell(text: string): CsdOptions["shell"] {
  if (text === "largest" || text === "all") return text;
  return parseNumber((value) => value > 0, "it must be a b-value, largest, or all.")(text);
}
