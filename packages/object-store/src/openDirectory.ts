/** A directory held open: what is in it is reached whatever becomes of its name, and never through a link in its place. */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  rmSync,
} from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { removeAttempts } from "./limits.ts";
import { ownerFileName } from "./ownerFile.ts";

export class OpenDirectory {
  /** A path into it. */
  readonly inside: string;
  readonly uid: number;
  readonly mtimeMs: number;
  /** Tells it from any other directory that there is. */
  readonly identity: string;
  readonly #descriptor: number;

  private constructor(path: string, descriptor: number) {
    const link = `/proc/self/fd/${descriptor}`;
    const { uid, mtimeMs, dev, ino } = fstatSync(descriptor);
    this.inside = existsSync(link) ? link : path;
    this.uid = uid;
    this.mtimeMs = mtimeMs;
    this.identity = `${dev}/${ino}`;
    this.#descriptor = descriptor;
  }

  /** Undefined where there is no directory, or it may not be looked into. */
  static open(path: string): OpenDirectory | undefined {
    try {
      return new OpenDirectory(path, openSync(path, constants.O_DIRECTORY | constants.O_NOFOLLOW));
    } catch {
      return undefined;
    }
  }

  /** The same, if it is still the one of this identity; undefined where another has its name. */
  static openSame(path: string, identity: string): OpenDirectory | undefined {
    const directory = OpenDirectory.open(path);
    if (directory === undefined || directory.identity === identity) return directory;
    directory.close();
    return undefined;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** Bytes on the disk of all that is in it. */
  bytes(): Promise<number> {
    return bytesIn(this.inside);
  }

  /** Removes all that is in it, and last what says whose it is. */
  async clear(): Promise<void> {
    for (let attempt = 0; attempt < removeAttempts; attempt++) {
      const names = rest(await readdir(this.inside));
      if (names.length === 0) {
        await rm(join(this.inside, ownerFileName), { force: true });
        return;
      }
      for (const name of names) await rm(join(this.inside, name), removal);
    }
  }

  /** The same at once, for a process that ends. */
  clearNow(): void {
    for (const name of rest(readdirSync(this.inside))) rmSync(join(this.inside, name), removal);
    rmSync(join(this.inside, ownerFileName), { force: true });
  }
}

const removal = { recursive: true, force: true } as const;

const rest = (names: readonly string[]) => names.filter((name) => name !== ownerFileName);

async function bytesIn(path: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
    const file = join(path, entry.name);
    if (entry.isDirectory()) bytes += await bytesIn(file);
    // What is on the disk: what was never written is a hole.
    else bytes += ((await lstat(file).catch(() => undefined))?.blocks ?? 0) * 512;
  }
  return bytes;
}
