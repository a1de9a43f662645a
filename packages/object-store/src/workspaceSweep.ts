/** Removes the workspaces of dead processes, and no other. */
import { readdirSync } from "node:fs";
import { realpath, rename, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { socketName } from "./aliveSocket.ts";
import { silentOwnerMs } from "./limits.ts";
import { OpenDirectory } from "./openDirectory.ts";
import type { OwnerState } from "./owner.ts";
import { type OwnerRecord, ownUid, readOwnerFile, unfinishedOwnerFileName } from "./ownerFile.ts";
import { stateOf } from "./ownerState.ts";
import { whyNot } from "./workspaceErrors.ts";
import { parseName, type WorkspaceName } from "./workspaceName.ts";
import { settleParent } from "./workspaceRegister.ts";

/** A workspace that was found. */
export interface SweptWorkspace {
  readonly path: string;
  /** On the disk. */
  readonly bytes: number;
  /** `pid 12 on HOST`. */
  readonly who: string;
  /** What it was for; "" where that was never written. */
  readonly what: string;
  /** Of its owner. */
  readonly state: OwnerState;
  /** Why it is still there; undefined where it was removed, or would be but for a dry run. */
  readonly kept: string | undefined;
}

/**
 * Looks into these directories, as far as there are such, for workspaces of this user. Others may sweep, make and
 * remove workspaces there at the same time.
 */
export async function sweepWorkspaces(
  parents: readonly string[],
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<SweptWorkspace[]> {
  const folders = new Set<string>();
  for (const parent of parents) folders.add(await realpath(parent).catch(() => parent));
  const swept: SweptWorkspace[] = [];
  for (const folder of folders) {
    for (const file of namesIn(folder)) {
      const found = await treat(join(folder, file), file, dryRun);
      if (found !== undefined) swept.push(found);
    }
    if (!dryRun) settleParent(folder);
  }
  return swept;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Undefined where it is no workspace of this user, or another process removed it. */
async function treat(
  path: string,
  file: string,
  isDryRun: boolean,
): Promise<SweptWorkspace | undefined> {
  const name = parseName(file);
  // Whoever removes it is at it.
  if (name === undefined || name.remover === "alive") return undefined;
  const directory = OpenDirectory.open(path);
  if (directory === undefined) return undefined;
  try {
    const verdict = directory.uid === ownUid() ? await judge(directory, name) : undefined;
    if (verdict === undefined) return undefined;
    const found = { path, bytes: await directory.bytes(), ...verdict };
    if (found.state !== "dead" || isDryRun) return found;
    return await removed(found, directory, name);
  } finally {
    directory.close();
  }
}

async function removed(
  found: SweptWorkspace,
  directory: OpenDirectory,
  name: WorkspaceName,
): Promise<SweptWorkspace | undefined> {
  const gone = join(dirname(found.path), name.gone);
  try {
    // Of those who sweep at the same time, one can do this; nobody else comes upon it half removed.
    await rename(found.path, gone);
    const verdict = await judge(directory, name);
    if (verdict?.state !== "dead") {
      await rename(gone, found.path);
      return verdict && { ...found, ...verdict };
    }
    await directory.clear();
    await rmdir(gone);
    return found;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    return { ...found, kept: `it cannot be removed (${whyNot(error)})` };
  }
}

type Verdict = Pick<SweptWorkspace, "who" | "what" | "state" | "kept">;

/** Undefined where it is another user's. */
async function judge(directory: OpenDirectory, name: WorkspaceName): Promise<Verdict | undefined> {
  let record: OwnerRecord | undefined;
  try {
    record = readOwnerFile(directory.inside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return judgeUnfinished(directory, name);
  }
  const who = `pid ${record?.owner.pid ?? name.pid} on ${record?.owner.hostName ?? "some host"}`;
  if (record === undefined) {
    return { who, what: "", state: "unknown", kept: "what it says of its owner makes no sense" };
  }
  if (record.uid !== ownUid()) return undefined;
  const state = await stateOf(record.owner, directory.inside);
  return { who, what: record.what, state, kept: reasons[state] };
}

const reasons: Readonly<Record<OwnerState, string | undefined>> = {
  alive: "its process runs",
  dead: undefined,
  unknown: "its process cannot be seen from here, and may run",
};

/** One that does not say whose it is: just being made, or its maker died at that; or its remover at the very end. */
function judgeUnfinished(directory: OpenDirectory, name: WorkspaceName): Verdict {
  const who = `pid ${name.pid}`;
  const isOurs = namesIn(directory.inside).every((file) => ownNames.has(file));
  if (!isOurs) {
    return { who, what: "", state: "unknown", kept: "it does not say whose it is" };
  }
  const isOld = Date.now() - directory.mtimeMs > silentOwnerMs;
  const state = name.maker === "unknown" && isOld ? "dead" : name.maker;
  const kept = state === "unknown" ? "it may be just being made" : reasons[state];
  return { who, what: "", state, kept };
}

/** What is in a workspace before its owner's file is. */
const ownNames = new Set([socketName, unfinishedOwnerFileName]);
