/** `runtime gc`. */
import type { SweptWorkspace } from "@fascicle/object-store";
import type { Command } from "commander";
import { whyNotFile } from "../errors.ts";
import {
  deadStartingLogs,
  deadWorkerLogs,
  removeLog,
  startingLogFolders,
} from "../head/detachedLogs.ts";
import { listProcesses } from "../head/discovery.ts";
import { StateDirectory } from "../head/stateDirectory.ts";
import { isReadable } from "../ledger/fitLedger.ts";
import {
  type KnownLedger,
  knownLedgers,
  outputOf,
  removeLedger,
} from "../ledger/ledgerRegister.ts";
import { ledgerLifetimeMs } from "../ledger/limits.ts";
import { deadWorkspaces } from "./deadScratch.ts";
import { formatBytes, formatSeconds } from "./parse.ts";

interface GcOptions {
  all?: boolean;
  dryRun?: boolean;
}

export function addGcCommand(program: Command): void {
  program
    .command("gc")
    .description(
      "remove what dead processes of yours left on this host: scratch folders, and after 24 h logs and ledgers that --resume could use",
    )
    .option(
      "--all",
      "younger logs and ledgers, too: the fits that left them cannot be resumed any more",
    )
    .option("--dry-run", "only say what would be removed")
    .action(async ({ all = false, dryRun = false }: GcOptions) => {
      // Looking at the register sweeps the entries of dead processes.
      listProcesses();
      const lines = [
        ...(await deadWorkspaces(dryRun)).map((workspace) => lineOf(workspace, dryRun)),
        ...(await collect(all, dryRun)),
        ...(await deadHead(all, dryRun)),
        ...logs(all, dryRun),
      ];
      if (lines.length === 0) lines.push("nothing is left by dead processes");
      for (const line of lines) process.stdout.write(`${line}\n`);
    });
}

function lineOf({ path, bytes, what, who, kept }: SweptWorkspace, isDryRun: boolean): string {
  const purpose = what === "" ? "scratch" : `scratch of ${what}`;
  const words = `${path} (${purpose}, ${formatBytes(bytes)}, of ${who})`;
  if (kept !== undefined) return `kept ${words}: ${kept}`;
  return `${isDryRun ? "would remove" : "removed"} ${words}`;
}

/** Of processes in the background; those of starts that came to nothing tell nobody anything. */
function logs(isAll: boolean, isDryRun: boolean): string[] {
  const starting = startingLogFolders().flatMap(deadStartingLogs);
  const own = deadWorkerLogs().map((log) => ({ ...log, isYoung: log.ageMs < ledgerLifetimeMs }));
  return [...starting.map((log) => ({ ...log, isYoung: false })), ...own].map((log) => {
    const what = `${log.path} (log of a dead process, ${formatBytes(log.bytes)})`;
    if (!isAll && log.isYoung) return `kept ${what}: --all removes it`;
    if (isDryRun) return `would remove ${what}`;
    removeLog(log.path);
    return `removed ${what}`;
  });
}

async function collect(isAll: boolean, isDryRun: boolean): Promise<string[]> {
  const dead = (await knownLedgers()).filter(({ isAlive }) => !isAlive);
  const lines: string[] = [];
  for (const ledger of dead) lines.push(await treat(ledger, isAll, isDryRun));
  return lines;
}

/** A head that was killed: its token, port and journal, for the next one. */
async function deadHead(isAll: boolean, isDryRun: boolean): Promise<string[]> {
  const directory = new StateDirectory(undefined);
  const ageMs = await directory.deadForMs();
  if (ageMs === undefined) return [];
  const what = `${directory.path} (of a head that died ${formatSeconds(ageMs / 1000)} ago)`;
  if (!isAll && ageMs < ledgerLifetimeMs) {
    return [`kept ${what}: \`runtime start --head\` goes on with it; --all removes it`];
  }
  if (isDryRun) return [`would remove ${what}`];
  try {
    // A head that starts just now may have it.
    await directory.open();
  } catch (error) {
    return [`kept ${what}: ${(error as Error).message}`];
  }
  directory.close();
  await directory.release();
  return [`removed ${what}`];
}

async function treat(ledger: KnownLedger, isAll: boolean, isDryRun: boolean): Promise<string> {
  const ageMs = Date.now() - ledger.heardMs;
  const what = `${ledger.path} (${formatBytes(ledger.bytes)}, left ${formatSeconds(ageMs / 1000)} ago by ${ledger.who})`;
  if (!isAll && ageMs < ledgerLifetimeMs) {
    return `kept ${what}: \`runtime fit ... --out ${outputOf(ledger.path)} --resume\` can use it; --all removes it`;
  }
  if (!(await isReadable(ledger.path)))
    return `kept ${what}: this version of Fascicle cannot read it`;
  if (isDryRun) return `would remove ${what}`;
  try {
    return (await removeLedger(ledger.path)) ? `removed ${what}` : `kept ${what}: it is in use`;
  } catch (error) {
    return `kept ${what}: it cannot be removed (${whyNotFile(error)})`;
  }
}
