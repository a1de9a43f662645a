/** The real command in real processes, each group in a home of its own, with a gate against anything left behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../packages/runtime/bin/runtime.cjs", import.meta.url));
export const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running command. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.on("data", (data: Buffer) => {
      this.stdout += data.toString();
    });
    child.stderr?.on("data", (data: Buffer) => {
      this.stderr += data.toString();
    });
    this.ended = new Promise((resolve) =>
      child.once("close", (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr })),
    );
  }

  /** The match of a pattern in what was printed so far; waits for it. */
  async saw(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    const untilMs = Date.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (match !== null) return match;
      if (Date.now() > untilMs || this.child.exitCode !== null) {
        throw new Error(`never saw ${pattern} in:\n${this.stdout}\n${this.stderr}`);
      }
      await sleep(10);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A user's home for tests: no other head or worker is seen from it. */
export class Home {
  readonly path = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  /** Its temporary directory. */
  readonly scratch = join(this.path, "tmp");
  readonly #running: Running[] = [];

  constructor() {
    mkdirSync(this.scratch);
  }

  file(...names: string[]): string {
    return join(this.path, ...names);
  }

  /** Where its processes keep what they keep. */
  get environment(): NodeJS.ProcessEnv {
    return { XDG_STATE_HOME: this.file("state"), TMPDIR: this.scratch };
  }

  /** Starts a command in the background. */
  start(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Running {
    return this.#start(words, environment);
  }

  /** The same as another user, which only root can. */
  startAs(uid: number, words: readonly string[]): Running {
    return this.#start(words, {}, { uid, gid: uid, cwd: this.path });
  }

  #start(
    words: readonly string[],
    environment: NodeJS.ProcessEnv,
    options: { readonly uid?: number; readonly gid?: number; readonly cwd?: string } = {},
  ): Running {
    const { RUNTIME_JOIN: _, RUNTIME_TOKEN: __, ...inherited } = process.env;
    const child = spawn(process.execPath, [launcher, ...words], {
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...inherited, ...this.environment, NO_COLOR: "1", ...environment },
    });
    const running = new Running(child);
    this.#running.push(running);
    return running;
  }

  /** Runs a command to its end. */
  run(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.start(words, environment).ended;
  }

  /** Starts a head on a free port and gives its join string. */
  async head(...words: string[]): Promise<{ head: Running; join: string }> {
    const head = this.start(["start", "--head", "--port", "0", ...words]);
    const [, join] = await head.saw(/join: (\S+)/);
    return { head, join };
  }

  /** Ends what still runs and removes the home; says what the product had left. */
  async close(): Promise<string[]> {
    for (const running of this.#running) running.signal("SIGTERM");
    await Promise.all(this.#running.map((running) => running.ended));
    const folders = [this.file("state"), this.scratch];
    const left = [...processesWith(this.path), ...folders.flatMap(filesBelow)];
    for (const running of this.#running) running.signal("SIGKILL");
    rmSync(this.path, { recursive: true, force: true });
    return left;
  }
}

/** Live processes whose environment names this home. */
export function processesWith(home: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const state = /^State:\s*(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
      if (state !== "Z" && environment.includes(home)) {
        found.push(readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "));
      }
    } catch {
      // It ended while we looked, or is not ours.
    }
  }
  return found;
}

export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** `--dwi`, `--bval` and `--bvec` of a data set whose files share a stem. */
export function dwiOptions(stem: string, ending = ".nii.gz"): string[] {
  return ["--dwi", `${stem}${ending}`, "--bval", `${stem}.bval`, "--bvec", `${stem}.bvec`];
}
