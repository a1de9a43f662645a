/** Ctrl-C and its kin. */
import { readFileSync } from "node:fs";
import { exitCodes, Interrupted } from "./exit.ts";

/**
 * Runs work that a signal may end: the first SIGINT, SIGTERM or SIGHUP aborts it, so that it can clean up; a
 * second one ends the process at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const names = endingSignals();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort(new Interrupted(`interrupted (${name}); nothing was left behind.`));
  };
  for (const name of names) process.on(name, onSignal);
  try {
    return await work(controller.signal);
  } finally {
    for (const name of names) process.off(name, onSignal);
  }
}

/** Signals that end a process in good order; SIGHUP is not one where the process was started to outlive it (nohup). */
function endingSignals(): NodeJS.Signals[] {
  return isHangupIgnored() ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
}

function isHangupIgnored(): boolean {
  try {
    const ignored = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return ignored !== undefined && (Number.parseInt(ignored.slice(-1), 16) & 1) === 1;
  } catch {
    return false;
  }
}

/** Resolves with the name of the first signal that asks this process to end; a second one ends it at once. */
export function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isAsked = false;
    for (const name of endingSignals()) {
      process.on(name, () => {
        if (isAsked) process.exit(exitCodes.interrupted);
        isAsked = true;
        resolve(name);
      });
    }
  });
}
