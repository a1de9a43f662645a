/** DIPY on Ray in a process of its own, with a directory of its own; both are gone when it is closed. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { CsdParameters, DwiModel } from "@fascicle/models";
import { readRows } from "@fascicle/object-store";
import { FitError, sentence, UsageError } from "../../errors.ts";
import type { SweepPoint } from "./points.ts";
import { endSession } from "./sessions.ts";

const script = fileURLToPath(new URL("../../../peers/dipyRay.py", import.meta.url));
/** Ray is given this long to end by itself. */
const endMs = 10_000;
/** Of what it says on stderr, the end is kept. */
const keptCharacters = 2_000;

/** Ray puts sockets about 70 characters below its directory, and their paths may have 107. */
const longestTmpdir = 18;
const shortTmpdir = () => (tmpdir().length <= longestTmpdir ? tmpdir() : "/tmp");

export interface PeerVersions {
  readonly dipy: string;
  readonly ray: string;
  readonly python: string;
}

/** The versions that a Python has; throws `UsageError`, with what to install, where something is missing. */
export async function peerVersions(python: string): Promise<PeerVersions> {
  const program =
    "import json, sys, dipy, ray; print(json.dumps({'dipy': dipy.__version__, 'ray': ray.__version__, 'python': sys.version.split()[0]}))";
  try {
    const { stdout } = await promisify(execFile)(python, ["-c", program]);
    return JSON.parse(stdout) as PeerVersions;
  } catch (error) {
    const { code, stderr = "" } = error as { code?: unknown; stderr?: string };
    const last = stderr.trim().split("\n").at(-1);
    const reason = code === "ENOENT" ? "it is not there" : last || `it ended with ${code}`;
    throw new UsageError(
      `--peer dipy-ray needs DIPY and Ray in ${python} (${reason}): install both there (Debian: apt-get install python3-dipy python3-venv, then python3 -m venv --system-site-packages DIR and DIR/bin/pip install ray), and name it by --python DIR/bin/python or RAY_PYTHON.`,
    );
  }
}

export class DipyRay {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #lines: Interface;
  #said = "";
  /** It has not answered yet. */
  #isBusy = false;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    this.#lines = createInterface({ input: child.stdout! });
    child.stderr!.on("data", (text: Buffer) => {
      this.#said = `${this.#said}${text}`.slice(-keptCharacters);
    });
    // A peer that has ended is told by its answers.
    child.stdin!.on("error", () => {});
  }

  /** Starts it with the voxels of these models; it is warm when the promise resolves. */
  static async start(
    python: string,
    models: readonly DwiModel[],
    workers: readonly number[],
    signal: AbortSignal,
  ): Promise<DipyRay> {
    const directory = await mkdtemp(join(shortTmpdir(), "fascicle-ray-"));
    let peer: DipyRay | undefined;
    try {
      const jobs = [];
      for (const model of models) jobs.push(await writeJob(directory, model));
      await writeFile(join(directory, "job.json"), JSON.stringify({ models: jobs, workers }));
      signal.throwIfAborted();
      // A session of its own: whatever it starts can be found by that.
      const child = spawn(python, [script, directory], { detached: true, stdio: "pipe" });
      peer = new DipyRay(child, directory);
      await peer.#answer(signal);
      return peer;
    } catch (error) {
      if (peer === undefined) await rm(directory, { recursive: true, force: true });
      else await peer.close();
      throw error;
    }
  }

  /** The leader of the session of all its processes. */
  get session(): number | undefined {
    return this.#child.pid;
  }

  /** Seconds of one fit. */
  async time({ model, engine, workers, chunks }: SweepPoint, signal: AbortSignal): Promise<number> {
    const request = JSON.stringify({ model, engine, workers, chunks });
    this.#child.stdin!.write(`${request}\n`);
    const { seconds, missing } = (await this.#answer(signal)) as Record<string, number>;
    if (missing > 0) {
      throw new FitError(`DIPY on Ray left ${missing} voxels of ${model} unfitted.`);
    }
    return seconds;
  }

  async #answer(signal: AbortSignal): Promise<unknown> {
    this.#isBusy = true;
    signal.throwIfAborted();
    const stop = new AbortController();
    const either = { signal: AbortSignal.any([stop.signal, signal]) };
    try {
      const line = once(this.#lines, "line", either);
      const ended = once(this.#child, "close", either).then(() => {
        const reason = this.#said.trim().split("\n").at(-1) || "it said nothing";
        throw new FitError(`DIPY on Ray ended: ${sentence(reason)}`);
      });
      ended.catch(() => {});
      line.catch(() => {});
      const [text] = await Promise.race([line, ended]);
      this.#isBusy = false;
      return JSON.parse(text);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      stop.abort();
    }
  }

  /** Ends Ray and removes its directory, in the midst of a fit as well. */
  async close(): Promise<void> {
    const { pid } = this.#child;
    const hasEnded = () => this.#child.exitCode !== null || this.#child.signalCode !== null;
    if (pid !== undefined) {
      this.#child.stdin!.end();
      // Without input it ends by itself, once it has done what it was asked.
      if (this.#isBusy && !hasEnded()) this.#child.kill("SIGINT");
      const signal = AbortSignal.timeout(endMs);
      if (!hasEnded()) await once(this.#child, "exit", { signal }).catch(() => {});
      await endSession(pid);
    }
    this.#lines.close();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Writes the signals of a model and says what they are, for the script. */
async function writeJob(directory: string, model: DwiModel) {
  const { dwi, signals, name } = model;
  const file = join(directory, `${name}.signals`);
  const rows = await readRows(signals, 0, signals.voxelCount);
  await writeFile(file, new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
  const { bvals, bvecs, isB0, b0Threshold } = dwi.gradients;
  const isFitted = fittedVolumes(model);
  const volumes = Array.from(bvals.keys()).filter((i) => isB0[i] === 1 || isFitted.has(i));
  const options = model.options as {
    readonly shOrder?: number;
    readonly response?: { readonly evals: readonly number[]; readonly s0: number };
  };
  return {
    name,
    signals: file,
    dtype: signals.dtype,
    voxels: signals.voxelCount,
    width: signals.width,
    ...dwi.scale,
    volumes,
    bvals: volumes.map((i) => bvals[i]),
    bvecs: volumes.map((i) => Array.from(bvecs.subarray(3 * i, 3 * i + 3))),
    b0Threshold,
    shOrder: options.shOrder,
    response: options.response && [...options.response.evals, options.response.s0],
  };
}

/** DIPY's CSD takes all shells that it is given: it is given the one that ours takes. */
function fittedVolumes({ name, kernel, dwi }: DwiModel): Set<number> {
  if (name !== "csd") return new Set(dwi.gradients.bvals.keys());
  return new Set((kernel.parameters as CsdParameters).volumes);
}
