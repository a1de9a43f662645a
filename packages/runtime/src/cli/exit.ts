/** From errors to the one sentence and the exit code that the user gets. */
import { consola } from "consola";

export const exitCodes = { done: 0, failed: 1, usage: 2, noHead: 3, interrupted: 130 } as const;

/** A signal ended the work. */
export class Interrupted extends Error {
  readonly code = "INTERRUPTED";
  override readonly name = "Interrupted";
}

const codes: Readonly<Record<string, number>> = {
  INPUT: exitCodes.usage,
  USAGE: exitCodes.usage,
  NOT_YET: exitCodes.usage,
  JOIN_STRING: exitCodes.usage,
  OBJECT_MEMORY: exitCodes.usage,
  SPILL_DIRECTORY: exitCodes.usage,
  DATA_PORT: exitCodes.usage,
  JOURNAL_VERSION: exitCodes.usage,
  CONNECT: exitCodes.noHead,
  INTERRUPTED: exitCodes.interrupted,
};

/** Prints what went wrong on stderr and gives the exit code. Only an error of ours that nobody foresaw shows its stack. */
export function reportError(error: unknown): number {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code !== "string" || typeof message !== "string") {
    const stack = error instanceof Error ? error.stack : String(error);
    process.stderr.write(`runtime: this is a bug in Fascicle, please report it: ${stack}\n`);
    return exitCodes.failed;
  }
  process.stderr.write(`runtime: ${message}\n`);
  return codes[code] ?? exitCodes.failed;
}

/** Lines for the log of a head or a worker, on stderr. */
export const log = consola.create({
  stdout: process.stderr,
  stderr: process.stderr,
  level: 3,
  formatOptions: { date: true },
});
