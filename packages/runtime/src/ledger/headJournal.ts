/** What a head must know after its death: the fits it was given, and which of their chunks are settled. */
import { join } from "node:path";
import { type Range, RangeSet } from "@fascicle/core";
import { type JobSpec, jobSpecSchema } from "@fascicle/transport";
import { z } from "zod";
import { FileStorage } from "./fileStorage.ts";
import { compactionBytesMinimum, compactionFactor } from "./limits.ts";
import type { LogStorage } from "./logStorage.ts";
import { JournalError, RecordLog, why } from "./recordLog.ts";

const count = z.number().int().nonnegative();

const recordSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("started"), atMs: z.number() }),
  z.object({
    type: z.literal("job"),
    spec: jobSpecSchema,
    parameters: z.instanceof(Uint8Array),
    details: z.unknown(),
  }),
  /** Pairs of start and end, in chunks. */
  z.object({ type: z.literal("settled"), job: z.string(), ranges: z.array(count) }),
  z.object({ type: z.literal("ended"), job: z.string() }),
]);

/** A fit that had not ended when its head did. */
export interface JournalledJob {
  readonly spec: JobSpec;
  /** The kernel's parameters as they travel. */
  readonly parameters: Uint8Array;
  /** Chunks whose bytes are at their destination and checked. */
  readonly settled: RangeSet;
  /** What else the head wanted kept with it: plain values. */
  readonly details: unknown;
}

export interface HeadJournalOptions {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Called once, with a sentence, when the journal cannot be written: the head goes on without it. */
  readonly onError: (error: JournalError) => void;
  /** Default: the file `journal` in the directory. */
  readonly storage?: LogStorage;
}

export interface OpenedHeadJournal {
  readonly journal: HeadJournal;
  /** In the order in which they were submitted. */
  readonly jobs: readonly JournalledJob[];
  /** When the head before this one started, milliseconds since 1970. */
  readonly lastStartMs: number | undefined;
  /** Sentences for the log: what was torn or damaged, and is not believed. */
  readonly notes: readonly string[];
}

export class HeadJournal {
  readonly #log: RecordLog;
  readonly #startedAtMs: number;
  /** The fits that have not ended, as the journal has them. */
  readonly #jobs: Map<string, JournalledJob>;
  /** Settled since the last batch. */
  readonly #gathered: Map<string, RangeSet>;
  #isCompacting = false;

  private constructor(
    log: RecordLog,
    startedAtMs: number,
    jobs: Map<string, JournalledJob>,
    gathered: Map<string, RangeSet>,
  ) {
    this.#log = log;
    this.#startedAtMs = startedAtMs;
    this.#jobs = jobs;
    this.#gathered = gathered;
  }

  /**
   * Reads the journal of the head that had this state directory, and begins this head's. Throws
   * JournalVersionError where a later version wrote it, JournalError where it cannot be read or written.
   */
  static async open(directory: string, options: HeadJournalOptions): Promise<OpenedHeadJournal> {
    const name = join(directory, "journal");
    const storage = options.storage ?? (await FileStorage.open(name).catch(rethrow(name)));
    const gathered = new Map<string, RangeSet>();
    const gather = () => takeSettled(gathered);
    try {
      const { onError } = options;
      const opened = await RecordLog.open({ storage, name, onError, gather });
      const replayed = replay(opened.records);
      const { jobs, lastStartMs, unknown } = replayed;
      const notes = opened.note === undefined ? [] : [opened.note];
      if (unknown > 0) notes.push(`${name}: ${unknown} records make no sense and are left out.`);
      const journal = new HeadJournal(opened.log, options.nowMs, jobs, gathered);
      opened.log.append({ type: "started", atMs: options.nowMs });
      journal.#compact();
      // Later fits of this head are no business of whoever reads what was found.
      const found = [...jobs.values()].map(copied);
      return { journal, jobs: found, lastStartMs, notes };
    } catch (error) {
      await storage.close();
      throw rethrow(name)(error as Error);
    }
  }

  /** A fit was submitted, with what is settled of it already. `details` are plain values that come back with it. */
  submitted(
    spec: JobSpec,
    parameters: Uint8Array,
    details?: unknown,
    settled: readonly Range[] = [],
  ): void {
    const job = { spec, parameters, settled: new RangeSet(...settled), details };
    this.#jobs.set(spec.job, job);
    for (const record of recordsOf(job)) this.#log.append(record);
  }

  /** Chunks of a fit are settled. */
  settled(job: string, chunks: Range): void {
    const known = this.#jobs.get(job);
    if (known === undefined || known.settled.add(chunks) === 0) return;
    const gathered = this.#gathered.get(job) ?? new RangeSet();
    gathered.add(chunks);
    this.#gathered.set(job, gathered);
    this.#log.wake();
    this.#compact();
  }

  /** A fit ended, in whatever way: nothing of it is needed any more. */
  ended(job: string): void {
    if (!this.#jobs.delete(job)) return;
    this.#gathered.delete(job);
    this.#log.append({ type: "ended", job });
    this.#compact();
  }

  /** Resolves when all that was said so far is durable; rejects with a JournalError where it cannot be. */
  flushed(): Promise<void> {
    return this.#log.flushed();
  }

  get sizeBytes(): number {
    return this.#log.sizeBytes;
  }

  /** Writes what is left and closes the file. */
  close(): Promise<void> {
    return this.#log.close();
  }

  /** Writes the journal anew where most of it is of fits that have ended. */
  #compact(): void {
    const { sizeBytes, hasFailed } = this.#log;
    if (this.#isCompacting || hasFailed || sizeBytes < compactionBytesMinimum) return;
    if (sizeBytes < compactionFactor * this.#liveBytes()) return;
    this.#isCompacting = true;
    this.#gathered.clear();
    const records: unknown[] = [{ type: "started", atMs: this.#startedAtMs }];
    for (const job of this.#jobs.values()) records.push(...recordsOf(job));
    const done = () => {
      this.#isCompacting = false;
    };
    this.#log.rewrite(records).then(done, done);
  }

  /** About what the journal would hold if it were written anew. */
  #liveBytes(): number {
    let bytes = 0;
    for (const { parameters, settled } of this.#jobs.values()) {
      bytes += parameters.length + 1_000 + settled.ranges().length * 10;
    }
    return bytes;
  }
}

function replay(records: readonly unknown[]) {
  const jobs = new Map<string, JournalledJob>();
  let lastStartMs: number | undefined;
  let unknown = 0;
  for (const record of records) {
    const read = recordSchema.safeParse(record);
    if (!read.success) {
      unknown++;
      continue;
    }
    const { data } = read;
    switch (data.type) {
      case "started":
        lastStartMs = data.atMs;
        break;
      case "job": {
        const { spec, details } = data;
        // A copy, so that the rest of the file need not stay in memory.
        const parameters = new Uint8Array(data.parameters);
        jobs.set(spec.job, { spec, parameters, settled: new RangeSet(), details });
        break;
      }
      case "settled":
        addSettled(jobs.get(data.job), data.ranges);
        break;
      case "ended":
        jobs.delete(data.job);
    }
  }
  return { jobs, lastStartMs, unknown };
}

function addSettled(job: JournalledJob | undefined, pairs: readonly number[]): void {
  for (let i = 0; job !== undefined && i + 1 < pairs.length; i += 2) {
    job.settled.add({ start: pairs[i], end: Math.min(pairs[i + 1], job.spec.chunkCount) });
  }
}

function takeSettled(gathered: Map<string, RangeSet>): unknown[] {
  const records = [...gathered].map(([job, ranges]) => settledRecord(job, ranges));
  gathered.clear();
  return records;
}

function settledRecord(job: string, settled: RangeSet) {
  return {
    type: "settled",
    job,
    ranges: settled.ranges().flatMap(({ start, end }) => [start, end]),
  };
}

function recordsOf({ spec, parameters, settled, details }: JournalledJob): unknown[] {
  const job = { type: "job", spec, parameters, details };
  return settled.size === 0 ? [job] : [job, settledRecord(spec.job, settled)];
}

const copied = (job: JournalledJob): JournalledJob => ({
  ...job,
  settled: new RangeSet(...job.settled.ranges()),
});

function rethrow(name: string) {
  return (error: Error): never => {
    if ("syscall" in error) {
      throw new JournalError(`${name} cannot be used: ${why(error)}.`, { cause: error });
    }
    throw error;
  };
}
