/** What a head keeps on disk: its token and port, so that a restart has the same join string. */
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { currentOwner, type Owner, stateOfOwner } from "@fascicle/object-store";
import { whyNotToken } from "@fascicle/transport";
import { missingFolder, UsageError, whyNotFile } from "../errors.ts";
import { makePrivateDirectory, removeIfEmpty, stateHome, writePrivateFile } from "./discovery.ts";

interface HeadFile {
  readonly token: string;
  readonly port: number;
  /** The process that holds the directory now. */
  readonly owner: Owner;
}

export class StateDirectory {
  readonly path: string;
  readonly #isDefault: boolean;

  /** @param path given by the user, or undefined for the default one. */
  constructor(path: string | undefined) {
    this.path = path ?? join(stateHome(), "head");
    this.#isDefault = path === undefined;
  }

  /** Token and port of the last head here. Throws where one is alive, or the directory cannot be written. */
  open(): { token: string; port: number } | undefined {
    try {
      makePrivateDirectory(this.path);
    } catch (error) {
      throw new UsageError(
        `The state directory ${this.path} cannot be made (${whyNotFile(error, missingFolder)}): name a writable one with --state-dir.`,
      );
    }
    const last = this.#read();
    if (last !== undefined && stateOfOwner(last.owner) === "alive") {
      throw new UsageError(
        `A head of yours runs already (pid ${last.owner.pid}, port ${last.port}): stop it with \`runtime stop\`, or give this one its own --state-dir and --port.`,
      );
    }
    return last;
  }

  save(token: string, port: number): void {
    const file: HeadFile = { token, port, owner: currentOwner() };
    try {
      writePrivateFile(this.#file, JSON.stringify(file));
    } catch (error) {
      throw new UsageError(
        `The state directory ${this.path} cannot be written (${whyNotFile(error, missingFolder)}): name a writable one with --state-dir.`,
      );
    }
  }

  /** For how long the head that held it has been dead; undefined where there is none, or it is alive or of another host. */
  deadForMs(): number | undefined {
    try {
      const last = this.#read();
      if (last === undefined || stateOfOwner(last.owner) !== "dead") return undefined;
      return Date.now() - statSync(this.#file).mtimeMs;
    } catch {
      return undefined;
    }
  }

  /** No fit is in it any more. */
  removeJournal(): void {
    rmSync(join(this.path, "journal"), { force: true });
  }

  /** A head that stops in good order leaves nothing, but for token and port where the directory is the user's own. */
  close(): void {
    this.removeJournal();
    if (!this.#isDefault) return;
    rmSync(this.#file, { force: true });
    this.discardIfEmpty();
  }

  /** A head that could not start leaves no empty directory; what an earlier one kept stays. */
  discardIfEmpty(): void {
    if (!this.#isDefault) return;
    removeIfEmpty(this.path);
    removeIfEmpty(stateHome());
  }

  /** Where a detached head writes its log. */
  get logFile(): string {
    return join(this.path, "head.log");
  }

  get #file(): string {
    return join(this.path, "head.json");
  }

  #read(): HeadFile | undefined {
    if (!existsSync(this.#file)) return undefined;
    try {
      const file = JSON.parse(readFileSync(this.#file, "utf8")) as HeadFile;
      const isPort = Number.isInteger(file.port) && file.port > 0 && file.port < 65536;
      const isOwned = typeof file.owner?.pid === "number" && typeof file.owner.bootId === "string";
      if (isPort && isOwned && whyNotToken(file.token) === undefined) return file;
    } catch {
      // Falls through: a file that cannot be read is no state.
    }
    throw new UsageError(
      `${this.#file} is damaged: remove it to start with a new token, or name another --state-dir.`,
    );
  }
}
