/** A file on this host that is the one a driver has read, until it is changed. */
import type { BigIntStats } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import type { InputFile } from "../io/inputFile.ts";
import { openInput } from "../io/inputFile.ts";
import { OriginError } from "./originError.ts";
import type { VolumeParameters } from "./parameters.ts";

/** What differs between two states of a file, or between two files. */
const stateKeys = ["dev", "ino", "size", "mtimeNs", "ctimeNs"] as const;

export class SameFile {
  readonly input: InputFile;
  readonly #state: BigIntStats;

  /** Opens it. Throws `OriginError` where there is none of this path, size and modification time. */
  static async open({ path, sizeBytes, mtimeNs }: VolumeParameters): Promise<SameFile> {
    let input: InputFile | undefined;
    try {
      // What the driver said has no links in it: one here would lead to another file than it meant.
      if ((await realpath(path)) !== path)
        throw new OriginError(`"${path}" is a link on this host.`);
      // Devices do things when they are merely opened, and the path is a stranger's.
      if (!(await stat(path)).isFile())
        throw new OriginError(`"${path}" is not a regular file on this host.`);
      input = await openInput(path, "dwi");
      const state = await input.handle.stat({ bigint: true });
      if (state.size !== BigInt(sizeBytes)) {
        throw new OriginError(`"${path}" has ${state.size} bytes on this host, not ${sizeBytes}.`);
      }
      if (String(state.mtimeNs) !== mtimeNs) {
        throw new OriginError(`"${path}" has another modification time on this host.`);
      }
      return new SameFile(input, state);
    } catch (error) {
      await input?.handle.close();
      throw refusal(error, path);
    }
  }

  private constructor(input: InputFile, state: BigIntStats) {
    this.input = input;
    this.#state = state;
  }

  /** Names this state of the file, as far as the file system can tell. */
  get key(): string {
    return stateKeys.map((key) => this.#state[key]).join(" ");
  }

  /** When it was last changed, in milliseconds since 1970. */
  get changedMs(): number {
    return Number(
      this.#state.ctimeNs > this.#state.mtimeNs ? this.#state.ctimeMs : this.#state.mtimeMs,
    );
  }

  /** Throws `OriginError` where it has been changed since it was opened: what was read may be wrong. */
  async confirm(): Promise<void> {
    const state = await this.input.handle.stat({ bigint: true });
    if (stateKeys.every((key) => state[key] === this.#state[key])) return;
    throw new OriginError(`"${this.input.path}" was changed on this host while it was read.`);
  }

  async close(): Promise<void> {
    await this.input.handle.close();
  }
}

/** The reason why a file is not read from, where an error is one. */
export function refusal(error: unknown, path: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new OriginError(`"${path}" is not there on this host.`);
  }
  if (code === "EACCES" || code === "EPERM" || code === "ELOOP") {
    return new OriginError(`"${path}" cannot be read on this host (${code}).`);
  }
  return code === "INPUT" ? new OriginError(message) : error;
}
