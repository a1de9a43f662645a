/** How many cores and how much memory this process may really use: the cgroup's word, not the host's. */
import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";

/** Reads a file, or undefined where it is not there. Tests hand in their own. */
export type ReadFile = (path: string) => string | undefined;

const readFile: ReadFile = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/** Cores by the cgroup's CPU quota (v2 `cpu.max`, v1 `cpu.cfs_quota_us`); Infinity where there is none. */
export function quotaCores(read: ReadFile = readFile): number {
  let cores = Number.POSITIVE_INFINITY;
  for (const folder of cgroupFolders(read, "")) {
    const [quota, period] = (read(`${folder}/cpu.max`) ?? "").split(/\s+/).map(Number);
    if (quota > 0 && period > 0) cores = Math.min(cores, quota / period);
  }
  for (const folder of cgroupFolders(read, "cpu")) {
    const quota = Number(read(`${folder}/cpu.cfs_quota_us`) ?? Number.NaN);
    const period = Number(read(`${folder}/cpu.cfs_period_us`) ?? Number.NaN);
    if (quota > 0 && period > 0) cores = Math.min(cores, quota / period);
  }
  return cores;
}

/** Slots that this process should have: affinity and cgroup quota, rounded down, at least 1. */
export function usableCores(read: ReadFile = readFile): number {
  return Math.max(1, Math.floor(Math.min(availableParallelism(), quotaCores(read))));
}

/** Cores of the machine, hyperthreads of one core counted once; those this process sees where the system does not tell. */
export function physicalCores(read: ReadFile = readFile): number {
  const cores = new Set<string>();
  for (const processor of (read("/proc/cpuinfo") ?? "").split("\n\n")) {
    const physical = /^physical id\s*:\s*(\d+)/m.exec(processor)?.[1];
    const core = /^core id\s*:\s*(\d+)/m.exec(processor)?.[1];
    if (physical !== undefined && core !== undefined) cores.add(`${physical}:${core}`);
  }
  return cores.size === 0 ? availableParallelism() : cores.size;
}

/** Bytes of memory that this process may use: the machine's, or the cgroup's where that is less. */
export function usableMemoryBytes(read: ReadFile = readFile): number {
  let bytes = totalmem();
  for (const [controller, file] of [
    ["", "memory.max"],
    ["memory", "memory.limit_in_bytes"],
  ]) {
    for (const folder of cgroupFolders(read, controller)) {
      const limit = Number(read(`${folder}/${file}`) ?? Number.NaN);
      if (limit > 0) bytes = Math.min(bytes, limit);
    }
  }
  return bytes;
}

/** What objects may have of a process's memory, bytes: the rest is for the program and its threads. */
export function objectMemoryShare(memoryBytes: number): number {
  const programBytes = Math.max(192 * 2 ** 20, memoryBytes / 4);
  return Math.max(2 ** 20, Math.floor(memoryBytes - programBytes));
}

/**
 * The folders that may limit this process in one hierarchy (v1 by controller, v2 with ""): its own and all
 * above it. Inside a container the root of the mount is the container's own.
 */
function cgroupFolders(read: ReadFile, controller: string): string[] {
  const root = controller === "" ? "/sys/fs/cgroup" : `/sys/fs/cgroup/${controller}`;
  const line = (read("/proc/self/cgroup") ?? "").split("\n").find((entry) => {
    const controllers = entry.split(":")[1];
    return controller === "" ? controllers === "" : controllers?.split(",").includes(controller);
  });
  const path = line?.split(":").slice(2).join(":") ?? "/";
  const folders = [root];
  let folder = root;
  for (const part of path.split("/").filter((name) => name !== "" && name !== "..")) {
    folder += `/${part}`;
    folders.push(folder);
  }
  return folders;
}
