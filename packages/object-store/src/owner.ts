/** Who owns a file or a directory, in a way that tells the truth after a crash, in containers and on shared disks. */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

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
    startTime: startTimeOf(process.pid) ?? "",
    bootId: readOr("/proc/sys/kernel/random/boot_id", ""),
    machineId: readOr("/etc/machine-id", ""),
    pidNamespace: pidNamespace(),
    hostName: hostname(),
  };
}

/**
 * `alive` or `dead` where that can be known from here; `unknown` for a process of another machine, boot
 * or container, of which this one cannot speak.
 */
export function stateOfOwner(owner: Owner): "alive" | "dead" | "unknown" {
  const self = currentOwner();
  if (owner.hostName !== self.hostName || owner.machineId !== self.machineId) return "unknown";
  if (owner.bootId !== self.bootId) return self.machineId === "" ? "unknown" : "dead";
  if (owner.pidNamespace !== self.pidNamespace) return "unknown";
  if (self.startTime !== "") return startTimeOf(owner.pid) === owner.startTime ? "alive" : "dead";
  try {
    process.kill(owner.pid, 0);
    return "alive";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "alive" : "dead";
  }
}

/** Field 22 of /proc/PID/stat; undefined where there is no such process, or it is a zombie. */
function startTimeOf(pid: number): string | undefined {
  const stat = readOr(`/proc/${pid}/stat`, "");
  // The command name, in parentheses, may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return stat === "" || fields[0] === "Z" ? undefined : fields[19];
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

function readOr(path: string, fallback: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return fallback;
  }
}
