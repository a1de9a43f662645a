/** The processes that this user started on this host, so that they find each other and `stop` finds them. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import {
  currentOwner,
  type Owner,
  removeIfEmpty,
  stateHome,
  stateOfOwner,
} from "@fascicle/object-store";
import { ConnectError } from "@fascicle/transport";
import { missingFolder, UsageError, whyNotFile } from "../errors.ts";

export { removeIfEmpty, stateHome };

/** A head or a worker that runs. */
export interface ProcessRecord {
  readonly kind: "head" | "worker";
  readonly owner: Owner;
  /** Join string of the head: its own, or the one a worker joined. */
  readonly join: string;
}

const processFolder = () => join(stateHome(), "processes");

/** Makes a directory that only its owner may look into. */
export function makePrivateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Writes a file that only its owner may read, whole or not at all. */
export function writePrivateFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text, { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, path);
}

/** Others who leave may remove the empty folder between its making and the first entry: that is tried again so often. */
const enterAttempts = 10;

/** Enters this process in the register; the returned function strikes it out and leaves no empty directory. */
export function registerProcess(kind: ProcessRecord["kind"], joinString: string): () => void {
  const folder = processFolder();
  const path = join(folder, `${kind}-${process.pid}-${Date.now().toString(36)}.json`);
  const record: ProcessRecord = { kind, owner: currentOwner(), join: joinString };
  try {
    // Whoever starts sweeps the entries of those who died.
    listProcesses();
    enter(path, JSON.stringify(record), enterAttempts);
  } catch (error) {
    throw new UsageError(
      `Your register of processes ${folder} cannot be written (${whyNotFile(error, missingFolder)}): set XDG_STATE_HOME to a directory of yours.`,
    );
  }
  return () => {
    rmSync(path, { force: true });
    removeIfEmpty(folder);
    removeIfEmpty(stateHome());
  };
}

function enter(path: string, text: string, attempts: number): void {
  try {
    makePrivateDirectory(dirname(path));
    writePrivateFile(path, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" || attempts === 1) throw error;
    enter(path, text, attempts - 1);
  }
}

/** The live processes of this user on this host; entries of dead ones are swept. */
export function listProcesses(): ProcessRecord[] {
  const folder = processFolder();
  const records: ProcessRecord[] = [];
  for (const name of entriesOf(folder)) {
    const path = join(folder, name);
    const record = readRecord(path);
    const state = record === undefined ? "dead" : stateOfOwner(record.owner);
    if (state === "alive") records.push(record!);
    else if (state === "dead") rmSync(path, { force: true, recursive: true });
  }
  removeUnfinished(folder);
  if (records.length === 0) {
    removeIfEmpty(folder);
    removeIfEmpty(stateHome());
  }
  return records;
}

/** What a process that was killed while it wrote its entry left: nobody writes that long. */
function removeUnfinished(folder: string): void {
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    if (!name.endsWith(".tmp")) continue;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (Date.now() - (stats?.mtimeMs ?? 0) > unfinishedEntryMs) rmSync(path, { force: true });
  }
}

/** An entry that is being written is not older than this. */
const unfinishedEntryMs = 60_000;

function entriesOf(folder: string): string[] {
  return namesIn(folder).filter((name) => name.endsWith(".json"));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function readRecord(path: string): ProcessRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(path, "utf8")) as ProcessRecord;
    return typeof record.join === "string" && typeof record.owner?.pid === "number"
      ? record
      : undefined;
  } catch {
    return undefined;
  }
}

/** RUNTIME_JOIN, else the join string of the last head that this user started on this host; undefined where there is none. */
export function findJoinString(): string | undefined {
  const given = process.env.RUNTIME_JOIN?.trim();
  if (given) return given;
  return listProcesses().findLast((record) => record.kind === "head")?.join;
}

/** The same. Throws where there is none. */
export function requireJoinString(): string {
  const found = findJoinString();
  if (found !== undefined) return found;
  throw new ConnectError(
    "No head of yours runs on this host, and no join string was given (--join, --join-file, RUNTIME_JOIN): start a head with `runtime start --head`.",
    false,
  );
}
