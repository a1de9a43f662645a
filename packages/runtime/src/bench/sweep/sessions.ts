/** The processes that a child has started: those of its session (it was spawned detached). */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

/** `/proc` counts in hundredths of a second, whatever the kernel's own clock. */
export const ticksPerSecond = 100;

const pollMs = 50;
/** The system has ended a killed process by then. */
const limitMs = 5_000;

interface SessionProcess {
  readonly pid: number;
  /** User and system time so far. */
  readonly seconds: number;
}

/**
 * Kills every process of the session that `leader` began, and waits until they are gone. Where there is no /proc, its
 * process group alone can be named.
 */
export async function endSession(leader: number): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (performance.now() < untilMs) {
    const left = processesOf(leader)?.map(({ pid }) => pid);
    for (const pid of left ?? [-leader]) kill(pid);
    if (left === undefined || left.length === 0) return;
    await setTimeout(pollMs);
  }
}

/** Processor time of those that run, seconds; 0 where that cannot be known. */
export function sessionSeconds(leader: number): number {
  return (processesOf(leader) ?? []).reduce((sum, { seconds }) => sum + seconds, 0);
}

/** Those that run; undefined where that cannot be known. */
function processesOf(session: number): SessionProcess[] | undefined {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => processOf(Number(name), session) ?? []);
  } catch {
    return undefined;
  }
}

/** Undefined where it has ended, or is of another session. */
function processOf(pid: number, session: number): SessionProcess | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in brackets, may hold anything; the state and the numbers follow it.
    const [state, ...numbers] = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [, , ofSession, , , , , , , , user, system] = numbers.map(Number);
    if (state === "Z" || ofSession !== session) return undefined;
    return { pid, seconds: (user + system) / ticksPerSecond };
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
