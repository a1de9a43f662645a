/** Where a user's processes on this host find each other and what they left. */
import { rmdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** `$XDG_STATE_HOME/fascicle`, by default `~/.local/state/fascicle`. */
export function stateHome(): string {
  const base = process.env.XDG_STATE_HOME || join(homedir(), ".local", "state");
  return join(base, "fascicle");
}

/** Removes a directory if nothing is in it. */
export function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Something is in it, or it is gone already: either is fine.
  }
}
