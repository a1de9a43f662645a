/** Ctrl-C and its kin. */
import { exitCodes, Interrupted } from "./exit.ts";

/**
 * Runs work that a signal may end: the first SIGINT, SIGTERM or SIGHUP aborts it, so that it can clean up; a
 * second one ends the process at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
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

/** Resolves with the name of the first signal that asks this process to end; a second one ends it at once. */
export function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isAsked = false;
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, () => {
        if (isAsked) process.exit(exitCodes.interrupted);
        isAsked = true;
        resolve(name);
      });
    }
  });
}
