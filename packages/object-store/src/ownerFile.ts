/** The file in a workspace that says whose it is, and whose time says when its owner was last heard of. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { rename, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ownerFileBytesLimit } from "./limits.ts";
import type { Owner } from "./owner.ts";

/** Removed last: until then everybody can tell whose the rest is. */
export const ownerFileName = "owner.json";
export const unfinishedOwnerFileName = "owner.json.tmp";

export interface OwnerRecord {
  readonly version: 1;
  readonly owner: Owner;
  /** User number, as the user's own processes see it. */
  readonly uid: number;
  /** What the workspace is for, for people. */
  readonly what: string;
}

/** The user whose files this process makes; 0 where the system has no users, as its files say then. */
export const ownUid = () => process.geteuid?.() ?? 0;

/** Written whole or not at all. */
export async function writeOwnerFile(directory: string, record: OwnerRecord): Promise<void> {
  const unfinished = join(directory, unfinishedOwnerFileName);
  await writeFile(unfinished, JSON.stringify(record), { mode: 0o600, flag: "wx" });
  await rename(unfinished, join(directory, ownerFileName));
}

/** Undefined where it makes no sense; throws where it is missing or cannot be read. Follows no link. */
export function readOwnerFile(directory: string): OwnerRecord | undefined {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const descriptor = openSync(join(directory, ownerFileName), flags);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.uid !== ownUid()) return undefined;
    const bytes = Buffer.alloc(ownerFileBytesLimit);
    const length = readSync(descriptor, bytes, 0, ownerFileBytesLimit, 0);
    const record = JSON.parse(bytes.toString("utf8", 0, length)) as OwnerRecord;
    return isOwnerRecord(record) ? record : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

function isOwnerRecord(record: OwnerRecord): boolean {
  const { version, owner, uid, what } = record;
  const words = [owner.startTime, owner.bootId, owner.machineId, owner.pidNamespace];
  return (
    version === 1 &&
    Number.isInteger(uid) &&
    Number.isInteger(owner.pid) &&
    [...words, owner.hostName, what].every((word) => typeof word === "string")
  );
}

/** Says that the owner lives. */
export async function beat(directory: string): Promise<void> {
  const now = new Date();
  await utimes(join(directory, ownerFileName), now, now);
}

/** When the owner was last heard of, milliseconds since 1970. */
export async function heardMs(directory: string): Promise<number> {
  return (await stat(join(directory, ownerFileName))).mtimeMs;
}
