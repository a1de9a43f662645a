/** Room on disk for what does not fit in memory: there while a file is in it, bounded, and gone with the last one. */
import { tmpdir } from "node:os";
import type { ScratchFile, ScratchPiece, ScratchSpace } from "@fascicle/core";
import { SpillSpace, Workspace } from "@fascicle/object-store";
import { UsageError } from "../errors.ts";

/** Bytes that may be on disk at once, unless said otherwise. */
export const defaultSpillLimitBytes = 20 * 2 ** 30;

export interface ScratchOptions {
  /** Directory in which one of its own is made, for this user alone. Default: the system's for temporary files. */
  readonly spillDir?: string | undefined;
  /** Bytes on disk, never passed. Default 20 GiB. */
  readonly spillLimitBytes?: number | undefined;
  /** What it is for, for people who find it. */
  readonly what?: string;
  /** Hears why writing waits, in words that follow "waiting, since"; undefined when it goes on. */
  readonly onWait?: (reason: string | undefined) => void;
  /** Writing waits this long for room on disk before it fails, milliseconds. Default 10,000. */
  readonly patienceMs?: number;
}

export interface ScratchUse {
  /** Bytes on disk now, and the most there ever were. */
  readonly usedBytes: number;
  readonly peakBytes: number;
  /** Time that writings and readings took. */
  readonly seconds: number;
}

/** A directory of its own, from the first file to the last. */
interface Place {
  readonly space: SpillSpace;
  workspace: Promise<Workspace> | undefined;
  /** Files that are there or being made. */
  files: number;
}

/** Room on disk for signals (`openDwi`) and results (`fitChunked`) that are larger than memory. */
export class Scratch implements ScratchSpace {
  readonly spillDir: string;
  readonly limitBytes: number;
  readonly #options: ScratchOptions;
  #place: Place | undefined;
  readonly #leaving = new Set<Promise<void>>();
  #peakBytes = 0;
  #milliseconds = 0;
  #waitsSince: string | undefined;

  constructor(options: ScratchOptions = {}) {
    this.spillDir = options.spillDir ?? tmpdir();
    this.limitBytes = options.spillLimitBytes ?? defaultSpillLimitBytes;
    if (!(typeof this.limitBytes === "number" && this.limitBytes > 0)) {
      throw new UsageError(
        `The spill limit must be a number of bytes above 0, not ${String(this.limitBytes)}.`,
      );
    }
    this.#options = options;
  }

  get use(): ScratchUse {
    const { usedBytes = 0, peakBytes = 0 } = this.#place?.space ?? {};
    this.#peakBytes = Math.max(this.#peakBytes, peakBytes);
    return { usedBytes, peakBytes: this.#peakBytes, seconds: this.#milliseconds / 1000 };
  }

  /** Why writing waits; undefined where it does not. */
  get waitsSince(): string | undefined {
    return this.#waitsSince;
  }

  /** Throws `SpillError` or `WorkspaceError` where there can be no file. */
  async create(name: string): Promise<ScratchFile> {
    this.#place ??= this.#newPlace();
    const place = this.#place;
    place.files++;
    let file: ScratchFile;
    try {
      file = await place.space.create(name);
    } catch (error) {
      await this.#fileGone(place);
      throw error;
    }
    let removal: Promise<void> | undefined;
    return {
      write: (parts) => this.#timed(file.write(parts)),
      read: (piece: ScratchPiece, into) => this.#timed(file.read(piece, into)),
      free: (piece) => file.free(piece),
      remove: () => {
        removal ??= Promise.resolve(file.remove()).finally(() => this.#fileGone(place));
        return removal;
      },
    };
  }

  /** Removes everything. Throws where something stays. */
  async remove(): Promise<void> {
    const place = this.#place;
    this.#place = undefined;
    if (place !== undefined) await this.#leave(place);
    await Promise.all(this.#leaving);
  }

  #newPlace(): Place {
    const { what = "a fit", patienceMs } = this.#options;
    const space = new SpillSpace({
      directory: async () => {
        place.workspace ??= Workspace.create(this.spillDir, what);
        return (await place.workspace).path;
      },
      limitBytes: this.limitBytes,
      // All that is in it belongs to fits that go on: only the disk may get room again.
      mayFree: () => false,
      onWait: (reason) => {
        this.#waitsSince = reason;
        this.#options.onWait?.(reason);
      },
      ...(patienceMs !== undefined && { patienceMs }),
    });
    const place: Place = { space, workspace: undefined, files: 0 };
    return place;
  }

  /** The directory goes with its last file: between fits there is nothing on disk. */
  async #fileGone(place: Place): Promise<void> {
    if (--place.files > 0 || this.#place !== place) return;
    this.#place = undefined;
    await this.#leave(place);
  }

  #leave({ space, workspace }: Place): Promise<void> {
    this.#peakBytes = Math.max(this.#peakBytes, space.peakBytes);
    const leaving = (async () => {
      await space.close();
      const made = await workspace?.catch(() => undefined);
      await made?.remove();
    })();
    const kept = leaving.finally(() => this.#leaving.delete(kept));
    this.#leaving.add(kept);
    return kept;
  }

  async #timed<T>(work: PromiseLike<T>): Promise<T> {
    const begunMs = performance.now();
    try {
      return await work;
    } finally {
      this.#milliseconds += performance.now() - begunMs;
    }
  }
}
