/** A process that has a case in memory and fits it when told to: what is timed holds no start and no reading. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { FitError } from "../../errors.ts";

/** Numeric libraries of peers are told to use one thread. */
const oneThread = Object.fromEntries(
  ["OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB", "NUMEXPR"].map((name) => {
    return [`${name}_NUM_THREADS`, "1"];
  }),
);

/** The end of what a process says before it dies is why. */
const keptWords = 2000;

export class FitProcess {
  readonly #name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  #words = "";

  /** It reads a number of repeats from each line, fits that often and answers `{"seconds": S}`. */
  constructor(name: string, command: string, words: readonly string[], signal: AbortSignal) {
    this.#name = name;
    this.#child = spawn(command, words, { env: { ...process.env, ...oneThread }, signal });
    this.#ended = new Promise((resolve) => this.#child.once("close", () => resolve()));
    this.#child.on("error", () => {});
    this.#child.stdin.on("error", () => {});
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#words = (this.#words + text).slice(-keptWords);
    });
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** Seconds that `repeats` fits of the case took. */
  async seconds(repeats: number): Promise<number> {
    this.#child.stdin.write(`${repeats}\n`);
    const line = await this.#lines.next();
    if (line.done) {
      await this.#ended;
      const reason = this.#words.trim().split("\n").at(-1) || "it said nothing";
      throw new FitError(`${this.#name} ended in the midst of the bench: ${reason}`);
    }
    return (JSON.parse(line.value) as { seconds: number }).seconds;
  }

  /** Resolves when it is gone. */
  async end(): Promise<void> {
    this.#child.stdin.end();
    // At the end of its input it ends by itself, unless it is in the midst of a fit that nobody waits for any more.
    this.#child.kill();
    await this.#ended;
  }
}
