/** How much the files of one space may take of a disk, and who waits until there is room. */
import { statfs } from "node:fs/promises";
import { bytesInWords } from "./bytesInWords.ts";
import { SpillError } from "./spillErrors.ts";

/** A look at the free bytes of the disk is believed for this long; our own writes since are counted anyway. */
const diskLookMs = 200;

/** How often the disk is looked at while somebody waits. */
const diskPollMs = 500;

export interface SpillRoomOptions {
  /** A directory on the disk in question. */
  readonly directory: string;
  /** Bytes of all files together, never passed. */
  readonly limitBytes: number;
  /** Bytes that stay free on the disk for others. */
  readonly freeFloorBytes: number;
  /** For so long writers wait for bytes that, by `mayFree`, nobody will free: then they fail. */
  readonly patienceMs: number;
  /** Whether anybody may yet free bytes while the writers that wait do just that. */
  readonly mayFree: () => boolean;
  /** Why writers wait, each time that changes; undefined when none waits any more. */
  readonly onWait: (reason: string | undefined) => void;
  /** Somebody begins to wait: whoever can shorten a file should (and then say `release`). */
  readonly onShortage: () => void;
}

/** Takes room in a file that may grow by at most `growthBytesLimit`; undefined where that is not enough. */
export type Place<T> = (growthBytesLimit: number) => T | undefined;

interface Waiter {
  readonly file: object;
  /** True when it has what it waited for; throws what its file has against it. */
  readonly attempt: () => boolean;
  readonly reject: (error: unknown) => void;
}

/**
 * The budget of a space. Bytes are counted before they are written, and a file counts as long as it is, whatever of it
 * is free, so the limit holds for the disk at every moment. Where writers wait, any that fits goes ahead, the
 * earliest first: one that is too large for now stops no small one on which others may depend.
 */
export class SpillRoom {
  readonly #options: SpillRoomOptions;
  readonly #waiting: Waiter[] = [];
  #usedBytes = 0;
  #peakBytes = 0;
  /** Growth that is counted and not written yet: the disk does not show it. */
  #pendingBytes = 0;
  #writtenBytes = 0;
  #disk:
    | { readonly freeBytes: number; readonly writtenBytes: number; readonly atMs: number }
    | undefined;
  #looking: Promise<void> | undefined;
  #retrying: Promise<void> | undefined;
  #shouldRetry = false;
  #poll: NodeJS.Timeout | undefined;
  #hopefulAtMs = 0;
  #reason: string | undefined;
  /** Else it is the disk that is full. */
  #isLimitReached = false;
  #saidReason: string | undefined;

  constructor(options: SpillRoomOptions) {
    this.#options = options;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Whether somebody waits. */
  get isShort(): boolean {
    return this.#waiting.length > 0;
  }

  /** Resolves with what `place` took for `file`, as soon as there is room; `bytes` is all that it needs. */
  async claim<T extends { readonly grownBytes: number }>(
    file: object,
    bytes: number,
    place: Place<T>,
  ): Promise<T> {
    const { limitBytes, directory } = this.#options;
    if (bytes > limitBytes) {
      throw new SpillError(
        `${bytesInWords(bytes)} of objects cannot be written to ${directory}, where at most ${bytesInWords(limitBytes)} may be: raise --spill-limit, or work on less at a time.`,
      );
    }
    await this.#look();
    const placed = this.#attempt(place);
    if (placed !== undefined) return placed;
    return new Promise<T>((resolve, reject) => {
      const attempt = () => {
        const later = this.#attempt(place);
        if (later !== undefined) resolve(later);
        return later !== undefined;
      };
      this.#wait({ file, attempt, reject });
    });
  }

  /** Growth that was claimed is on the disk now, or never will be. */
  settle(grownBytes: number): void {
    this.#pendingBytes -= grownBytes;
    this.#writtenBytes += grownBytes;
  }

  /** The files are shorter by so much. */
  release(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#lookAgain();
    this.freed();
  }

  /** Bytes within a file are free. */
  freed(): void {
    if (!this.isShort) return;
    this.#hopefulAtMs = performance.now();
    this.#retry();
  }

  /** Those that wait for this file, or for any, wait in vain. */
  abort(error: SpillError, file?: object): void {
    const aborted = this.#waiting.filter((waiter) => file === undefined || waiter.file === file);
    for (const waiter of aborted) {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.reject(error);
    }
    this.#announce();
  }

  #attempt<T extends { readonly grownBytes: number }>(place: Place<T>): T | undefined {
    const { limitBytes, freeFloorBytes, directory } = this.#options;
    const withinLimit = limitBytes - this.#usedBytes;
    const freeBytes = this.#freeBytes();
    const placed = place(Math.max(0, Math.min(withinLimit, freeBytes - freeFloorBytes)));
    if (placed === undefined) {
      this.#isLimitReached = withinLimit <= freeBytes - freeFloorBytes;
      this.#reason = this.#isLimitReached
        ? `the spill limit of ${bytesInWords(limitBytes)} is reached`
        : `only ${bytesInWords(Math.max(0, freeBytes))} is free on the disk of ${directory}, and ${bytesInWords(freeFloorBytes)} must stay free`;
      return undefined;
    }
    this.#usedBytes += placed.grownBytes;
    this.#pendingBytes += placed.grownBytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return placed;
  }

  /** What is free on the disk beyond our own writes that it may not show yet. */
  #freeBytes(): number {
    if (this.#disk === undefined) return 0;
    const { freeBytes, writtenBytes } = this.#disk;
    return freeBytes - (this.#writtenBytes - writtenBytes) - this.#pendingBytes;
  }

  /** Looks at the disk, unless that was just done. */
  async #look(): Promise<void> {
    if (this.#disk !== undefined && performance.now() - this.#disk.atMs < diskLookMs) return;
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  /** What was seen is too old; it is the best there is until somebody looks again. */
  #lookAgain(): void {
    if (this.#disk !== undefined) this.#disk = { ...this.#disk, atMs: Number.NEGATIVE_INFINITY };
  }

  async #lookNow(): Promise<void> {
    // What is written while the system counts may or may not be in its answer: it is taken off once more.
    const writtenBytes = this.#writtenBytes;
    const { directory } = this.#options;
    try {
      const { bavail, bsize } = await statfs(directory);
      this.#disk = { freeBytes: bavail * bsize, writtenBytes, atMs: performance.now() };
    } catch (error) {
      throw SpillError.of(error, "write objects to", directory);
    }
  }

  #wait(waiter: Waiter): void {
    this.#waiting.push(waiter);
    if (this.#waiting.length === 1) this.#hopefulAtMs = performance.now();
    this.#poll ??= setInterval(() => {
      this.#lookAgain();
      this.#retry();
    }, diskPollMs);
    this.#announce();
    this.#options.onShortage();
  }

  /** Tries all that wait again; once more, if something changes meanwhile. */
  #retry(): void {
    this.#shouldRetry = true;
    this.#retrying ??= this.#retryAll().finally(() => {
      this.#retrying = undefined;
    });
  }

  async #retryAll(): Promise<void> {
    while (this.#shouldRetry && this.isShort) {
      this.#shouldRetry = false;
      try {
        await this.#look();
      } catch (error) {
        this.abort(error as SpillError);
        return;
      }
      for (const waiter of [...this.#waiting]) this.#serve(waiter);
      if (this.isShort) this.#loseHope();
      this.#announce();
    }
  }

  #serve(waiter: Waiter): void {
    const index = this.#waiting.indexOf(waiter);
    if (index < 0) return;
    try {
      if (!waiter.attempt()) return;
    } catch (error) {
      waiter.reject(error);
    }
    this.#waiting.splice(index, 1);
    this.#hopefulAtMs = performance.now();
  }

  /** Ends the waiting when nothing was freed for a while and nothing will be. */
  #loseHope(): void {
    const { mayFree, patienceMs, directory } = this.#options;
    const nowMs = performance.now();
    if (mayFree()) this.#hopefulAtMs = nowMs;
    if (nowMs - this.#hopefulAtMs < patienceMs) return;
    this.abort(
      new SpillError(
        `Objects cannot be written to ${directory}: ${this.#reason}, and nothing that is there will be freed; ${this.#isLimitReached ? "raise --spill-limit" : "free some space there, or give a directory on another disk with --spill-dir"}.`,
      ),
    );
  }

  #announce(): void {
    if (!this.isShort) {
      clearInterval(this.#poll);
      this.#poll = undefined;
      this.#reason = undefined;
    }
    if (this.#reason === this.#saidReason) return;
    this.#saidReason = this.#reason;
    this.#options.onWait(this.#reason);
  }
}
