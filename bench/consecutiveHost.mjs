// Where the consecutive fits run: directories of their own, a head and workers if need be, and what can be seen of both.
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const fileOf = (path) => fileURLToPath(new URL(path, import.meta.url));
const launcher = fileOf("../packages/runtime/bin/runtime.cjs");
const settleMs = 2_000;
/** Taken once: processes of a host see another. */
const parent = tmpdir();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A home with a directory to spill into for the driver and for each worker, and nothing else in it. */
export class Host {
  home = mkdtempSync(join(parent, "fascicle-consecutive-"));
  temporary = join(this.home, "tmp");
  state = join(this.home, "state");
  /** By who spills there. */
  spill = { driver: join(this.home, "spill-driver") };
  #children = [];
  #watch;
  #known = new Set();

  constructor(workers) {
    for (let n = 1; n <= workers; n++) this.spill[`worker ${n}`] = join(this.home, `spill-${n}`);
    for (const path of [this.temporary, this.state, ...Object.values(this.spill)]) mkdirSync(path);
    // Of this process, too: whatever is made in its name is made here.
    process.env.TMPDIR = this.temporary;
    process.env.XDG_STATE_HOME = this.state;
    // Whoever stops a bench in its middle wants nothing of it to stay.
    for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => process.exit(1));
    process.once("exit", () => this.#abandon());
  }

  /** The pids of those that must stay as large as they are. */
  get pids() {
    const others = this.#children.map(({ name, child }) => [name, child.pid]);
    return { driver: process.pid, ...Object.fromEntries(others) };
  }

  /** Starts a head and the workers, each with so much memory and disk; gives the join string. */
  async startCluster(objectMemoryBytes, spillLimitBytes) {
    const words = ["start", "--head", "--port", "0", "--cpus", "0"];
    const join = (await this.#start("head", words)).replace("join: ", "");
    for (const [name, directory] of Object.entries(this.spill)) {
      if (name === "driver") continue;
      const memory = ["--object-memory", String(objectMemoryBytes), "--spill-dir", directory];
      const limit = ["--spill-limit", String(spillLimitBytes)];
      await this.#start(name, ["join", join, "--cpus", "1", ...memory, ...limit]);
    }
    return join;
  }

  async #start(name, words) {
    const child = spawn(process.execPath, [launcher, ...words], {
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#children.push({ name, child });
    const ended = once(child, "exit");
    const [line] = await Promise.race([
      once(createInterface(child.stdout), "line"),
      ended.then(([code]) => {
        throw new Error(`the ${name} did not start (exit code ${code})`);
      }),
    ]);
    return line;
  }

  /** From here on: what is there now is not left by a fit, and the spill directories are watched. */
  begin() {
    this.#known = new Set(this.#all());
    this.#watch = fork(fileOf("./diskWatch.mjs"), Object.values(this.spill));
  }

  /** The most bytes in each spill directory since the last time, and how often that was looked at. */
  async spillPeaks() {
    this.#watch.send("reset");
    const [{ peak, samples }] = await once(this.#watch, "message");
    const names = Object.keys(this.spill);
    return { samples, peaks: Object.fromEntries(peak.map((bytes, n) => [names[n], bytes])) };
  }

  /** Files, directories and bytes that were not here at the beginning; workers hear of a fit's end a moment later. */
  async left() {
    const untilMs = performance.now() + settleMs;
    let paths = this.#strange();
    while (paths.length > 0 && performance.now() < untilMs) {
      await sleep(20);
      paths = this.#strange();
    }
    const stats = paths.map((path) => lstatSync(path, { throwIfNoEntry: false }));
    return {
      paths,
      files: stats.filter((stat) => stat && !stat.isDirectory()).length,
      directories: stats.filter((stat) => stat?.isDirectory()).length,
      bytes: stats.reduce((sum, stat) => sum + (stat?.isFile() ? stat.size : 0), 0),
    };
  }

  /** Ends everything; gives what is left of it all. */
  async close() {
    for (const { child } of this.#children.reverse()) {
      if (child.exitCode !== null) continue;
      child.kill();
      await once(child, "exit");
    }
    this.#watch?.disconnect();
    const left = this.#all();
    rmSync(this.home, { recursive: true, force: true });
    return left;
  }

  #abandon() {
    for (const { child } of this.#children) child.kill();
    rmSync(this.home, { recursive: true, force: true });
  }

  #strange() {
    return this.#all().filter((path) => !this.#known.has(path));
  }

  /** All that is below the directories in which only the product makes anything. */
  #all() {
    return [this.temporary, this.state, ...Object.values(this.spill)].flatMap((folder) => {
      const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
      return entries.map((entry) => join(entry.parentPath, entry.name));
    });
  }
}

/** Resident memory of a process now, bytes. */
export function residentBytes(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) * 1024;
}
