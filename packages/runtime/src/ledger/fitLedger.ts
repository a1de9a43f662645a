/**
 * The ledger of a fit: finished rows and the record of them on disk, so that a fit whose process dies is continued
 * and not begun again. It lies beside the output (or in the user's state directory), is written in the background
 * and never waited for, and goes when the fit ends in good order.
 *
 * A row counts when it is read back and matches its checksum, so rows and journal need no order between them.
 */
import { join } from "node:path";
import { type Range, RangeSet } from "@fascicle/core";
import { SpillError } from "@fascicle/object-store";
import { FitError, UsageError, whyNotFile } from "../errors.ts";
import type { Results } from "../fit/results.ts";
import { describeFit, differenceOf, type FitDescription } from "./fitDescription.ts";
import { type FitIdentity, type FittableModel, fitIdentity } from "./fitIdentity.ts";
import {
  HeldDirectory,
  type Holder,
  holderOf,
  ledgerName,
  ledgersIn,
  makeDirectories,
  removeDirectories,
  sweepLedgers,
} from "./ledgerDirectory.ts";
import { LedgerFiles } from "./ledgerFiles.ts";
import { type LedgerContent, type LedgerHeader, readLedger } from "./ledgerRecords.ts";
import {
  ledgerCostMsPerMiB,
  ledgerIntervalMs,
  ledgerRestFactor,
  ledgerRestMsLimit,
  obsoleteGraceMs,
} from "./limits.ts";
import { JournalVersionError } from "./recordFormat.ts";
import { why } from "./recordLog.ts";

export interface FitLedgerOptions {
  /** Where the ledger's own directory is made; it is made itself if need be. */
  readonly directory: string;
  /** Whether to continue what an earlier process left. */
  readonly resume: boolean;
  /** Of the fit: which voxels are given up depends on it. */
  readonly voxelTimeoutSeconds?: number | undefined;
  /** `Run the same command with --resume`: how the user continues. */
  readonly howToResume: string;
  /** Takes sentences for the user. */
  readonly notify: (sentence: string) => void;
  /** Results that are on disk cannot be read any more: the fit is in vain. */
  readonly onResultsLost?: (error: Error) => void;
}

export class FitLedger {
  readonly #model: FittableModel;
  readonly #identity: FitIdentity;
  readonly #options: FitLedgerOptions;
  readonly #path: string;
  /** What an earlier process left, for as long as this one has not written over it. */
  #left: LedgerContent | undefined;
  #held: HeldDirectory | undefined;
  #files: LedgerFiles | undefined;
  #levelsMade = 0;
  #results: Results | undefined;
  #chunkCount = 0;
  /** Voxels that are settled and not written. */
  #waiting = new RangeSet();
  #hasProgress = false;
  #isOff = false;
  #isEnding = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #restMs = ledgerIntervalMs;

  private constructor(model: FittableModel, identity: FitIdentity, options: FitLedgerOptions) {
    this.#model = model;
    this.#identity = identity;
    this.#options = options;
    this.#path = join(options.directory, ledgerName(identity.key));
  }

  /**
   * Looks for what an earlier process left of this very fit, and sweeps what is too old. To resume what a live
   * process holds throws UsageError, what a later version wrote JournalVersionError.
   */
  static async open(model: FittableModel, options: FitLedgerOptions): Promise<FitLedger> {
    const ledger = new FitLedger(
      model,
      await fitIdentity(model, options.voxelTimeoutSeconds),
      options,
    );
    const others = (await ledgersIn(options.directory)).filter((path) => path !== ledger.#path);
    await sweepLedgers(others, isReadable);
    const holder = await holderOf(ledger.#path);
    if (holder?.isAlive) ledger.#heldBy(holder.who);
    else if (options.resume) await ledger.#resume(holder, others);
    else if (holder !== undefined) await ledger.#noticeLeft();
    return ledger;
  }

  /** Chunks of the fit that is continued; undefined where there is none. */
  get chunkCount(): number | undefined {
    return this.#options.resume ? this.#left?.header.chunkCount : undefined;
  }

  /**
   * Begins: puts the rows that an earlier process finished into `results` and gives their voxels.
   */
  async begin(results: Results, chunkCount: number, signal?: AbortSignal): Promise<RangeSet> {
    this.#results = results;
    this.#chunkCount = chunkCount;
    const left = this.#left;
    if (this.#isOff || this.#held === undefined || left === undefined) return new RangeSet();
    try {
      this.#files = await this.#openFiles();
      return await this.#restore(left, this.#files, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      await this.#giveUp(error as Error);
      return new RangeSet();
    }
  }

  /** The rows of these voxels are final. */
  settled(voxels: Range): void {
    if (this.#isOff) return;
    this.#waiting.add(voxels);
    this.#hasProgress = true;
    this.#schedule();
  }

  /** All rows are final. A ledger that was not begun by now is not needed, and one that ran out of disk leaves it to the maps. */
  async complete(): Promise<void> {
    // One that is just being made must not be surprised by whoever else makes or removes the directory.
    if (this.#files === undefined) await this.#writing;
    if (this.#files !== undefined) return;
    this.#isOff = true;
    await this.#discard();
  }

  /** Does the work that the ledger is for, and sees to it that nothing stays where nothing should. */
  async during<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      const result = await work();
      await this.remove();
      return result;
    } catch (error) {
      throw await this.fail(error, signal?.aborted ?? false);
    }
  }

  /** The results are where they belong: nothing of the ledger stays. */
  async remove(): Promise<void> {
    await this.#stop();
    await this.#discard();
    if (this.#left !== undefined) await this.#removeLeft();
    await removeDirectories(this.#options.directory, this.#levelsMade);
  }

  /**
   * The fit failed with `error`, or was cancelled. Gives the error for the user: where the ledger stays, it says
   * how to continue. It stays where the error asks for it, or nothing was added to what an earlier process had done.
   */
  async fail(error: unknown, isCancelled: boolean): Promise<unknown> {
    const { howToResume, notify } = this.#options;
    const keeps = error instanceof FitError && error.keepsLedger;
    const isUntouched = this.#left !== undefined && !this.#hasProgress;
    if (isCancelled || !(keeps || isUntouched)) {
      await this.#stop();
      if (this.#held === undefined && this.#left !== undefined) {
        notify(`What was there stays. ${howToResume} to continue it.`);
      }
      await this.#discard();
      await removeDirectories(this.#options.directory, this.#levelsMade);
      return error;
    }
    const share = await this.#keep();
    if (!keeps || share === 0) return error;
    const sentence = `${error.message} ${howToResume} to go on from ${percent(share)}.`;
    return new FitError(sentence, { cause: error, keepsLedger: true });
  }

  #heldBy(who: string): void {
    const { directory, resume, notify } = this.#options;
    if (resume) {
      throw new UsageError(
        `This fit is running in ${directory} already (${who}): wait for it, or stop it before you resume.`,
      );
    }
    notify(
      `${who} is at the same fit in ${directory}: this one keeps no ledger and cannot be resumed.`,
    );
    this.#isOff = true;
  }

  async #resume(holder: Holder | undefined, others: readonly string[]): Promise<void> {
    const { directory, notify } = this.#options;
    const left = holder === undefined ? undefined : await readLedger(this.#path);
    if (holder !== undefined) {
      this.#held = await HeldDirectory.take(this.#path, holder).catch((error) => {
        throw new UsageError(
          `What was done in ${directory} cannot be taken up (${whyNotFile(error)}): mend that, or leave out --resume to begin anew.`,
          { cause: error },
        );
      });
      if (this.#held === undefined) this.#heldBy("another process");
    }
    this.#levelsMade = left?.header.levelsMade ?? 0;
    if (left !== undefined && left.slices.length > 0) {
      this.#left = left;
      const began = new Date(left.header.beganAtMs).toLocaleString("sv");
      notify(`continuing the fit that began ${began}: ${percent(left.share)} was done.`);
      return;
    }
    await this.#discard();
    notify(
      `there is nothing to resume in ${directory}${await this.#whyNothing(others)}: the fit begins anew.`,
    );
  }

  /** What an interrupted fit that lies here has other than this one. */
  async #whyNothing(others: readonly string[]): Promise<string> {
    for (const path of others) {
      const other = await readLedger(path).catch(() => undefined);
      if (other === undefined) continue;
      const { parts } = this.#identity;
      if (other.header.parts.model !== parts.model) continue;
      const difference = differenceOf(other.header, { parts, description: this.#description() });
      return ` (the interrupted fit there has ${difference})`;
    }
    return "";
  }

  /** Without --resume: says what is thrown away, and does so only when this fit has gone on for a while. */
  async #noticeLeft(): Promise<void> {
    const { notify, directory, howToResume } = this.#options;
    try {
      const left = await readLedger(this.#path);
      this.#levelsMade = left?.header.levelsMade ?? 0;
      if (left === undefined || left.slices.length === 0) {
        await this.#removeLeft();
        return;
      }
      this.#left = left;
      this.#restMs = obsoleteGraceMs;
      notify(
        `${percent(left.share)} of this very fit was done in ${directory} when it was interrupted, and is done again now. To continue it instead, stop this one within ${obsoleteGraceMs / 1000} s (Ctrl-C). ${howToResume}.`,
      );
    } catch (error) {
      if (!(error instanceof JournalVersionError)) throw error;
      notify(`${error.message} This fit keeps no ledger and cannot be resumed.`);
      this.#isOff = true;
    }
  }

  #openFiles(): Promise<LedgerFiles> {
    return LedgerFiles.open(
      this.#path,
      this.#model,
      this.#results!,
      (error) => void this.#giveUp(error),
    );
  }

  async #restore(left: LedgerContent, files: LedgerFiles, signal?: AbortSignal): Promise<RangeSet> {
    const good = await files.readBack(left.slices, signal);
    const done = new RangeSet(...good);
    const lost = Math.round(left.share * this.#model.signals.voxelCount) - done.size;
    if (lost > 0) {
      this.#options.notify(
        lost === 1
          ? "1 voxel in the ledger was not what was written and is fitted again."
          : `${lost} voxels in the ledger were not what was written and are fitted again.`,
      );
    }
    // What was read is good, whether or not anything can be added to it.
    await files
      .rewrite(this.#header(left.header.beganAtMs), good)
      .catch((error: Error) => this.#giveUp(error));
    return done;
  }

  #description(): FitDescription {
    return describeFit(this.#model, this.#options.voxelTimeoutSeconds);
  }

  #header(beganAtMs: number): LedgerHeader {
    const { key, parts } = this.#identity;
    const { voxelCount } = this.#model.signals;
    return {
      type: "fit",
      key,
      parts,
      description: this.#description(),
      chunkCount: this.#chunkCount,
      voxelCount,
      beganAtMs,
      levelsMade: this.#levelsMade,
    };
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#writing !== undefined) return;
    if (this.#isOff || this.#isEnding) return;
    this.#timer = setTimeout(() => this.#flush(), this.#restMs).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#write()
      .catch((error: Error) => this.#giveUp(error))
      .finally(() => {
        this.#writing = undefined;
        if (this.#waiting.size > 0) this.#schedule();
      });
  }

  async #write(): Promise<void> {
    if (this.#files === undefined) await this.#create();
    if (this.#files === undefined) return;
    // What is settled meanwhile waits for the next time: it may come as fast as it is written.
    const batch = this.#waiting;
    this.#waiting = new RangeSet();
    this.#restMs = restMsAfter(await this.#files.write(batch, () => !this.#isEnding));
  }

  /** Makes the ledger, or takes the place of one that is not to be continued. */
  async #create(): Promise<void> {
    const { directory } = this.#options;
    this.#levelsMade = Math.max(this.#levelsMade, await makeDirectories(directory));
    const held = await HeldDirectory.make(this.#path);
    if (held === undefined) {
      this.#heldBy("another process");
      return;
    }
    // First of all: whatever fails from here on, the end of the fit lets go of it.
    this.#held = held;
    if (this.#left !== undefined) {
      this.#left = undefined;
      // What is in it goes, and not the directory: another process could be the one to make it again.
      await held.clear();
    }
    this.#files = await this.#openFiles();
    await this.#files.rewrite(this.#header(Date.now()));
  }

  /** The ledger cannot be written: the fit goes on without it. What it has stays good. */
  async #giveUp(error: Error): Promise<void> {
    if (this.#isOff) return;
    this.#isOff = true;
    this.#waiting = new RangeSet();
    const { directory, notify, onResultsLost } = this.#options;
    if (error instanceof SpillError && onResultsLost !== undefined) {
      onResultsLost(error);
    } else {
      const reason = why(error.cause instanceof Error ? error.cause : error);
      notify(
        `the ledger in ${directory} cannot be written (${reason}): the fit goes on, and what it does from here on could not be resumed.`,
      );
    }
    await this.#closeFiles();
  }

  /** Ends the writing; what waits stays unwritten. */
  async #stop(): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#timer);
    await this.#writing;
  }

  async #closeFiles(): Promise<void> {
    const files = this.#files;
    this.#files = undefined;
    await files?.close();
  }

  async #discard(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    await this.#closeFiles();
    // A ledger that cannot be removed must not turn a good fit into a failed one.
    await held?.remove().catch(() => {});
  }

  async #removeLeft(): Promise<void> {
    this.#left = undefined;
    const holder = await holderOf(this.#path);
    if (holder === undefined || holder.isAlive) return;
    await HeldDirectory.take(this.#path, holder)
      .then((held) => held?.remove())
      .catch(() => {});
  }

  /** Writes what waits and leaves the ledger to whoever comes next, if anything is in it. Gives the share of voxels that it has. */
  async #keep(): Promise<number> {
    clearTimeout(this.#timer);
    await this.#writing;
    if (this.#waiting.size > 0 && !this.#isOff) {
      this.#flush();
      await this.#writing;
    }
    this.#isEnding = true;
    await this.#closeFiles();
    const share = (await readLedger(this.#path))?.share ?? 0;
    if (share === 0) {
      await this.#discard();
      await removeDirectories(this.#options.directory, this.#levelsMade);
      return 0;
    }
    await this.#held?.release();
    this.#held = undefined;
    return share;
  }
}

/** How long to leave the processor to the fit after so much was written. */
function restMsAfter(bytes: number): number {
  const restMs = (ledgerRestFactor * ledgerCostMsPerMiB * bytes) / 2 ** 20;
  return Math.min(ledgerRestMsLimit, Math.max(ledgerIntervalMs, restMs));
}

/** Whether this version can read a ledger. */
export async function isReadable(path: string): Promise<boolean> {
  try {
    await readLedger(path);
    return true;
  } catch {
    return false;
  }
}

/** A share of the voxels; never `100 %` of an unfinished fit. */
const percent = (share: number) => `${Math.floor(share * 100)} %`;
