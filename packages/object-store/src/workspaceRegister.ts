/** Directories in which this user's processes made workspaces, so that whoever sweeps finds those of the dead. */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { strangeNoteMs } from "./limits.ts";
import { currentOwner } from "./owner.ts";
import { ownUid } from "./ownerFile.ts";
import { hashOf, PlaceRegister } from "./placeRegister.ts";
import { parseName } from "./workspaceName.ts";

/** Homes are shared between hosts, the disks that the notes speak of often are not. */
function register(): PlaceRegister {
  return new PlaceRegister("workspace-places", hostKey());
}

function hostKey(): string {
  const { machineId, hostName } = currentOwner();
  return hashOf(`${machineId} ${hostName}`).slice(0, 8);
}

export const noteParent = (parent: string) => register().note(parent);

/** All directories that are noted, by this host or another; notes of others go after a month. */
export function notedParents(): string[] {
  const own = hostKey();
  const notes = register().places();
  for (const { host, notedMs, entry } of notes) {
    if (host !== own && Date.now() - notedMs > strangeNoteMs) register().strikeOut(entry);
  }
  return [...new Set(notes.map(({ path }) => path))];
}

/** Strikes out a directory if no workspace of this user is in it any more. */
export function settleParent(parent: string): void {
  if (hasWorkspaces(parent)) return;
  register().forget(parent);
  // Whoever has made one meanwhile noted it before and after: between our two looks, or after them.
  if (hasWorkspaces(parent)) noteParent(parent);
}

function hasWorkspaces(parent: string): boolean {
  try {
    const names = readdirSync(parent).filter((name) => parseName(name) !== undefined);
    return names.some((name) => isOwn(join(parent, name)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== "ENOENT" && code !== "ENOTDIR";
  }
}

function isOwn(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && stats.uid === ownUid();
}
