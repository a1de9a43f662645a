/**
 * Where this user's ledgers are: they lie beside outputs all over the disk, and `status` and `gc` must find those
 * whose process died. One link a ledger, in the state directory; whoever looks strikes out what is gone.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { removeIfEmpty, stateHome } from "../head/discovery.ts";

const folder = () => join(stateHome(), "ledger-places");

const entryOf = (path: string) =>
  join(folder(), createHash("sha256").update(resolve(path)).digest("hex").slice(0, 16));

/** Notes where a ledger is. Without a state directory it is only not found by `status` and `gc`. */
export function noteLedger(path: string): void {
  try {
    mkdirSync(folder(), { recursive: true, mode: 0o700 });
    // A link is there whole or not at all, whenever its maker is killed.
    symlinkSync(resolve(path), entryOf(path));
  } catch {
    // It is noted already, or the ledger does its work all the same.
  }
}

/** The ledger is gone. */
export function forgetLedger(path: string): void {
  rmSync(entryOf(path), { force: true });
  removeIfEmpty(folder());
  removeIfEmpty(stateHome());
}

/** All that were noted and not forgotten, whether they are still there or not. What is no note of ours goes. */
export function notedLedgers(): string[] {
  return entries().flatMap((entry) => {
    try {
      return [readlinkSync(entry)];
    } catch (error) {
      // Struck out by another since we looked; or no link, and nothing that anybody would read.
      if ((error as NodeJS.ErrnoException).code === "EINVAL") {
        rmSync(entry, { recursive: true, force: true });
      }
      return [];
    }
  });
}

function entries(): string[] {
  try {
    return readdirSync(folder()).map((name) => join(folder(), name));
  } catch {
    return [];
  }
}
