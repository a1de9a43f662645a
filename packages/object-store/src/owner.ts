/** Who owns a file or a directory, in a way that tells the truth after a crash, in containers and on shared disks. */
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** `unknown` where it cannot be told from here. */
export type OwnerState = "alive" | "dead" | "unknown";

/** A process, named so that no other process of any machine, boot or container is taken for it. */
export interface Owner {
  readonly pid: number;
  /** Clock ticks since boot at which it started; "" where the system does not tell. */
  readonly startTime: string;
  readonly bootId: string;
  /** Tells machines of one name apart; "" where the system has none (many containers). */
  readonly machineId: string;
  /** The pid namespace, in which `pid` means something. */
  readonly pidNamespace: string;
  readonly hostName: string;
}

/** This process. */
export function currentOwner(): Owner {
  return {
    pid: process.pid,
    startTime: isOwnProc() ? (startTimeOf(process.pid) ?? "") : "",
    bootId: readOr("/proc/sys/kernel/random/boot_id", ""),
    machineId: readOr("/etc/machine-id", ""),
    pidNamespace: isOwnProc() ? linkOr("/proc/self/ns/pid", "") : "",
    hostName: hostname(),
  };
}

/**
 * `alive` or `dead` where that can be known from here; `unknown` for a process of another machine, boot
 * or container, of which this one cannot speak.
 */
export function stateOfOwner(owner: Owner): OwnerState {
  const self = currentOwner();
  if (owner.hostName !== self.hostName || owner.machineId !== self.machineId) return "unknown";
  if (owner.bootId !== self.bootId) return self.machineId === "" ? "unknown" : "dead";
  if (owner.pidNamespace !== self.pidNamespace) return "unknown";
  if (self.pidNamespace === "" && self.bootId !== "") return "unknown";
  if (self.startTime !== "") return startTimeOf(owner.pid) === owner.startTime ? "alive" : "dead";
  try {
    process.kill(owner.pid, 0);
    return "alive";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "alive" : "dead";
  }
}

/**
 * An owner in few letters, for names of files: its pid, its start time, and where these mean something (a hash of boot
 * and pid namespace).
 */
export function tagOf(owner: Owner): string {
  return `${owner.pid}-${owner.startTime || "0"}-${placeOf(owner)}`;
}

/** What can be said of the process that made a name with `tagOf`; `unknown` as well for what is no tag. */
export function stateOfTag(tag: string): OwnerState {
  const [, pid, startTime, place] = /^(\d+)-(\d+)-([0-9a-f]{12})$/.exec(tag) ?? [];
  if (place === undefined || place === nowhere || place !== placeOf(currentOwner()))
    return "unknown";
  return startTimeOf(Number(pid)) === startTime ? "alive" : "dead";
}

/** Where no process can be told by its number and start time. */
const nowhere = "0".repeat(12);

function placeOf({ bootId, pidNamespace, startTime }: Owner): string {
  if (bootId === "" || pidNamespace === "" || startTime === "") return nowhere;
  return createHash("sha256").update(`${bootId} ${pidNamespace}`).digest("hex").slice(0, 12);
}

/** Field 22 of /proc/PID/stat; undefined where there is no such process, or it is a zombie. */
export function startTimeOf(pid: number): string | undefined {
  const stat = readOr(`/proc/${pid}/stat`, "");
  // The command name, in parentheses, may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return stat === "" || fields[0] === "Z" ? undefined : fields[19];
}

/** Whether /proc speaks of the processes that this one's numbers mean; a container may see that of another namespace. */
const isOwnProc = () => linkOr("/proc/self", "") === String(process.pid);

function linkOr(path: string, fallback: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return fallback;
  }
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return fallback;
  }
}
