/** Ledgers of fits, as tests see them from outside. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Home, type Running, sleep } from "./cli.ts";

/** The ledger in a directory; undefined where there is none. */
export function ledgerIn(directory: string): string | undefined {
  const name = existsSync(directory)
    ? readdirSync(directory).find((entry) => entry.startsWith(".fascicle-ledger-"))
    : undefined;
  return name === undefined ? undefined : join(directory, name);
}

interface Journal {
  readonly inode: number;
  /** How often rows were recorded. */
  readonly records: number;
}

function journalIn(directory: string): Journal | undefined {
  try {
    const path = join(ledgerIn(directory) ?? "", "journal");
    const records = readFileSync(path, "latin1").split("slices").length - 1;
    return { inode: statSync(path).ino, records };
  } catch {
    return undefined;
  }
}

/**
 * Starts a driver and waits until it has recorded rows of its own; false where it ended before. Whoever resumes
 * writes the journal anew, with one record of what was done before.
 */
export async function untilRecorded(
  directory: string,
  start: () => { readonly exitCode: number | null },
): Promise<boolean> {
  const before = journalIn(directory);
  const process = start();
  while (process.exitCode === null) {
    const now = journalIn(directory);
    const least = before === undefined ? 1 : 2;
    if (now !== undefined && now.inode !== before?.inode && now.records >= least) return true;
    await sleep(20);
  }
  return false;
}

/** Starts a fit into `out` and waits until --resume could go on with rows of it: what is fitted may be on its way yet. */
export async function startRecorded(
  home: Home,
  out: string,
  words: readonly string[],
): Promise<Running> {
  let running: Running | undefined;
  const isCaught = await untilRecorded(out, () => {
    running = home.start(words);
    return running.child;
  });
  if (running === undefined || !isCaught) throw new Error(`nothing recorded: ${running?.stderr}`);
  return running;
}
