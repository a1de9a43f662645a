/**
 * Who may write to a directory. Its files `claim-N` name the processes that held it, each made with a number that no
 * other can take: the highest one holds it, if its process lives.
 */
import { readFileSync } from "node:fs";
import { link, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { currentOwner, type Owner } from "@fascicle/object-store";

const claimPattern = /^claim-(\d+)$/;

export const claimFile = (path: string, claim: number) => join(path, `claim-${claim}`);

/** Numbers of the claims on a directory; undefined where there is no such directory. */
export async function claimsOn(path: string): Promise<number[] | undefined> {
  const names = await readdir(path).catch(() => undefined);
  return names
    ?.map((name) => Number(claimPattern.exec(name)?.[1] ?? 0))
    .filter((claim) => claim > 0);
}

/** Number of the last claim on a directory; 0 where there is none, undefined where there is no such directory. */
export async function lastClaim(path: string): Promise<number | undefined> {
  const claims = await claimsOn(path);
  return claims === undefined ? undefined : Math.max(0, ...claims);
}

/** Whose claim it is; undefined where that cannot be read. */
export async function readClaim(file: string): Promise<Owner | undefined> {
  try {
    const owner = JSON.parse(await readFile(file, "utf8")) as Owner;
    return typeof owner.pid === "number" && typeof owner.bootId === "string" ? owner : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it is still this process's: another may have taken it for dead. */
export function isOwnClaim(file: string): boolean {
  try {
    return readFileSync(file, "utf8") === JSON.stringify(currentOwner());
  } catch {
    return false;
  }
}

/**
 * Makes a claim of this process, whole or not at all: a death in between leaves no claim without a name. False where
 * another process has that one, or the directory is gone.
 */
export async function writeClaim(file: string): Promise<boolean> {
  const words = JSON.stringify(currentOwner());
  const unfinished = `${file}.${process.pid}`;
  try {
    await writeFile(unfinished, words, { mode: 0o600 });
    await linkOrWrite(unfinished, file, words);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOENT") return false;
    throw error;
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function linkOrWrite(from: string, to: string, words: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Not every file system has second names.
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP" && code !== "ENOSYS") {
      throw error;
    }
    await writeFile(to, words, { flag: "wx", mode: 0o600 });
  }
}

/** Removes the claims of the dead, and what of them was never finished. A live one in the making is made again. */
export async function removeOtherClaims(file: string): Promise<void> {
  const folder = dirname(file);
  for (const name of await readdir(folder)) {
    if (!name.startsWith("claim-") || name === basename(file)) continue;
    await rm(join(folder, name), { force: true });
  }
}
