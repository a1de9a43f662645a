/** A child process that fits voxels one by one, for kernels that may take their process with them. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { CarefulSpec, FromCareful, ToCareful } from "./carefulMessages.ts";
import { kernelHeapMebibytes, lateTimerMs } from "./limits.ts";

/** How a batch ended: all voxels fitted, or what happened at the one after the first `answered`. */
export interface CarefulOutcome {
  readonly kind: "fitted" | "threw" | "timedOut" | "died";
  readonly answered: number;
  readonly reason: string;
}

export interface CarefulBatch {
  /** Signals of consecutive voxels, row after row. */
  readonly signals: Uint8Array;
  readonly voxels: number;
  /** For each voxel. */
  readonly timeoutMs: number | undefined;
  /** The values of voxel `index` of the batch, output after output. */
  onValues(index: number, values: Uint8Array): void;
}

/** The kernel could not be made, and said why. */
export class CarefulKernelError extends Error {
  override readonly name = "CarefulKernelError";
}

export class CarefulProcess {
  readonly #child: ChildProcess;
  /** Resolves with the reason when the process is gone and all it said is heard. */
  readonly #ended: Promise<string>;
  #hear: (message: FromCareful) => void = () => {};

  constructor() {
    this.#child = fork(fileURLToPath(new URL("./carefulMain.js", import.meta.url)), [], {
      serialization: "advanced",
      execArgv: [`--max-old-space-size=${kernelHeapMebibytes}`],
      stdio: ["pipe", "ignore", "ignore", "ipc"],
    });
    this.#child.on("message", (message: FromCareful) => this.#hear(message));
    this.#child.stdin?.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      // Not at "exit": what it said last may still be under way then.
      this.#child.once("close", (code, signal) => resolve(reasonOfEnd(code, signal)));
      this.#child.on("error", (error) => {
        if (this.#child.pid === undefined) resolve(error.message);
      });
    });
  }

  /**
   * Makes the kernel. Resolves with undefined, or with the reason where the process died over it; throws
   * `CarefulKernelError` where the kernel refused.
   */
  async open(spec: CarefulSpec): Promise<string | undefined> {
    const answer = await this.#ask({ type: "open", spec });
    if (typeof answer === "string") return answer;
    if (answer.type === "failed") throw new CarefulKernelError(answer.reason);
    return undefined;
  }

  /** Fits the voxels of a batch in turn, until one does not end well. After that, only a throw leaves the process usable. */
  async fit(batch: CarefulBatch): Promise<CarefulOutcome> {
    let answered = 0;
    let timedOutAt = -1;
    const timer = new VoxelTimer(batch.timeoutMs, () => {
      timedOutAt = answered;
      this.#child.kill("SIGKILL");
    });
    const heard = new Promise<CarefulOutcome>((resolve) => {
      this.#hear = (message) => {
        if (message.type === "threw") resolve({ kind: "threw", answered, reason: message.reason });
        if (message.type !== "fitted") return;
        batch.onValues(answered++, message.values);
        if (answered === batch.voxels) resolve({ kind: "fitted", answered, reason: "" });
        else timer.start();
      };
    });
    this.#say({ type: "fit", signals: batch.signals });
    timer.start();
    const died = this.#ended.then((reason): CarefulOutcome => {
      return { kind: timedOutAt === answered ? "timedOut" : "died", answered, reason };
    });
    const outcome = await Promise.race([heard, died]);
    timer.stop();
    this.#hear = () => {};
    return outcome;
  }

  /** Ends it, whatever it is doing; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** The answer to a message, or the reason why there is none. */
  #ask(message: ToCareful): Promise<FromCareful | string> {
    const answer = new Promise<FromCareful>((resolve) => {
      this.#hear = resolve;
    });
    this.#say(message);
    return Promise.race([answer, this.#ended]);
  }

  #say(message: ToCareful): void {
    // A process that is gone is noticed by its end.
    if (this.#child.connected) this.#child.send(message, () => {});
  }
}

/** Goes off when a voxel has taken too long. */
class VoxelTimer {
  readonly #timeoutMs: number | undefined;
  readonly #onTimeout: () => void;
  #timer: NodeJS.Timeout | undefined;
  #begun = 0;

  constructor(timeoutMs: number | undefined, onTimeout: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#onTimeout = onTimeout;
  }

  /** Begins anew, for the next voxel. */
  start(): void {
    this.stop();
    if (this.#timeoutMs === undefined) return;
    const begun = this.#begun;
    const dueMs = performance.now() + this.#timeoutMs;
    this.#timer = setTimeout(() => {
      // This process stood still, and perhaps the other one with it (a suspended machine): that proves nothing.
      if (performance.now() - dueMs > lateTimerMs) return this.start();
      // An answer may lie unread: it is read before anybody is blamed.
      setImmediate(() => {
        if (this.#begun === begun) this.#onTimeout();
      });
    }, this.#timeoutMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#begun++;
  }
}

function reasonOfEnd(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null
    ? `its process ended with exit code ${code}`
    : `its process was ended by ${signal}`;
}
