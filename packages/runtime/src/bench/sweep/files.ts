/** The files of a sweep: a row for each run as it ends, the whole record, and the page. */
import { appendFile, mkdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { FitError, UsageError, whyNotFile } from "../../errors.ts";
import { renderSweepPage } from "./page.ts";
import { renderSpeedUpPicture } from "./picture.ts";
import { parseRecord, type SweepRecord, type SweepRun } from "./record.ts";
import { summarise } from "./summary.ts";

export const sweepFiles = {
  csv: "sweep.csv",
  json: "sweep.json",
  page: "sweep.html",
  picture: "speedup.svg",
} as const;

const columns = [
  "model",
  "engine",
  "workers",
  "chunks",
  "round",
  "seconds",
  "voxels",
  "others",
] as const;

/** Reads what an earlier sweep left there. Throws `UsageError` where there is none. */
export async function readSweep(directory: string): Promise<SweepRecord> {
  const path = join(directory, sweepFiles.json);
  const text = await readFile(path, "utf8").catch((error) => {
    throw new UsageError(`${path} cannot be read (${whyNotFile(error)}): run a sweep there first.`);
  });
  return parseRecord(text, path);
}

/** What `sweep.json` holds: the record, and what follows from it. */
export const withSummary = (record: SweepRecord) => ({ ...record, summary: summarise(record) });

export class SweepFiles {
  readonly #directory: string;
  readonly #made: string | undefined;

  private constructor(directory: string, made: string | undefined) {
    this.#directory = directory;
    this.#made = made;
  }

  /** Those of an earlier sweep, as they are. */
  static at(directory: string): SweepFiles {
    return new SweepFiles(directory, undefined);
  }

  /** Begins the table with these runs; what an earlier sweep left in the directory goes. */
  static async open(directory: string, runs: readonly SweepRun[]): Promise<SweepFiles> {
    const made = await mkdir(directory, { recursive: true });
    const files = new SweepFiles(directory, made);
    if (runs.length === 0) await files.remove();
    await files.#write(sweepFiles.csv, [columns.join(","), ...runs.map(row), ""].join("\n"));
    return files;
  }

  /** The last run of the record: on disk before the next begins. */
  async add(record: SweepRecord): Promise<void> {
    const path = join(this.#directory, sweepFiles.csv);
    await appendFile(path, `${row(record.runs.at(-1)!)}\n`).catch(notWritten(path));
    await this.#writeRecord(record);
  }

  /** The record with its summary, the page and the picture. */
  async write(record: SweepRecord): Promise<void> {
    await this.#writeRecord(record);
    await this.writePage(record);
  }

  async #writeRecord(record: SweepRecord): Promise<void> {
    await this.#write(sweepFiles.json, `${JSON.stringify(withSummary(record), undefined, 1)}\n`);
  }

  async writePage(record: SweepRecord): Promise<void> {
    await this.#write(sweepFiles.page, renderSweepPage(record));
    await this.#write(sweepFiles.picture, renderSpeedUpPicture(record));
  }

  async remove(): Promise<void> {
    for (const name of Object.values(sweepFiles)) {
      await rm(join(this.#directory, name), { force: true });
    }
  }

  /** Also the directories that were made for them, unless somebody else has put something there. */
  async removeAll(): Promise<void> {
    await this.remove();
    if (this.#made === undefined) return;
    const first = resolve(this.#made);
    for (let path = resolve(this.#directory); path.startsWith(first); path = dirname(path)) {
      await rmdir(path).catch(() => {});
    }
  }

  /** Whole or not at all. */
  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#directory, name);
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      await writeFile(temporary, text);
      await rename(temporary, path);
    } catch (error) {
      notWritten(path)(error);
    } finally {
      await rm(temporary, { force: true });
    }
  }
}

const notWritten = (path: string) => (error: unknown) => {
  throw new FitError(
    `${path} cannot be written (${whyNotFile(error)}): mend that, or name another directory with --out.`,
    { cause: error },
  );
};

const row = (run: SweepRun) => columns.map((column) => run[column] ?? "").join(",");
