/** Worker processes of a parent: they end with it, however it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { startingLogFile } from "../head/detachedLogs.ts";
import { removeIfEmpty, stateHome } from "../head/discovery.ts";
import { exitCodes } from "./exit.ts";

/** Set for a child: it ends as soon as its stdin does, which the system closes with the parent. */
const lifelineVariable = "RUNTIME_LIFELINE";
/** Set for a child that takes the place of one that died. */
const restartVariable = "RUNTIME_RESTART";
/** Set for a background process: the names its log has, while it starts and then. */
const logVariables = ["RUNTIME_STARTING_LOG", "RUNTIME_OWN_LOG"] as const;

const launcher = fileURLToPath(new URL("../../bin/runtime.cjs", import.meta.url));

export interface WorkerChildOptions {
  readonly join: string;
  readonly arguments: readonly string[];
  /** It takes the place of one that died, maybe together with the head: it may look for the head for a while. */
  readonly isRestart?: boolean;
}

/** Starts `runtime join` as a child. The join string goes by the environment, which other users cannot read. */
export function spawnWorker(options: WorkerChildOptions): ChildProcess {
  return spawn(process.execPath, [launcher, "join", ...options.arguments], {
    stdio: ["pipe", "ignore", "inherit"],
    env: {
      ...process.env,
      RUNTIME_JOIN: options.join,
      [lifelineVariable]: "1",
      [restartVariable]: options.isRestart ? "1" : undefined,
      // The log is its parent's to remove.
      ...Object.fromEntries(logVariables.map((name) => [name, undefined])),
    },
    // Ctrl-C in the terminal is for the parent, which then ends its children in good order.
    detached: true,
  });
}

/** Whether this process is somebody's child worker. */
export const isChild = () => process.env[lifelineVariable] === "1";

/** Whether this process takes the place of a child that died. */
export const isRestart = () => isChild() && process.env[restartVariable] === "1";

/** In a child: calls `end` when the parent is gone. */
export function watchLifeline(end: () => void): void {
  if (!isChild()) return;
  process.stdin.on("end", end);
  process.stdin.on("error", end);
  process.stdin.resume();
}

/** Asks children to end and resolves when they have; after `timeoutMs` they are killed. */
export async function endChildren(children: readonly ChildProcess[], timeoutMs: number) {
  await Promise.all(
    children.map(async (child) => {
      // One that never began has no exit to wait for.
      if (child.pid === undefined) return;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
      await exited;
      clearTimeout(timer);
    }),
  );
}

/** A child that died is started again after this long, then after twice as long each time... */
const firstRestartMs = 500;
/** ...up to this; one that has lived longer than this is taken for a good one. */
const restartLimitMs = 30_000;

export interface KeptChildOptions {
  spawn(): ChildProcess;
  /** Whether a child that ended with this code is not to be started again. One that a signal killed always is. */
  isFinal(code: number): boolean;
  /** Takes a sentence for the log. */
  onDeath(sentence: string): void;
}

/** A child that is started again when it dies, until it is asked to end or has ended for good. */
export class KeptChild {
  /** Resolves with the exit code of the last child when no other will be started. */
  readonly ended: Promise<number>;
  readonly #options: KeptChildOptions;
  #resolveEnded: (code: number) => void = () => {};
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #restartMs = firstRestartMs;
  #bornMs = 0;
  #isEnding = false;

  constructor(options: KeptChildOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#child = this.#start();
  }

  async end(timeoutMs: number): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#timer);
    if (this.#child !== undefined) await endChildren([this.#child], timeoutMs);
  }

  /** Undefined where the system gives no process at all. */
  #start(): ChildProcess | undefined {
    this.#bornMs = performance.now();
    let child: ChildProcess;
    try {
      child = this.#options.spawn();
    } catch (error) {
      this.#died(whyNotStarted(error));
      return undefined;
    }
    child.once("exit", (code, signal) => {
      const isFinal = code !== null && this.#options.isFinal(code);
      if (isFinal || this.#isEnding) this.#resolveEnded(code ?? 1);
      else this.#died(signal ?? `exit code ${code}`);
    });
    child.on("error", (error) => {
      // A child that could not be sent a signal lives, and its exit is still to come.
      if (child.pid !== undefined) return;
      if (this.#isEnding) this.#resolveEnded(1);
      else this.#died(whyNotStarted(error));
    });
    return child;
  }

  #died(how: string): void {
    if (performance.now() - this.#bornMs > restartLimitMs) this.#restartMs = firstRestartMs;
    this.#options.onDeath(`${how}; it is started again in ${this.#restartMs / 1000} s`);
    this.#timer = setTimeout(() => {
      this.#child = this.#start();
    }, this.#restartMs);
    this.#restartMs = Math.min(restartLimitMs, 2 * this.#restartMs);
  }
}

const startReasons: Readonly<Record<string, string>> = {
  EMFILE: "too many files are open",
  ENFILE: "too many files are open",
  EAGAIN: "too many processes run",
  ENOMEM: "no memory is left",
};

function whyNotStarted(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return `it could not be started: ${startReasons[code] ?? message}`;
}

/**
 * Starts this command again in the background, with its log in `logFile`, and resolves with the first line it
 * prints; where it ends before, with its exit code and what it logged.
 */
export async function startDetached(
  logFile: string,
): Promise<
  | { readonly line: string; readonly pid: number }
  | { readonly exitCode: number; readonly output: string }
> {
  const words = process.argv.slice(2).filter((word) => word !== "--detach");
  // The name is taken by the one that succeeds.
  const startingLog = startingLogFile(logFile);
  const [startingVariable, ownVariable] = logVariables;
  const descriptor = openSync(startingLog, "w", 0o600);
  const child = spawn(process.execPath, [launcher, ...words], {
    stdio: ["ignore", "pipe", descriptor],
    env: { ...process.env, [startingVariable]: startingLog, [ownVariable]: logFile },
    detached: true,
  });
  closeSync(descriptor);
  return new Promise((resolve) => {
    let output = "";
    let isStarted = false;
    child.stdout?.on("data", (data: Buffer) => {
      output += data.toString();
      const newline = output.indexOf("\n");
      if (newline < 0 || isStarted) return;
      isStarted = true;
      // One that was told to end at once may have removed its log.
      if (existsSync(startingLog)) renameSync(startingLog, logFile);
      child.stdout?.destroy();
      child.unref();
      resolve({ line: output.slice(0, newline), pid: child.pid ?? 0 });
    });
    child.once("error", (error) => {
      rmSync(startingLog, { force: true });
      const output = `runtime: The background process does not run: ${whyNotStarted(error)}.\n`;
      resolve({ exitCode: exitCodes.failed, output });
    });
    child.once("exit", (code) => {
      if (isStarted) return;
      const log = existsSync(startingLog) ? readFileSync(startingLog, "utf8") : "";
      rmSync(startingLog, { force: true });
      resolve({ exitCode: code ?? 1, output: log });
    });
  });
}

/** In a detached process that ends in good order: removes its log, by whichever name it goes. */
export function removeOwnLog(): void {
  for (const name of logVariables) {
    const logFile = process.env[name];
    if (logFile === undefined) continue;
    if (isOwnLog(logFile)) rmSync(logFile, { force: true });
    for (let folder = dirname(logFile); folder.startsWith(stateHome()); folder = dirname(folder)) {
      removeIfEmpty(folder);
    }
  }
}

/** Whether this process writes its log there: another may have taken the name. */
function isOwnLog(logFile: string): boolean {
  const found = statSync(logFile, { throwIfNoEntry: false });
  const own = fstatSync(process.stderr.fd);
  return found !== undefined && found.ino === own.ino && found.dev === own.dev;
}
