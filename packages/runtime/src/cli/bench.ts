/** `runtime bench`: what this machine, or a cluster, does in a second, and beside whom. */
import type { Command } from "commander";
import { NotYetError } from "../errors.ts";
import { addKernelsCommand } from "./benchKernels.ts";
import { addSweepCommand } from "./benchSweep.ts";

const later: Readonly<Record<string, string>> = {
  tasks: "what a task costs",
  objects: "what putting and getting objects costs",
};

export function addBenchCommand(program: Command): void {
  const bench = program
    .command("bench")
    .helpCommand(false)
    .description("measure speeds, beside others' where installed");
  addSweepCommand(bench);
  addKernelsCommand(bench);
  for (const [name, description] of Object.entries(later)) {
    bench
      .command(name)
      .description(`${description} (not in this version)`)
      .argument("[arguments...]")
      .allowUnknownOption()
      .action(() => {
        throw new NotYetError(`\`runtime bench ${name}\` is not in this version yet.`);
      });
  }
}
