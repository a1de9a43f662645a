/** The files of a ledger, open: the journal, and the rows that it speaks of. */
import { type ChunkedModel, RangeSet } from "@fascicle/core";
import type { Results } from "../fit/results.ts";
import { FileStorage } from "./fileStorage.ts";
import {
  journalFile,
  type LedgerHeader,
  type Slice,
  settledRecord,
  slicesFile,
} from "./ledgerRecords.ts";
import { ledgerSyncBytes } from "./limits.ts";
import { type JournalError, RecordLog } from "./recordLog.ts";
import { SliceFile } from "./sliceFile.ts";

export class LedgerFiles {
  readonly #log: RecordLog;
  readonly #slices: SliceFile;

  private constructor(log: RecordLog, slices: SliceFile) {
    this.#log = log;
    this.#slices = slices;
  }

  /** @param path directory of the ledger; @param results where the rows of the fit lie. */
  static async open(
    path: string,
    { outputs: fields, signals }: ChunkedModel,
    results: Results,
    onError: (error: JournalError) => void,
  ): Promise<LedgerFiles> {
    const name = journalFile(path);
    const storage = await FileStorage.open(name);
    try {
      const { log } = await RecordLog.open({ storage, name, onError });
      const { voxelCount } = signals;
      return new LedgerFiles(
        log,
        await SliceFile.open(slicesFile(path), fields, voxelCount, results),
      );
    } catch (error) {
      await storage.close();
      throw error;
    }
  }

  /** Begins the journal anew: a header, and what is done already. */
  rewrite(header: LedgerHeader, slices: readonly Slice[] = []): Promise<void> {
    return this.#log.rewrite(slices.length === 0 ? [header] : [header, settledRecord(slices)]);
  }

  /** Reads rows back into the outputs; gives those slices that are what was written. */
  async readBack(slices: readonly Slice[], signal: AbortSignal | undefined): Promise<Slice[]> {
    const good: Slice[] = [];
    for (const slice of slices) {
      signal?.throwIfAborted();
      if (await this.#slices.read(slice)) good.push(slice);
    }
    return good;
  }

  /** Writes and records the rows of these voxels for as long as it is wanted; gives the bytes of rows written. */
  async write(voxels: RangeSet, isWanted: () => boolean): Promise<number> {
    const left = new RangeSet(...voxels.ranges());
    let total = 0;
    while (left.size > 0 && isWanted()) {
      const written: Slice[] = [];
      for (let bytes = 0; bytes < ledgerSyncBytes && isWanted(); ) {
        const piece = left.takeFirst(this.#slices.pieceVoxels);
        if (piece === undefined) break;
        written.push(await this.#slices.write(piece));
        bytes += this.#slices.bytesOf(piece);
        total += this.#slices.bytesOf(piece);
      }
      await this.#slices.sync();
      this.#log.append(settledRecord(written));
      await this.#log.flushed();
    }
    return total;
  }

  async close(): Promise<void> {
    await this.#log.close();
    await this.#slices.close().catch(() => {});
  }
}
