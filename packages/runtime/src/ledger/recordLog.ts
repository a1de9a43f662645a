/** A log of records that outlives its process: what was flushed is read back, whatever died, and nothing else is. */
import { randomBytes } from "node:crypto";
import { encodeValue } from "@fascicle/transport";
import { defaultBatchMs, recordBytesLimit } from "./limits.ts";
import type { LogStorage } from "./logStorage.ts";
import {
  decodeLog,
  encodeLogHeader,
  encodeRecords,
  saltBytes,
  sentenceOfEnding,
} from "./recordFormat.ts";

/** A log cannot be written any more; nothing is appended after it. */
export class JournalError extends Error {
  readonly code = "JOURNAL";
  override readonly name = "JournalError";
}

export interface RecordLogOptions {
  readonly storage: LogStorage;
  /** What sentences call it: its path. */
  readonly name: string;
  /** Called once, when the log cannot be written; from then on nothing is appended. */
  readonly onError: (error: JournalError) => void;
  /** Asked for more records whenever a batch is written, so that its user may gather and merge. */
  readonly gather?: () => readonly unknown[];
  /** Default: random. */
  readonly salt?: Uint8Array;
  /** Records that come within this time share one write; default 100 ms. */
  readonly batchMs?: number;
}

export interface OpenedLog {
  readonly log: RecordLog;
  readonly records: readonly unknown[];
  /** Bytes that were torn or damaged, and were cut off. */
  readonly cutBytes: number;
  /** A sentence for the user or the journal's log where bytes were cut off. */
  readonly note: string | undefined;
}

/** A batch of records on its way to the disk. */
class Batch {
  readonly payloads: Uint8Array[] = [];
  /** Whether the batch takes the place of all there is. */
  replaces = false;
  resolve: () => void = () => {};
  reject: (error: Error) => void = () => {};
  readonly flushed = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    // Whoever waits hears of the failure; it need not be anyone.
    this.flushed.catch(() => {});
  }
}

export class RecordLog {
  readonly #options: RecordLogOptions;
  #sizeBytes: number;
  #chain: number;
  /** Gathers what is appended. */
  #next: Batch | undefined;
  #writing: Batch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastWriteMs = Number.NEGATIVE_INFINITY;
  #failure: JournalError | undefined;
  #isClosed = false;

  private constructor(options: RecordLogOptions, sizeBytes: number, chain: number) {
    this.#options = options;
    this.#sizeBytes = sizeBytes;
    this.#chain = chain;
  }

  /**
   * Reads what is stored and cuts off what cannot be believed. Throws JournalVersionError, and changes nothing,
   * where a later version of Fascicle wrote it.
   */
  static async open(options: RecordLogOptions): Promise<OpenedLog> {
    const { storage, name } = options;
    const decoded = decodeLog(await storage.read(), name);
    const { records, goodBytes, cutBytes } = decoded;
    if (cutBytes > 0) await storage.truncate(goodBytes);
    let log = new RecordLog(options, goodBytes, decoded.chain);
    if (goodBytes === 0) {
      const header = encodeLogHeader(options.salt ?? randomBytes(saltBytes));
      await storage.append(header.bytes);
      log = new RecordLog(options, header.bytes.length, header.chain);
    }
    await storage.sync();
    return { log, records, cutBytes, note: sentenceOfEnding(name, decoded) };
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether it could not be written any more. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Takes a record as it is now (plain values and typed arrays); it is durable when `flushed` says so. */
  append(record: unknown): void {
    if (this.#failure !== undefined || this.#isClosed) return;
    const payload = encodeValue(record);
    if (payload.length > recordBytesLimit) {
      this.#fail(new Error(`a record of ${payload.length} bytes is too long`));
      return;
    }
    this.#nextBatch().payloads.push(payload);
  }

  /** Makes sure that `gather` is asked soon. */
  wake(): void {
    if (this.#failure === undefined && !this.#isClosed) this.#nextBatch();
  }

  /** Resolves when all that was appended is durable; rejects with a JournalError where it cannot be. */
  flushed(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return (this.#next ?? this.#writing)?.flushed ?? Promise.resolve();
  }

  /** Puts these records in the place of all that were appended before; later ones follow them. As `flushed`. */
  rewrite(records: readonly unknown[]): Promise<void> {
    if (this.#failure !== undefined || this.#isClosed) return this.flushed();
    const batch = this.#nextBatch();
    batch.replaces = true;
    batch.payloads.length = 0;
    for (const record of records) batch.payloads.push(encodeValue(record));
    return batch.flushed;
  }

  /** Writes what is left and lets go of the storage. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#writing?.flushed.catch(() => {});
    if (this.#next !== undefined) await this.#write();
    await this.#options.storage.close().catch(() => {});
  }

  #nextBatch(): Batch {
    this.#next ??= new Batch();
    this.#schedule();
    return this.#next;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#writing !== undefined || this.#isClosed) return;
    const { batchMs = defaultBatchMs } = this.#options;
    const waitMs = Math.max(0, this.#lastWriteMs + batchMs - performance.now());
    this.#timer = setTimeout(() => void this.#write(), waitMs);
  }

  async #write(): Promise<void> {
    this.#timer = undefined;
    const batch = this.#next;
    if (batch === undefined) return;
    this.#next = undefined;
    this.#writing = batch;
    try {
      const gathered = this.#options.gather?.() ?? [];
      for (const record of gathered) batch.payloads.push(encodeValue(record));
      await this.#store(batch);
      this.#writing = undefined;
      this.#lastWriteMs = performance.now();
      batch.resolve();
    } catch (error) {
      this.#writing = undefined;
      batch.reject(this.#fail(error as Error));
    }
    if (this.#next !== undefined) this.#schedule();
  }

  async #store({ payloads, replaces }: Batch): Promise<void> {
    const { storage, salt } = this.#options;
    if (replaces) {
      const header = encodeLogHeader(salt ?? randomBytes(saltBytes));
      const { bytes, chain } = encodeRecords(payloads, header.chain);
      await storage.replace(Buffer.concat([header.bytes, bytes]));
      this.#sizeBytes = header.bytes.length + bytes.length;
      this.#chain = chain;
      return;
    }
    if (payloads.length === 0) return;
    const { bytes, chain } = encodeRecords(payloads, this.#chain);
    await storage.append(bytes);
    await storage.sync();
    this.#sizeBytes += bytes.length;
    this.#chain = chain;
  }

  #fail(cause: Error): JournalError {
    if (this.#failure !== undefined) return this.#failure;
    this.#failure = new JournalError(`${this.#options.name} cannot be written: ${why(cause)}.`, {
      cause,
    });
    this.#next?.reject(this.#failure);
    this.#next = undefined;
    this.#options.onError(this.#failure);
    return this.#failure;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "no space is left on its disk",
  EDQUOT: "the quota of its disk is used up",
  EIO: "its disk reports an error",
  EROFS: "its file system is read-only",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ENOENT: "it was removed",
};

/** Why a file could not be written, as the end of a sentence without its full stop. */
export function why(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error.message : (reasons[code] ?? code);
}
