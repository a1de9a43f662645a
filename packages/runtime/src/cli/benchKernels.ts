/** `runtime bench kernels`. */
import type { Command } from "commander";
import { NotYetError } from "../errors.ts";

export function addKernelsCommand(bench: Command): void {
  bench
    .command("kernels")
    .description("voxels per second of each model on one core (not in this version)")
    .argument("[arguments...]")
    .allowUnknownOption()
    .action(() => {
      throw new NotYetError("`runtime bench kernels` is not in this version yet.");
    });
}
