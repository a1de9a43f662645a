/** The `runtime` command. */
import { Command, CommanderError } from "commander";
import { endLocalThreads } from "../fit/local.ts";
import { version } from "../version.ts";
import { addBenchCommand } from "./bench.ts";
import { removeOwnLog } from "./children.ts";
import { exitCodes, reportError } from "./exit.ts";
import { addFitCommand } from "./fit.ts";
import { addGcCommand } from "./gc.ts";
import { addJoinCommand } from "./join.ts";
import { addObjectsCommand } from "./objects.ts";
import { addPhantomCommand } from "./phantom.ts";
import { addQuickstartCommand } from "./quickstart.ts";
import { addStartCommand } from "./start.ts";
import { addStatusCommand } from "./status.ts";
import { addStopCommand } from "./stop.ts";
import { addWhyCommand } from "./why.ts";

const program = new Command("runtime")
  .description("Fits diffusion-MRI models in chunks, on every core of one machine or of many.")
  .version(version, "-v, --version", "print the version")
  .helpCommand(false)
  .showHelpAfterError("(runtime COMMAND --help tells more)");

addFitCommand(program);
addPhantomCommand(program);
addQuickstartCommand(program);
addStartCommand(program);
addJoinCommand(program);
addStatusCommand(program);
addStopCommand(program);
addWhyCommand(program);
addObjectsCommand(program);
addGcCommand(program);
addBenchCommand(program);
exitByThrowing(program);

/** Commander would end the process itself; errors go our way instead. */
function exitByThrowing(command: Command): void {
  command
    .helpOption("--help", "show this help")
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, "runtime: ")),
    });
  for (const child of command.commands) exitByThrowing(child);
}

// Whoever reads our output may stop reading (a pager, head -1): that is no error of ours. A log that nobody reads
// must not end a head.
process.stderr.on("error", () => {});
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(process.exitCode ?? exitCodes.done);
  process.stderr.write(`runtime: The output cannot be written (${error.code}).\n`);
  process.exit(exitCodes.failed);
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  } else {
    process.exitCode = reportError(error);
  }
}
await endLocalThreads();
if (process.exitCode === undefined || Number(process.exitCode) === exitCodes.done) removeOwnLog();
// Whatever a library may have left open, the work is done.
process.exit();
