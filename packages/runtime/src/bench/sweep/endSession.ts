/** Ends what a child has left of processes. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const pollMs = 50;
/** The system has ended a killed process by then. */
const limitMs = 5_000;

/**
 * Kills every process of the session that `leader` began (it was spawned detached), and waits until they are gone.
 * Where there is no /proc, its process group alone can be named.
 */
export async function endSession(leader: number): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (performance.now() < untilMs) {
    const left = processesOf(leader);
    for (const pid of left ?? [-leader]) kill(pid);
    if (left === undefined || left.length === 0) return;
    await setTimeout(pollMs);
  }
}

/** Those that run; undefined where that cannot be known. */
function processesOf(session: number): number[] | undefined {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => sessionOf(pid) === session);
  } catch {
    return undefined;
  }
}

/** The session of a process that runs; undefined of one that has ended. */
function sessionOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in brackets, may hold anything: state, parent, group and session follow it.
    const [state, , , session] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? undefined : Number(session);
  } catch {
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
