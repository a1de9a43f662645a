/** The ledgers that `status` shows and `gc` removes. */
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { HeldDirectory, holderOf } from "./ledgerDirectory.ts";
import { forgetLedger, notedLedgers } from "./ledgerPlaces.ts";

/** A ledger that is there. */
export interface KnownLedger {
  readonly path: string;
  readonly bytes: number;
  readonly isAlive: boolean;
  /** `pid 12 on HOST`. */
  readonly who: string;
  /** When its process was last heard of, milliseconds since 1970. */
  readonly heardMs: number;
}

/** The ledgers of this user on this host; those that are gone are forgotten. */
export async function knownLedgers(): Promise<KnownLedger[]> {
  const known: KnownLedger[] = [];
  for (const path of notedLedgers()) {
    const holder = await holderOf(path);
    if (holder === undefined) {
      forgetLedger(path);
      continue;
    }
    const { isAlive, who, heardMs } = holder;
    known.push({ path, bytes: bytesIn(path), isAlive, who, heardMs });
  }
  return known.sort((a, b) => a.heardMs - b.heardMs);
}

/** Removes the ledger of a dead process; false where another process took it first. */
export async function removeLedger(path: string): Promise<boolean> {
  const holder = await holderOf(path);
  if (holder === undefined) return true;
  if (holder.isAlive) return false;
  const held = await HeldDirectory.take(path, holder);
  await held?.remove();
  return held !== undefined;
}

/** The output that a ledger lies beside. */
export const outputOf = (path: string) => resolve(path, "..");

function bytesIn(path: string): number {
  try {
    return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
  } catch {
    return 0;
  }
}

function sizeOf(file: string): number {
  try {
    // What is on the disk: rows that are not written yet are holes.
    return statSync(file).blocks * 512;
  } catch {
    return 0;
  }
}
