/** Logs of processes in the background, and those that nobody writes to any more. */
import { readdirSync, rmSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { currentOwner, removeIfEmpty, stateHome, stateOfTag, tagOf } from "@fascicle/object-store";

/** Of a process that cannot be seen from here, a log that nobody has written to for this long is taken for a dead one's. */
const silentLogMs = 3600 * 1000;

/** A log is named after the process that starts the one in the background... */
export const workerLogFile = () => join(stateHome(), `worker-${tagOf(currentOwner())}.log`);

/** ...and so is its name while that begins: another that starts now, or runs, may have its log in `logFile`. */
export const startingLogFile = (logFile: string) => `${logFile}.${tagOf(currentOwner())}.tmp`;

const startingPattern = /^(?:head|worker-[\d a-f-]+)\.log\.(.+)\.tmp$/;
const workerPattern = /^worker-(.+)\.log$/;

/** A log whose process is dead. */
export interface DeadLog {
  readonly path: string;
  readonly bytes: number;
  /** Since it was last written to. */
  readonly ageMs: number;
}

/** Logs of workers that died. */
export const deadWorkerLogs = () => deadLogsIn(stateHome(), workerPattern);

/** Logs that those who started a process in the background, and were killed at that, left in a directory. */
export const deadStartingLogs = (folder: string) => deadLogsIn(folder, startingPattern);

/** Where processes in the background begin their logs, unless the user has named another directory. */
export const startingLogFolders = () => [join(stateHome(), "head"), stateHome()];

export function removeDeadStartingLogs(): void {
  for (const { path } of startingLogFolders().flatMap(deadStartingLogs)) removeLog(path);
}

/** Leaves no empty directory. */
export function removeLog(path: string): void {
  rmSync(path, { force: true });
  for (let folder = dirname(path); folder.startsWith(stateHome()); folder = dirname(folder)) {
    removeIfEmpty(folder);
  }
}

function deadLogsIn(folder: string, pattern: RegExp): DeadLog[] {
  return namesIn(folder).flatMap((name) => {
    const tag = pattern.exec(name)?.[1];
    const path = join(folder, name);
    const stats = tag === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
    if (tag === undefined || !stats?.isFile()) return [];
    const ageMs = Date.now() - stats.mtimeMs;
    const starter = stateOfTag(tag);
    const mayLive = starter === "alive" || (starter === "unknown" && ageMs < silentLogMs);
    // Who started it may be dead, and it may run.
    return mayLive || isWrittenTo(stats) ? [] : [{ path, bytes: stats.blocks * 512, ageMs }];
  });
}

/** Whether a process that can be seen from here has it for its stderr. */
function isWrittenTo({ ino, dev }: Stats): boolean {
  return namesIn("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const written = statSync(`/proc/${name}/fd/2`);
      return written.ino === ino && written.dev === dev;
    } catch {
      return false;
    }
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
