/** A directory for scratch files. It ends with its process, or whoever comes later sees that the process is dead. */
import { rmdirSync } from "node:fs";
import { realpath, rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import tmp from "tmp";
import { AliveSocket } from "./aliveSocket.ts";
import { createAttempts, workspaceHeartbeatMs } from "./limits.ts";
import { OpenDirectory } from "./openDirectory.ts";
import { currentOwner } from "./owner.ts";
import { beat, ownUid, writeOwnerFile } from "./ownerFile.ts";
import { WorkspaceError } from "./workspaceErrors.ts";
import { nameParts } from "./workspaceName.ts";
import { noteParent, settleParent } from "./workspaceRegister.ts";

/**
 * The workspaces of this process, for its end: identity by path. Where others may rename what is in a folder, another
 * directory may have come to bear the name of one that is ours to remove.
 */
const live = new Map<string, string>();
let isExitWatched = false;

export class Workspace {
  readonly path: string;
  readonly #socket: AliveSocket | undefined;
  readonly #heartbeat: NodeJS.Timeout;
  #removal: Promise<void> | undefined;

  private constructor(path: string, socket: AliveSocket | undefined) {
    this.path = path;
    this.#socket = socket;
    this.#heartbeat = setInterval(() => {
      void beat(path).catch(() => {});
      noteParent(dirname(path));
    }, workspaceHeartbeatMs).unref();
  }

  /**
   * Makes one in a directory, which only this user may look into.
   * @param what it is for, for people who find it.
   * Throws `WorkspaceError` where that directory is missing, full or not writable.
   */
  static async create(parent: string, what: string): Promise<Workspace> {
    let folder = parent;
    try {
      folder = await realpath(parent);
      return await Workspace.#make(folder, what);
    } catch (error) {
      settleParent(folder);
      throw WorkspaceError.of(parent, error);
    }
  }

  static async #make(folder: string, what: string): Promise<Workspace> {
    for (let attempt = 1; ; attempt++) {
      const path = makeDirectory(folder);
      const socket = await AliveSocket.open(path);
      try {
        await writeOwnerFile(path, { version: 1, owner: currentOwner(), uid: ownUid(), what });
        return new Workspace(path, socket);
      } catch (error) {
        await socket?.close();
        forget(path);
        await rm(path, { recursive: true, force: true });
        // This process was stopped for so long that somebody took the directory for one of a dead process.
        const isTaken = (error as NodeJS.ErrnoException).code === "ENOENT";
        if (!isTaken || attempt === createAttempts) throw error;
      }
    }
  }

  /** What its files take on the disk. */
  async bytes(): Promise<number> {
    const directory = OpenDirectory.open(this.path);
    if (directory === undefined) return 0;
    try {
      return await directory.bytes();
    } finally {
      directory.close();
    }
  }

  /** Resolves when it is gone, whoever removed it. Throws `WorkspaceError` where it stays; then it can be tried again. */
  remove(): Promise<void> {
    this.#removal ??= this.#remove().catch((error) => {
      this.#removal = undefined;
      throw WorkspaceError.ofRemoval(this.path, error);
    });
    return this.#removal;
  }

  async #remove(): Promise<void> {
    const directory = OpenDirectory.openSame(this.path, live.get(this.path) ?? "");
    try {
      await directory?.clear();
    } finally {
      directory?.close();
    }
    await this.#socket?.close();
    if (directory !== undefined) await rmdir(this.path).catch(unlessMissing);
    clearInterval(this.#heartbeat);
    forget(this.path);
    settleParent(dirname(this.path));
  }
}

/** Notes its parent before and after, see `settleParent`. */
function makeDirectory(folder: string): string {
  watchExit();
  noteParent(folder);
  // At once, and not by a promise: an end of this process in between would not know of it.
  const { name } = tmp.dirSync({ ...nameParts(), tmpdir: folder, mode: 0o700, keep: true });
  const made = OpenDirectory.open(name);
  live.set(name, made?.identity ?? "");
  made?.close();
  noteParent(folder);
  return name;
}

function forget(path: string): void {
  live.delete(path);
  if (live.size === 0) for (const signal of endSignals) process.off(signal, endedBy);
}

/** What ends a process that does not listen, without the `exit` event. */
const endSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Nobody else listens: the process ends of it as it would have, but for its scratch. */
function endedBy(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  for (const [path, identity] of live) removeNow(path, identity);
  for (const each of endSignals) process.off(each, endedBy);
  process.kill(process.pid, signal);
}

function watchExit(): void {
  for (const signal of endSignals) {
    process.off(signal, endedBy);
    process.on(signal, endedBy);
  }
  if (isExitWatched) return;
  isExitWatched = true;
  process.on("exit", () => {
    for (const [path, identity] of live) removeNow(path, identity);
  });
}

function removeNow(path: string, identity: string): void {
  const directory = OpenDirectory.openSame(path, identity);
  try {
    directory?.clearNow();
    if (directory !== undefined) rmdirSync(path);
  } catch {
    // Whoever starts next sweeps it.
  }
  settleParent(dirname(path));
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
