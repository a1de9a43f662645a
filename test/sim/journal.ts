/** The head's journal, with the real bytes of its records, on a simulated disk and under virtual time. */
import { type Range, RangeSet } from "@fascicle/core";
import { encodeValue } from "@fascicle/transport";
import {
  decodeLog,
  encodeLogHeader,
  encodeRecords,
} from "../../packages/runtime/dist/ledger/recordFormat.js";
import type { Disk } from "./disk.ts";

/** What is appended within this time shares one write. */
export const batchMs = 100;

const salt = new Uint8Array(8);

type JournalRecord =
  | { readonly type: "job"; readonly job: string; readonly settled: readonly number[] }
  | { readonly type: "settled"; readonly job: string; readonly ranges: readonly number[] }
  | { readonly type: "ended"; readonly job: string };

export class Journal {
  readonly #disk: Disk;
  #chain: number;
  readonly #records: JournalRecord[] = [];
  readonly #settled = new Map<string, RangeSet>();
  hasFailed = false;
  /** Written, and not synced yet. */
  isSyncing = false;

  private constructor(disk: Disk, chain: number) {
    this.#disk = disk;
    this.#chain = chain;
  }

  /** Reads what is believed of an earlier journal: jobs that had not ended, and what of them is settled. */
  static open(disk: Disk): { journal: Journal; jobs: Map<string, RangeSet>; cutBytes: number } {
    const { records, goodBytes, cutBytes, chain } = decodeLog(disk.read(), "the journal");
    disk.truncate(goodBytes);
    let journal = new Journal(disk, chain);
    if (goodBytes === 0) {
      const header = encodeLogHeader(salt);
      journal = new Journal(disk, header.chain);
      journal.hasFailed = !disk.append(header.bytes);
    }
    disk.sync();
    return { journal, jobs: replay(records as JournalRecord[]), cutBytes };
  }

  get isEmpty(): boolean {
    return this.#records.length === 0 && this.#settled.size === 0;
  }

  submitted(job: string, settled: readonly Range[]): void {
    this.#records.push({ type: "job", job, settled: pairsOf(settled) });
  }

  settled(job: string, chunks: Range): void {
    const set = this.#settled.get(job) ?? new RangeSet();
    set.add(chunks);
    this.#settled.set(job, set);
  }

  ended(job: string): void {
    this.#settled.delete(job);
    this.#records.push({ type: "ended", job });
  }

  /** Puts what has gathered on the disk; safe when `synced` follows. */
  write(): void {
    const records = this.#records.splice(0);
    for (const [job, set] of this.#settled) {
      records.push({ type: "settled", job, ranges: pairsOf(set.ranges()) });
    }
    this.#settled.clear();
    if (this.hasFailed) return;
    const payloads = records.map((record) => encodeValue(record));
    const { bytes, chain } = encodeRecords(payloads, this.#chain);
    this.#chain = chain;
    this.isSyncing = true;
    // A full disk ends the journal, not the fits.
    this.hasFailed = !this.#disk.append(bytes);
  }

  synced(): void {
    this.isSyncing = false;
    if (!this.hasFailed) this.#disk.sync();
  }
}

function replay(records: readonly JournalRecord[]): Map<string, RangeSet> {
  const jobs = new Map<string, RangeSet>();
  for (const record of records) {
    if (record.type === "job") jobs.set(record.job, setOf(record.settled));
    else if (record.type === "ended") jobs.delete(record.job);
    else for (const range of setOf(record.ranges).ranges()) jobs.get(record.job)?.add(range);
  }
  return jobs;
}

const pairsOf = (ranges: readonly Range[]) => ranges.flatMap(({ start, end }) => [start, end]);

function setOf(pairs: readonly number[]): RangeSet {
  const set = new RangeSet();
  for (let i = 0; i + 1 < pairs.length; i += 2) set.add({ start: pairs[i], end: pairs[i + 1] });
  return set;
}
