/** A hidden directory inside the output directory, where files wait until all of them are whole. */
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { link, mkdir, mkdtemp, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { InputError } from "../model.ts";

/** A staging directory of another machine or container, whose processes we cannot see, is stale after this. */
const foreignStaleMs = 24 * 3600 * 1000;
const pattern = /^\.fascicle-([0-9a-f]{8})-(\d+)-(\d+)-/;

export class StagingDirectory {
  readonly path: string;
  readonly #directory: string;
  /** Output directories that did not exist before, innermost first. */
  readonly #created: readonly string[];

  private constructor(path: string, directory: string, created: readonly string[]) {
    this.path = path;
    this.#directory = directory;
    this.#created = created;
  }

  /** Makes the output directory where it is missing, and a staging directory of this process in it. */
  static async open(directory: string): Promise<StagingDirectory> {
    const created = await makeDirectories(resolve(directory));
    try {
      await sweepStale(directory);
      const path = await mkdtemp(join(directory, `${ownPrefix()}-`));
      return new StagingDirectory(path, directory, created);
    } catch (error) {
      await removeEmpty(created);
      throw writeError(error, directory);
    }
  }

  /**
   * Puts every staged file in its place and removes the files of `obsolete`. What stood there is kept
   * aside until the last file is in place, and put back if one cannot be placed.
   */
  async commit(names: readonly string[], obsolete: readonly string[]): Promise<void> {
    const aside: string[] = [];
    const placed: string[] = [];
    try {
      for (const name of [...names, ...obsolete]) {
        if (await this.#setAside(name, obsolete.includes(name))) aside.push(name);
      }
      for (const name of names) {
        await rename(join(this.path, name), join(this.#directory, name));
        placed.push(name);
      }
    } catch (error) {
      for (const name of placed) await rm(join(this.#directory, name), { force: true });
      for (const name of aside) {
        await rename(join(this.path, `${name}.old`), join(this.#directory, name));
      }
      throw writeError(error, this.#directory);
    }
    await rm(this.path, { recursive: true, force: true });
  }

  /** Leaves nothing behind: staged files go, and directories that were made for them. */
  async discard(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await removeEmpty(this.#created);
  }

  async #setAside(name: string, isObsolete: boolean): Promise<boolean> {
    const target = join(this.#directory, name);
    const old = join(this.path, `${name}.old`);
    const existing = await stat(target).catch(() => undefined);
    if (existing === undefined) return false;
    if (existing.isDirectory()) {
      throw new InputError(
        `"${target}" is a directory where a file is to be written; move it away.`,
      );
    }
    if (isObsolete) await rename(target, old);
    // With a second name the file stays in place until it is replaced; not every file system has them.
    else await link(target, old).catch(() => rename(target, old));
    return true;
  }
}

/**
 * Checks early that maps can be written to `directory`; nothing that it makes stays. Throws an
 * InputError where the directory, or the nearest one above it that exists, takes no files.
 */
export async function checkWritable(directory: string): Promise<void> {
  let nearest = resolve(directory);
  for (;;) {
    const found = await stat(nearest).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw writeError(error, directory);
    });
    if (found?.isDirectory()) break;
    if (found !== undefined) {
      const what = nearest === resolve(directory) ? "it" : `"${nearest}"`;
      throw new InputError(`Cannot write to "${directory}": ${what} is a file, not a directory.`);
    }
    nearest = dirname(nearest);
  }
  try {
    await rmdir(await mkdtemp(join(nearest, `${ownPrefix()}-`)));
  } catch (error) {
    throw writeError(error, directory);
  }
}

/** A sentence in place of a file system error. */
export function writeError(error: unknown, directory: string): unknown {
  if (!(error instanceof Error) || error instanceof InputError) return error;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new Error(`Cannot write to "${directory}": no space is left on its disk.`, {
      cause: error,
    });
  }
  const reasons: Readonly<Record<string, string>> = {
    EACCES: "permission denied",
    EPERM: "permission denied",
    EROFS: "its file system is read-only",
    ENOENT: "a directory cannot be made there",
    EEXIST: "it is a file, not a directory",
    ENOTDIR: "a part of its path is a file, not a directory",
  };
  return new InputError(
    `Cannot write to "${directory}": ${reasons[code] ?? code}; give another directory.`,
  );
}

/** Gives back the directories that were made, innermost first. */
async function makeDirectories(directory: string): Promise<string[]> {
  try {
    const first = await mkdir(directory, { recursive: true });
    if (first === undefined) return [];
    const created: string[] = [];
    for (let path = directory; path.length >= first.length; path = dirname(path)) {
      created.push(path);
    }
    return created;
  } catch (error) {
    throw writeError(error, directory);
  }
}

async function removeEmpty(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    // Someone else's file in it keeps it, and all above it.
    await rmdir(directory).catch(() => undefined);
  }
}

/** Removes staging directories whose process is dead. */
async function sweepStale(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const match = pattern.exec(name);
    if (match === null) continue;
    const path = join(directory, name);
    const [, machine, pid, startTime] = match;
    const stale =
      machine === machineTag()
        ? !isAlive(Number(pid), startTime)
        : await stat(path).then(
            ({ mtimeMs }) => Date.now() - mtimeMs > foreignStaleMs,
            () => false,
          );
    if (stale) await rm(path, { recursive: true, force: true });
  }
}

function ownPrefix(): string {
  return `.fascicle-${machineTag()}-${process.pid}-${startTimeOf(process.pid) ?? "0"}`;
}

/** What tells this machine, boot and process namespace from others that may share the disk. */
function machineTag(): string {
  const parts = [
    hostname(),
    attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
    attempt(() => readlinkSync("/proc/self/ns/pid")),
  ];
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 8);
}

function isAlive(pid: number, startTime: string): boolean {
  const found = startTimeOf(pid);
  if (found !== undefined) return found === startTime;
  if (startTime !== "0") return false;
  // Without /proc only the number of the process is known.
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When the process started, in clock ticks since boot; undefined where there is none or no /proc. */
function startTimeOf(pid: number): string | undefined {
  const line = attempt(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  // The name of the program, in brackets, may hold blanks; the 20th field behind it is the start.
  return line?.slice(line.lastIndexOf(")") + 2).split(" ")[19];
}

function attempt(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
