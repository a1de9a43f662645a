/** Commands whose names are reserved and whose work comes in later versions: they say so. */
import type { Command } from "commander";
import { NotYetError } from "../errors.ts";

const later: Readonly<Record<string, string>> = {
  bench: "measure sweeps, tasks, objects and kernels (not in this version)",
};

export function addLaterCommands(program: Command): void {
  for (const [name, description] of Object.entries(later)) {
    program
      .command(name)
      .description(description)
      .argument("[arguments...]")
      .allowUnknownOption()
      .action(() => {
        throw new NotYetError(`\`runtime ${name}\` is not in this version yet.`);
      });
  }
}
