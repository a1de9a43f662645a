/** Fits that do not fit in memory: their words, what they have on disk, and what is left of them. */
import { existsSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Home, type Running, sleep } from "./cli.ts";

/** Directories that fits may spill into, made in a home. */
export function spillDirectory(home: Home, name = "spill"): string {
  const path = home.file(name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** Options with which the fit of `bigVolume` spills signals and results. */
export const little = (directory: string) => ["--object-memory", "6MiB", "--spill-dir", directory];

/** Files and directories below these, which need not exist. */
export function everythingIn(...folders: readonly string[]): string[] {
  return folders
    .filter(existsSync)
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) =>
        join(entry.parentPath, entry.name),
      ),
    );
}

/** The spill files below a directory whose names begin so, with their bytes. */
export function spillFiles(directory: string, name = ""): { path: string; bytes: number }[] {
  return everythingIn(directory)
    .filter((path) => path.endsWith(".spill") && path.includes(`/${name}`))
    .map((path) => ({ path, bytes: lstatSync(path, { throwIfNoEntry: false })?.size ?? 0 }));
}

/** Waits until a file of this name has bytes, while `running` runs; gives the path. */
export async function untilSpilled(
  running: Running,
  directory: string,
  name = "",
): Promise<string> {
  for (;;) {
    const file = spillFiles(directory, name).find(({ bytes }) => bytes > 0);
    if (file !== undefined) return file.path;
    if (running.child.exitCode !== null) {
      throw new Error(`it ended and never spilled:\n${running.stdout}\n${running.stderr}`);
    }
    await sleep(3);
  }
}

/** Waits until a condition holds; fails after 30 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const untilMs = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > untilMs) throw new Error(`never saw that ${what}`);
    await sleep(20);
  }
}
