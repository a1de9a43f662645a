/** The directory of a ledger, which one process at a time may write to. */
import { mkdir, readdir, rm, rmdir, stat, utimes } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { type Owner, stateOfOwner } from "@fascicle/object-store";
import { claimFile, claimsOn, isOwnClaim, lastClaim, readClaim, writeClaim } from "./claims.ts";
import { forgetLedger, noteLedger } from "./ledgerPlaces.ts";
import { heartbeatMs, ledgerLifetimeMs, silentHolderMs, unreadableClaimMs } from "./limits.ts";

const namePattern = /^\.fascicle-ledger-[0-9a-f]+$/;

export const ledgerName = (key: string) => `.fascicle-ledger-${key}`;

/** Who holds a ledger, as far as can be known from here. */
export interface Holder {
  readonly isAlive: boolean;
  /** Number of the last claim; 0 where there is none. */
  readonly claim: number;
  /** Whom that claim names; undefined where there is none, or it cannot be read. */
  readonly owner: Owner | undefined;
  /** `pid 12 on HOST`, or what can be said of one that has left it. */
  readonly who: string;
  /** When it last said so, milliseconds since 1970. */
  readonly heardMs: number;
}

/** Undefined where there is no such ledger. */
export async function holderOf(path: string): Promise<Holder | undefined> {
  const claim = await lastClaim(path);
  if (claim === undefined) return undefined;
  const file = claim === 0 ? path : claimFile(path, claim);
  const { mtimeMs: heardMs } = await stat(file).catch(() => ({ mtimeMs: Date.now() }));
  if (claim === 0) {
    return { isAlive: false, claim, owner: undefined, who: "a fit that could not go on", heardMs };
  }
  const silentMs = Date.now() - heardMs;
  const owner = await readClaim(file);
  if (owner === undefined) {
    return { isAlive: silentMs < unreadableClaimMs, claim, owner, who: "another process", heardMs };
  }
  const state = stateOfOwner(owner);
  const isAlive = state === "alive" || (state === "unknown" && silentMs < silentHolderMs);
  return { isAlive, claim, owner, who: `pid ${owner.pid} on ${owner.hostName}`, heardMs };
}

/** A ledger's directory that this process holds. */
export class HeldDirectory {
  readonly path: string;
  readonly #claimFile: string;
  readonly #heartbeat: NodeJS.Timeout;

  private constructor(path: string, file: string) {
    this.path = path;
    this.#claimFile = file;
    noteLedger(path);
    this.#heartbeat = setInterval(() => {
      const now = new Date();
      void utimes(file, now, now).catch(() => {});
    }, heartbeatMs).unref();
  }

  /** Takes the place of a dead holder; undefined where another process was faster. */
  static async take(path: string, dead: Holder): Promise<HeldDirectory | undefined> {
    const file = claimFile(path, dead.claim + 1);
    if (!(await writeClaim(file))) return undefined;
    if (!(await isNextAfter(file, dead))) {
      await rm(file, { force: true });
      return undefined;
    }
    if (dead.claim > 0) await rm(claimFile(path, dead.claim), { force: true });
    return new HeldDirectory(path, file);
  }

  /** Makes the directory, which only its owner may look into, and holds it; undefined where another process was faster. */
  static async make(path: string): Promise<HeldDirectory | undefined> {
    // Before it is there: a death in between must not leave what nobody finds.
    noteLedger(path);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const holder = await holderOf(path);
    if (holder === undefined || holder.isAlive) return undefined;
    try {
      return await HeldDirectory.take(path, holder);
    } catch (error) {
      await rmdir(path).catch(() => {});
      throw error;
    }
  }

  /** Leaves it as it is to whoever comes next. */
  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    if (isOwnClaim(this.#claimFile)) await rm(this.#claimFile, { force: true });
  }

  /** Removes what is in it, and goes on holding it. */
  async clear(): Promise<void> {
    const own = basename(this.#claimFile);
    for (const name of await readdir(this.path)) {
      if (name !== own) await rm(join(this.path, name), { recursive: true, force: true });
    }
  }

  /** Removes it, unless somebody took it for that of a dead process (one that slept long on a shared disk). */
  async remove(): Promise<void> {
    clearInterval(this.#heartbeat);
    if (isOwnClaim(this.#claimFile)) {
      try {
        await this.clear();
      } finally {
        // The claim goes last: whoever takes the directory after it finds nothing, and loses nothing to us.
        await rm(this.#claimFile, { force: true });
      }
    }
    if (await isRemoved(this.path)) forgetLedger(this.path);
  }
}

/**
 * Whether a claim that was just made follows the one that was seen to be dead. Meanwhile others may have come and gone,
 * and begun to count anew: their claim can have the number of the dead one, and be alive.
 */
async function isNextAfter(file: string, dead: Holder): Promise<boolean> {
  const path = dirname(file);
  const claims = (await claimsOn(path)) ?? [];
  const others = claims.filter((claim) => claimFile(path, claim) !== file);
  if (others.length === claims.length || Math.max(0, ...others) !== dead.claim) return false;
  if (dead.claim === 0) return true;
  const owner = await readClaim(claimFile(path, dead.claim));
  return JSON.stringify(owner) === JSON.stringify(dead.owner);
}

/** Removes an empty directory; false where something is in it. */
async function isRemoved(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return true;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}

/** The ledgers in a directory. */
export async function ledgersIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => namePattern.test(name)).map((name) => join(directory, name));
}

/** Removes those whose process died more than a day ago. `isOurs` says of a path whether this version may touch it. */
export async function sweepLedgers(
  paths: readonly string[],
  isOurs: (path: string) => Promise<boolean>,
): Promise<void> {
  for (const path of paths) {
    const holder = await holderOf(path);
    if (holder === undefined || holder.isAlive) continue;
    if (Date.now() - holder.heardMs < ledgerLifetimeMs || !(await isOurs(path))) continue;
    // One that cannot be removed is somebody else's.
    await HeldDirectory.take(path, holder)
      .then((held) => held?.remove())
      .catch(() => {});
  }
}

/** Makes a directory; gives how many of the path's last directories were not there before. */
export async function makeDirectories(directory: string): Promise<number> {
  const path = resolve(directory);
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return 0;
  let levels = 0;
  for (let at = path; at.length >= first.length; at = dirname(at)) levels++;
  return levels;
}

/** Removes that many of the path's last directories, as far as they are empty. */
export async function removeDirectories(directory: string, levels: number): Promise<void> {
  let path = resolve(directory);
  for (let level = 0; level < levels; level++) {
    try {
      await rmdir(path);
    } catch {
      return;
    }
    path = dirname(path);
  }
}
