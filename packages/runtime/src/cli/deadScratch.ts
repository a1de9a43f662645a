/** What dead processes of this user left on this host and nobody can use: workspaces, and logs of starts that came to nothing. */
import { tmpdir } from "node:os";
import { counted } from "@fascicle/core";
import { notedParents, type SweptWorkspace, sweepWorkspaces } from "@fascicle/object-store";
import { removeDeadStartingLogs } from "../head/detachedLogs.ts";
import { formatBytes } from "./parse.ts";

/** Workspaces of this user, in the temporary directory and wherever some were made; without a dry run the dead ones go. */
export function workspacesHere(isDryRun: boolean): Promise<SweptWorkspace[]> {
  return sweepWorkspaces([tmpdir(), ...notedParents()], { dryRun: isDryRun });
}

/** Those that are not a living process's. */
export async function deadWorkspaces(isDryRun: boolean): Promise<SweptWorkspace[]> {
  return (await workspacesHere(isDryRun)).filter(({ state }) => state !== "alive");
}

/**
 * What every command does that may make scratch itself, at its beginning. Says one line on stderr where it removed
 * something; never fails, and gives what it removed.
 */
export async function sweepDeadScratch(): Promise<SweptWorkspace[]> {
  try {
    removeDeadStartingLogs();
    const removed = (await deadWorkspaces(false)).filter(({ kept }) => kept === undefined);
    if (removed.length > 0) process.stderr.write(`runtime: ${removedSentence(removed)}\n`);
    return removed;
  } catch {
    // Nobody's work depends on it.
    return [];
  }
}

function removedSentence(removed: readonly SweptWorkspace[]): string {
  const bytes = formatBytes(removed.reduce((sum, workspace) => sum + workspace.bytes, 0));
  const who = [...new Set(removed.map((workspace) => workspace.who))].join(", ");
  return `removed what dead processes left (${who}): ${counted(removed.length, "scratch folder")}, ${bytes}`;
}
