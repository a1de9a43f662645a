/** Workspaces of real processes that end in all ways, beside others that live, sweep, and are somebody else's. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { notedParents, type SweptWorkspace, sweepWorkspaces } from "@fascicle/object-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sleep } from "./support/cli.ts";

const script = (name: string) => fileURLToPath(new URL(`support/${name}.mjs`, import.meta.url));

let home = "";
let parent = "";
const stateBefore = process.env.XDG_STATE_HOME;
const children: Maker[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  parent = join(home, "scratch");
  mkdirSync(parent);
  process.env.XDG_STATE_HOME = join(home, "state");
});
afterEach(async () => {
  for (const child of children.splice(0)) await child.kill();
  if (stateBefore === undefined) delete process.env.XDG_STATE_HOME;
  else process.env.XDG_STATE_HOME = stateBefore;
  rmSync(home, { recursive: true });
});

/** A process that has made workspaces. */
class Maker {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  #stdout = "";

  constructor(count: number, how: string, around: readonly string[] = []) {
    const words = [
      ...around,
      process.execPath,
      script("workspaceMaker"),
      parent,
      String(count),
      how,
    ];
    const [command = "", ...rest] = words;
    this.child = spawn(command, rest, { stdio: ["pipe", "pipe", "ignore"] });
    this.child.stdout?.on("data", (data: Buffer) => {
      this.#stdout += data.toString();
    });
    this.child.stdin?.on("error", () => {});
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
    children.push(this);
  }

  /** What it said in its first line: its paths, or its error. */
  async said(): Promise<unknown> {
    while (!this.#stdout.includes("\n")) await sleep(10);
    return JSON.parse(this.#stdout.slice(0, this.#stdout.indexOf("\n")));
  }

  async paths(): Promise<string[]> {
    return (await this.said()) as string[];
  }

  kill(): Promise<number | null> {
    this.child.kill("SIGKILL");
    return this.exited;
  }
}

/** Sweeps in a process of its own. */
function sweeper(): Promise<SweptWorkspace[]> {
  const child = spawn(process.execPath, [script("workspaceSweeper"), parent], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let stdout = "";
  child.stdout.on("data", (data: Buffer) => {
    stdout += data.toString();
  });
  return new Promise((resolve) => child.once("close", () => resolve(JSON.parse(stdout))));
}

const removedOf = (found: readonly SweptWorkspace[]) =>
  found.filter(({ kept }) => kept === undefined).map(({ path }) => path);

const canRun = (...words: string[]) => {
  const [command = "", ...rest] = words;
  return spawnSync(command, rest).status === 0;
};

describe("a process", () => {
  it.each([
    ["ends", 0],
    ["exit", 0],
    ["throw", 1],
  ])("that comes to its end (%s) leaves nothing", async (how, code) => {
    const maker = new Maker(3, how);
    await maker.said();
    expect(await maker.exited).toBe(code);
    expect(readdirSync(parent)).toEqual([]);
    expect(notedParents()).toEqual([]);
    expect(existsSync(join(home, "state", "fascicle"))).toBe(false);
  });

  it("that is killed leaves what the next one sweeps, and only that", async () => {
    const dead = new Maker(3, "stay");
    const living = new Maker(2, "stay");
    const paths = await dead.paths();
    const others = await living.paths();
    expect(removedOf(await sweepWorkspaces([parent]))).toEqual([]);
    await dead.kill();
    expect(notedParents()).toEqual([parent]);
    const found = await sweepWorkspaces(notedParents());
    expect(removedOf(found).sort()).toEqual(paths.sort());
    for (const { bytes, who } of found.filter(({ state }) => state === "dead")) {
      expect(bytes).toBeGreaterThanOrEqual(64 << 10);
      expect(who).toContain(`pid ${dead.child.pid}`);
    }
    expect(readdirSync(parent)).toHaveLength(2);
    expect(others.every((path) => existsSync(join(path, "rows")))).toBe(true);
    await living.kill();
    await sweepWorkspaces(notedParents());
    expect(readdirSync(parent)).toEqual([]);
    expect(notedParents()).toEqual([]);
  });

  it("that is stopped is not dead", async () => {
    const maker = new Maker(1, "stay");
    const [path = ""] = await maker.paths();
    maker.child.kill("SIGSTOP");
    await sweepWorkspaces([parent]);
    expect(existsSync(join(path, "rows"))).toBe(true);
    maker.child.kill("SIGCONT");
  });

  it("is never robbed, and no workspace is removed twice, by twenty that sweep while others come and go", async () => {
    const dead = [new Maker(10, "stay"), new Maker(10, "stay")];
    const paths: string[] = [];
    for (const maker of dead) paths.push(...(await maker.paths()));
    const busy = [1, 2, 3].map(() => new Maker(2, "churn"));
    for (const maker of busy) await maker.said();
    for (const maker of dead) await maker.kill();
    const found = (await Promise.all(Array.from({ length: 20 }, sweeper))).flat();
    expect(removedOf(found).sort()).toEqual(paths.sort());
    // They ended only if something was taken from them.
    expect(busy.map(({ child }) => child.exitCode)).toEqual([null, null, null]);
    // One that is killed in the middle of making or removing leaves what can be told and swept.
    for (const maker of busy) await maker.kill();
    await sweepWorkspaces([parent]);
    expect(readdirSync(parent)).toEqual([]);
  }, 120_000);
});

describe.skipIf(!canRun("unshare", "--pid", "--mount-proc", "--fork", "true"))(
  "another container of this boot",
  () => {
    it.each([
      ["a process table of its own", ["--mount-proc"]],
      ["a process table that is not its own", []],
    ])(
      "that sees %s is left alone while it lives, and swept when it is dead, though both have pid 1",
      async (_, words) => {
        const around = ["unshare", "--pid", ...words, "--fork", "--kill-child"];
        const first = new Maker(1, "stay", around);
        const second = new Maker(1, "stay", around);
        const [path = ""] = await first.paths();
        const [other = ""] = await second.paths();
        // Each of the two is the first process there.
        expect(path).toMatch(/fascicle-1-/);
        expect(other).toMatch(/fascicle-1-/);
        const sweepInThere = () =>
          JSON.parse(
            spawnSync("unshare", [
              ...around.slice(1),
              process.execPath,
              script("workspaceSweeper"),
              parent,
            ]).stdout.toString(),
          ) as SweptWorkspace[];
        for (const found of [await sweepWorkspaces([parent]), sweepInThere()]) {
          expect(found.map(({ state }) => state)).toEqual(["alive", "alive"]);
        }
        await first.kill();
        // What is killed here is its parent: it follows a moment later.
        while (existsSync(path)) expect([[], [path]]).toContainEqual(removedOf(sweepInThere()));
        expect(existsSync(join(other, "rows"))).toBe(true);
        await second.kill();
        while (existsSync(other)) await sweepWorkspaces([parent]);
        expect(readdirSync(parent)).toEqual([]);
      },
    );
  },
);

it("a process that is killed at any moment leaves nothing that the next sweep does not find", async () => {
  for (let round = 0; round < 12; round++) {
    const maker = new Maker(1, "churn");
    await maker.said();
    await sleep(3 * round);
    await maker.kill();
    if (readdirSync(parent).length > 0) expect(notedParents()).toEqual([parent]);
    await sweepWorkspaces(notedParents());
    expect(readdirSync(parent)).toEqual([]);
    expect(existsSync(join(home, "state", "fascicle"))).toBe(false);
  }
});

describe("another user", () => {
  const nobody = 65_534;
  const around = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
  const become = (skip: (why: string) => void) => {
    if (process.getuid?.() !== 0 || !canRun(...around, process.execPath, "-e", "")) {
      skip("nobody else can be played here");
    }
    chmodSync(home, 0o755);
    mkdirSync(join(home, "state"));
    chownSync(join(home, "state"), nobody, nobody);
  };

  it("is never touched, dead or alive", async ({ skip }) => {
    become(skip);
    chmodSync(parent, 0o1777);
    const maker = new Maker(1, "stay", around);
    const [path = ""] = await maker.paths();
    expect(statSync(path).uid).toBe(nobody);
    await maker.kill();
    expect(await sweepWorkspaces([parent])).toEqual([]);
    expect(existsSync(join(path, "rows"))).toBe(true);
    const own = spawnSync("setpriv", [
      ...around.slice(1),
      process.execPath,
      script("workspaceSweeper"),
      parent,
    ]);
    expect(removedOf(JSON.parse(own.stdout.toString()))).toEqual([path]);
  });

  it("who may not write there is told so", async ({ skip }) => {
    become(skip);
    chmodSync(parent, 0o755);
    expect(await new Maker(1, "ends", around).said()).toEqual({
      code: "SPILL_DIRECTORY",
      message: `The spill directory ${parent} cannot be used (permission denied): give another with --spill-dir.`,
    });
  });
});
