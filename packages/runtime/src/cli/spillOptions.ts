/** The options that say where objects go which do not fit in memory. */
import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { WorkspaceError } from "@fascicle/object-store";
import { Option } from "commander";
import { defaultSpillLimitBytes } from "../fit/scratch.ts";
import { parseBytes } from "./parse.ts";

export const spillDirOption = () =>
  new Option(
    "--spill-dir <DIR>",
    `where objects go that do not fit in memory (default: ${tmpdir()})`,
  );

export const spillLimitOption = () =>
  new Option("--spill-limit <SIZE>", "bytes that they may take there, never passed")
    .argParser(parseBytes)
    .default(defaultSpillLimitBytes, "20GiB");

/** Whoever names a directory should hear at once that it cannot be used. Throws `WorkspaceError`. */
export async function checkSpillDir(directory: string | undefined): Promise<void> {
  if (directory === undefined) return;
  try {
    await rmdir(await mkdtemp(join(directory, "fascicle-try-")));
  } catch (error) {
    throw WorkspaceError.of(directory, error);
  }
}

/** The same for a worker that is a child of this process. */
export function memoryArguments(options: {
  readonly objectMemory: number;
  readonly spillDir?: string | undefined;
  readonly spillLimit: number;
}): string[] {
  const { objectMemory, spillDir, spillLimit } = options;
  const words = ["--object-memory", String(objectMemory), "--spill-limit", String(spillLimit)];
  return spillDir === undefined ? words : [...words, "--spill-dir", resolve(spillDir)];
}
