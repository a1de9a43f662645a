/** Room on disk for objects that do not fit in memory: bounded, checksummed, and gone when it is closed. */
import { join } from "node:path";
import type { ScratchSpace } from "@fascicle/core";
import { SpillError } from "./spillErrors.ts";
import { SpillFile } from "./spillFile.ts";
import { SpillRoom } from "./spillRoom.ts";

/** Bytes of the disk that stay free for others, unless said otherwise. */
export const freeFloorBytesDefault = 2 ** 30;

/** Writers wait so long for bytes that nobody seems to free, unless said otherwise. */
export const spillPatienceMsDefault = 10_000;

export interface SpillSpaceOptions {
  /** Where the files are to be; asked when the first is made. Whoever made the directory removes it, after `close`. */
  readonly directory: () => Promise<string>;
  /** All files together never have more bytes than this. */
  readonly limitBytes: number;
  readonly freeFloorBytes?: number;
  /**
   * Whether bytes may yet be freed while every writer waits. Asked while they do; when it is false for `patienceMs` and
   * nothing is freed in that time, they fail. Without it: whether the files hold anything at all, so that only a disk
   * that others filled ends the waiting.
   */
  readonly mayFree?: () => boolean;
  readonly patienceMs?: number;
  /** Why writers wait, in words that follow "waiting, since"; undefined when none waits any more. */
  readonly onWait?: (reason: string | undefined) => void;
}

/** The spill files of one process and owner. Nothing is ever synchronised to the disk: files do not outlive their process. */
export class SpillSpace implements ScratchSpace {
  readonly #options: SpillSpaceOptions;
  readonly #files = new Set<SpillFile>();
  readonly #making = new Set<Promise<unknown>>();
  #room: Promise<{ directory: string; room: SpillRoom }> | undefined;
  #openRoom: SpillRoom | undefined;
  #fileCount = 0;
  #closed: Promise<void> | undefined;

  constructor(options: SpillSpaceOptions) {
    this.#options = options;
  }

  get limitBytes(): number {
    return this.#options.limitBytes;
  }

  /** Bytes of all files, on disk or about to be: what counts against the limit. */
  get usedBytes(): number {
    return this.#openRoom?.usedBytes ?? 0;
  }

  /** The most that `usedBytes` was. */
  get peakBytes(): number {
    return this.#openRoom?.peakBytes ?? 0;
  }

  /** Bytes of pieces that were written and not freed. */
  get takenBytes(): number {
    let bytes = 0;
    for (const file of this.#files) bytes += file.takenBytes;
    return bytes;
  }

  /** Makes a file, named after `name`. Throws `SpillError`, or what `directory` throws. */
  async create(name: string): Promise<SpillFile> {
    const making = this.#create(name);
    this.#making.add(making);
    try {
      return await making;
    } finally {
      this.#making.delete(making);
    }
  }

  /** Removes all files. Who waits or comes later gets a `SpillError`. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #create(name: string): Promise<SpillFile> {
    this.#mustBeOpen();
    const { directory, room } = await this.#opened();
    this.#mustBeOpen();
    const fileName = `${name.replace(/[^\w.-]/g, "_").slice(0, 100)}-${++this.#fileCount}.spill`;
    const file = await SpillFile.create(join(directory, fileName), room, (removed) => {
      this.#files.delete(removed);
    });
    this.#files.add(file);
    return file;
  }

  /** Asks for the directory once; again where that failed. */
  async #opened(): Promise<{ directory: string; room: SpillRoom }> {
    this.#room ??= this.#open().catch((error) => {
      this.#room = undefined;
      throw error;
    });
    return this.#room;
  }

  async #open(): Promise<{ directory: string; room: SpillRoom }> {
    const { limitBytes, freeFloorBytes, patienceMs, mayFree, onWait } = this.#options;
    const directory = await this.#options.directory();
    const room = new SpillRoom({
      directory,
      limitBytes,
      freeFloorBytes: freeFloorBytes ?? freeFloorBytesDefault,
      patienceMs: patienceMs ?? spillPatienceMsDefault,
      mayFree: mayFree ?? (() => this.takenBytes > 0),
      onWait: onWait ?? (() => {}),
      onShortage: () => {
        for (const file of this.#files) file.trim();
      },
    });
    this.#openRoom = room;
    return { directory, room };
  }

  #mustBeOpen(): void {
    if (this.#closed !== undefined) {
      throw new SpillError("The room for objects on disk is closed: what used it has ended.");
    }
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#making);
    const removals = await Promise.allSettled([...this.#files].map((file) => file.remove()));
    const failed = removals.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  }
}
