/** What a fit that was killed leaves is shown, kept for --resume, and removed when asked. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bigVolume } from "../support/bigFit.ts";
import { filesBelow, Home, processesWith, sleep } from "../support/cli.ts";

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

/** Kills a fit once it has put something aside; gives its ledger. */
async function killedFit(words: readonly string[], out: string): Promise<string> {
  const fit = home.start(words);
  const isLedger = (name: string) => name.startsWith(".fascicle-ledger");
  const ledger = () => (existsSync(out) ? readdirSync(out).find(isLedger) : undefined);
  const isHeld = () => existsSync(`${out}/${ledger()}/claim-1`);
  while (!isHeld() && fit.child.exitCode === null) await sleep(10);
  fit.signal("SIGKILL");
  await fit.ended;
  return `${out}/${ledger()}`;
}

describe("runtime gc", () => {
  it("keeps what --resume can use for a day, shows it in status, and removes it with --all", async () => {
    const data = await bigVolume(home);
    const out = home.file("out");
    const ledger = await killedFit(["fit", "csd", ...data, "--out", out, "--workers", "1"], out);
    const kept = await home.run(["gc"]);
    expect(kept).toMatchObject({ code: 0 });
    expect(kept.stdout).toMatch(/^kept .*\.fascicle-ledger-\S+ \(.*ago by pid \d+ on .*--resume/);
    await home.head("--cpus", "0");
    const status = await home.run(["status"]);
    expect(status.stdout).toMatch(/1 ledger of fits that died here/);
    expect(JSON.parse((await home.run(["status", "--json"])).stdout).ledgers).toHaveLength(1);
    const dry = await home.run(["gc", "--all", "--dry-run"]);
    expect(dry.stdout).toMatch(/^would remove /);
    expect(existsSync(ledger)).toBe(true);
    expect((await home.run(["gc", "--all"])).stdout).toMatch(/^removed /);
    expect(existsSync(ledger)).toBe(false);
    expect((await home.run(["gc"])).stdout).toBe("nothing is left by dead processes\n");
  }, 120_000);

  it("removes what is older than a day without being told", async () => {
    const data = await bigVolume(home);
    const out = home.file("out");
    const ledger = await killedFit(["fit", "csd", ...data, "--out", out, "--workers", "1"], out);
    const old = new Date(Date.now() - 25 * 3600 * 1000);
    for (const name of readdirSync(ledger)) utimesSync(`${ledger}/${name}`, old, old);
    expect((await home.run(["gc"])).stdout).toMatch(/^removed /);
    expect(existsSync(ledger)).toBe(false);
  }, 120_000);
});

const maker = fileURLToPath(new URL("../support/workspaceMaker.mjs", import.meta.url));

/** A process with two workspaces in a directory; gives their paths. */
async function withScratch(directory: string): Promise<{ child: ChildProcess; paths: string[] }> {
  const child = spawn(process.execPath, [maker, directory, "2", "stay"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...home.environment },
  });
  const line = await new Promise((resolve) => child.stdout?.once("data", resolve));
  return { child, paths: JSON.parse(String(line)) };
}

/** What a killed process left there. */
async function leftScratch(
  directory: string,
): Promise<{ pid: number | undefined; paths: string[] }> {
  const { child, paths } = await withScratch(directory);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exited;
  return { pid: child.pid, paths };
}

const linesOf = (text: string) => text.trim().split("\n");

describe("scratch of dead processes", () => {
  it("is found wherever it was made, and goes with a word about each; that of the living is not spoken of", async () => {
    const elsewhere = home.file("elsewhere");
    mkdirSync(elsewhere);
    const living = await withScratch(elsewhere);
    try {
      const left = [await leftScratch(elsewhere), await leftScratch(home.scratch)];
      const paths = left.flatMap((process) => process.paths);
      const dry = await home.run(["gc", "--dry-run"]);
      expect(dry).toMatchObject({ code: 0, stderr: "" });
      const removed = await home.run(["gc"]);
      expect(removed).toMatchObject({ code: 0, stderr: "" });
      for (const [said, word] of [
        [dry.stdout, "would remove"],
        [removed.stdout, "removed"],
      ] as const) {
        expect(linesOf(said)).toHaveLength(4);
        for (const { pid, paths } of left) {
          for (const path of paths) {
            expect(said).toMatch(
              new RegExp(
                `^${word} ${path} \\(scratch of a test, [\\d.]+ KiB, of pid ${pid} on `,
                "m",
              ),
            );
          }
        }
      }
      expect(paths.some(existsSync)).toBe(false);
      expect(living.paths.every((path) => existsSync(join(path, "rows")))).toBe(true);
      expect((await home.run(["gc"])).stdout).toBe("nothing is left by dead processes\n");
    } finally {
      living.child.stdin?.end();
      await new Promise((resolve) => living.child.once("exit", resolve));
    }
    expect(readdirSync(elsewhere)).toEqual([]);
    expect(existsSync(home.file("state", "fascicle"))).toBe(false);
  });

  it("goes with the next start, join or fit, which says one line, and none where there was nothing", async () => {
    const said =
      /^runtime: removed what dead processes left \(pid \d+ on \S+\): 2 scratch folders, [\d.]+ KiB$/gm;
    const elsewhere = home.file("elsewhere");
    mkdirSync(elsewhere);
    await leftScratch(elsewhere);
    const { head, join: address } = await home.head("--cpus", "0");
    expect(head.stderr.match(said)).toHaveLength(1);
    expect(readdirSync(elsewhere)).toEqual([]);
    await leftScratch(elsewhere);
    const worker = home.start(["join", address, "--cpus", "1"]);
    await worker.saw(/joined \S+ with 1 slot/);
    expect(worker.stderr.match(said)).toHaveLength(1);
    await leftScratch(elsewhere);
    const data = await bigVolume(home);
    const fit = [
      "fit",
      "dti",
      ...data.slice(0, data.indexOf("--response")),
      "--out",
      home.file("out"),
      "--join",
      address,
    ];
    const swept = await home.run(fit);
    expect(swept.code).toBe(0);
    expect(swept.stderr.match(said)).toHaveLength(1);
    expect((await home.run(fit)).stderr).not.toMatch(/dead processes/);
    expect(readdirSync(elsewhere)).toEqual([]);
  }, 120_000);
});

describe("logs of processes in the background", () => {
  const start = ["start", "--head", "--port", "0", "--cpus", "0", "--detach"];
  const state = (...names: string[]) => home.file("state", "fascicle", ...names);
  const logs = () => filesBelow(state()).filter((file) => file.includes(".log"));

  it("go where a start was killed before it came to anything", async () => {
    const launcher = home.start(start);
    while (logs().length === 0) await sleep(1);
    launcher.signal("SIGKILL");
    // The one in the background has nobody to tell its join string to.
    while (processesWith(home.path).length > 0) await sleep(10);
    expect(logs()).toHaveLength(1);
    expect((await home.run(["gc", "--dry-run"])).stdout).toMatch(
      /^would remove \S+head\.log\.\S+tmp \(log of a dead/m,
    );
    expect(logs()).toHaveLength(1);
    await home.head("--cpus", "0");
    expect(logs()).toEqual([]);
  });

  it("of workers stay for a day, and go with --all", async () => {
    await home.head("--cpus", "0");
    expect(await home.run(["join", "--cpus", "1", "--detach"])).toMatchObject({ code: 0 });
    expect(logs()).toHaveLength(1);
    expect((await home.run(["gc", "--all"])).stdout).toBe("nothing is left by dead processes\n");
    const { hosts } = JSON.parse((await home.run(["status", "--json"])).stdout);
    process.kill(hosts[0].pid, "SIGKILL");
    while (processesWith(home.path).some((words) => words.includes(" join"))) await sleep(10);
    expect((await home.run(["gc"])).stdout).toMatch(
      /^kept \S+worker-\S+\.log \(log of a dead process, .*--all removes it/,
    );
    expect(logs()).toHaveLength(1);
    expect((await home.run(["gc", "--all"])).stdout).toMatch(/^removed \S+worker-\S+\.log/);
    expect(logs()).toEqual([]);
  });
});
