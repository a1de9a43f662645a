/** Where on the disk a user's processes left something: one link a place, in the user's state directory. */
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { removeIfEmpty, stateHome } from "./stateHome.ts";

/** A place that was noted and not forgotten, whether it is still there or not. */
export interface NotedPlace {
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly notedMs: number;
  /** By whom, where the register tells hosts apart. */
  readonly host: string;
  /** The note itself. */
  readonly entry: string;
}

/** Others who leave may remove the empty folder between its making and the first note: that is tried again so often. */
const noteAttempts = 10;

export class PlaceRegister {
  readonly #name: string;
  readonly #host: string;

  /** @param name of its folder; @param host what tells this host's notes from others', "" where all are one's own. */
  constructor(name: string, host = "") {
    this.#name = name;
    this.#host = host;
  }

  /** Without a state directory the place is only not found later. */
  note(path: string): void {
    for (let attempt = 0; attempt < noteAttempts; attempt++) {
      try {
        mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
        // A link is there whole or not at all, whenever its maker is killed.
        symlinkSync(resolve(path), this.#entryOf(path));
        return;
      } catch (error) {
        // It is noted already, or whoever notes it does his work all the same.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") return;
      }
    }
  }

  forget(path: string): void {
    this.strikeOut(this.#entryOf(path));
  }

  /** Removes a note, this host's or another's. */
  strikeOut(entry: string): void {
    try {
      rmSync(entry, { force: true });
    } catch {
      // A state directory that cannot be written keeps its notes.
    }
    removeIfEmpty(this.#folder);
    removeIfEmpty(stateHome());
  }

  /** What is no note of ours goes. */
  places(): NotedPlace[] {
    return this.#entries().flatMap((name) => {
      const entry = join(this.#folder, name);
      try {
        const path = readlinkSync(entry);
        const notedMs = lstatSync(entry).mtimeMs;
        return [{ path, notedMs, host: name.slice(hashLetters + 1), entry }];
      } catch (error) {
        // Struck out by another since we looked; or no link, and nothing that anybody would read.
        if ((error as NodeJS.ErrnoException).code === "EINVAL") {
          rmSync(entry, { recursive: true, force: true });
        }
        return [];
      }
    });
  }

  get #folder(): string {
    return join(stateHome(), this.#name);
  }

  #entryOf(path: string): string {
    const hash = hashOf(resolve(path));
    return join(this.#folder, this.#host === "" ? hash : `${hash}-${this.#host}`);
  }

  #entries(): string[] {
    try {
      return readdirSync(this.#folder);
    } catch {
      return [];
    }
  }
}

const hashLetters = 16;

/** A short name for something long. */
export const hashOf = (text: string) =>
  createHash("sha256").update(text).digest("hex").slice(0, hashLetters);
