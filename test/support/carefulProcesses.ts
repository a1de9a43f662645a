import { readdirSync, readFileSync } from "node:fs";

/** Careful processes of a process (this one, unless told) that still run. */
export function carefulProcesses(parent = process.pid): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isCareful(pid) && parentOf(pid) === parent);
}

/** Whether this is a careful process that runs, whoever its parent is by now. */
export function isCareful(pid: number): boolean {
  return read(pid, "cmdline").includes("carefulMain");
}

const parentOf = (pid: number) => Number(/^PPid:\s*(\d+)/m.exec(read(pid, "status"))?.[1]);

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    // It ended while we looked.
    return "";
  }
}
