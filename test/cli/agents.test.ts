/** `runtime join --agents N`: several worker processes under one. */
import { readdirSync, readFileSync } from "node:fs";
import { formatJoinString, newToken, parseJoinString } from "@fascicle/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dwiOptions, fixtures, Home, type Running, sleep } from "../support/cli.ts";

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

interface Host {
  readonly pid: number;
}

async function hosts(): Promise<Host[]> {
  return JSON.parse((await home.run(["status", "--json"])).stdout).hosts;
}

/** Waits until so many workers have joined, none of them one of `without`. */
async function untilJoined(count: number, without: readonly number[] = []): Promise<Host[]> {
  const isThere = (found: readonly Host[]) =>
    found.length === count && found.every(({ pid }) => !without.includes(pid));
  for (let found = await hosts(); ; found = await hosts()) {
    if (isThere(found)) return found;
    await sleep(100);
  }
}

function childrenOf({ child }: Running): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === child.pid)
    .map(Number);
}

function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return 0;
  }
}

describe("workers that one command has started", () => {
  it("are started again when they are killed, until they are told to stop", async () => {
    const { join } = await home.head("--cpus", "0");
    const group = home.start(["join", join, "--agents", "2", "--cpus", "1"]);
    await group.saw(/^joined with 2 workers of 1 slot$/m);
    const [first, second] = await untilJoined(2);
    process.kill(first.pid, "SIGKILL");
    await group.saw(/a worker died \(SIGKILL; it is started again in 0\.5 s\)/);
    const now = await untilJoined(2, [first.pid]);
    expect(now.map(({ pid }) => pid)).toContain(second.pid);
    const out = home.file("out");
    const small = dwiOptions(`${fixtures}data/real_64dir`, ".nii");
    const fit = await home.run(["fit", "dti", ...small, "--out", out, "--join", join, "--json"]);
    expect(JSON.parse(fit.stdout)).toMatchObject({ engine: "cluster", workers: 2 });
    group.signal("SIGTERM");
    expect(await group.ended).toMatchObject({ code: 0 });
    expect(await hosts()).toEqual([]);
  }, 120_000);

  it("find the head again, also one that died together with it", async () => {
    const state = ["--state-dir", home.file("mine")];
    const { head, join } = await home.head("--cpus", "0", ...state);
    const group = home.start(["join", join, "--agents", "2", "--cpus", "1"]);
    const [first, second] = await untilJoined(2);
    head.signal("SIGKILL");
    process.kill(first.pid, "SIGKILL");
    await group.saw(/a worker died \(SIGKILL; it is started again in 0\.5 s\)/);
    // Long enough for the new one to look for the head in vain.
    await sleep(3_000);
    const again = home.start(["start", "--head", "--cpus", "0", ...state]);
    expect((await again.saw(/join: (\S+)/))[1]).toBe(join);
    const now = await untilJoined(2, [first.pid]);
    expect(now.map(({ pid }) => pid)).toContain(second.pid);
    again.signal("SIGTERM");
    expect(await group.ended).toMatchObject({ code: 0 });
  }, 60_000);

  it("end with the command, also one that looks for the head", async () => {
    const { head, join } = await home.head("--cpus", "0");
    const group = home.start(["join", join, "--agents", "2", "--cpus", "1"]);
    const [first] = await untilJoined(2);
    head.signal("SIGKILL");
    process.kill(first.pid, "SIGKILL");
    await group.saw(/it is started again in 0\.5 s/);
    await sleep(1_500);
    expect(childrenOf(group)).toHaveLength(2);
    group.signal("SIGTERM");
    expect(await group.ended).toMatchObject({ code: 0 });
    // The head that was killed has left what the next one needs.
    await home.head("--cpus", "0");
  }, 60_000);

  it("stay down when somebody asked them to leave, and the command ends with the last", async () => {
    const { join } = await home.head("--cpus", "0");
    const group = home.start(["join", join, "--agents", "2", "--cpus", "1"]);
    const [first, second] = await untilJoined(2);
    process.kill(first.pid, "SIGTERM");
    expect(await untilJoined(1)).toMatchObject([{ pid: second.pid }]);
    // Longer than a dead one would stay away.
    await sleep(1_500);
    expect(childrenOf(group)).toEqual([second.pid]);
    process.kill(second.pid, "SIGTERM");
    const { code, stderr } = await group.ended;
    expect(code).toBe(0);
    expect(stderr).not.toMatch(/started again/);
  }, 60_000);

  it("stay down when the head stops or refuses them", async () => {
    const { head, join } = await home.head("--cpus", "0");
    const group = home.start(["join", join, "--agents", "2", "--cpus", "1"]);
    await untilJoined(2);
    const other = formatJoinString({ ...parseJoinString(join), token: newToken() });
    const refused = await home.run(["join", other, "--agents", "2", "--cpus", "1"]);
    expect(refused.code).toBe(3);
    expect(refused.stderr).not.toMatch(/started again/);
    head.signal("SIGTERM");
    const { code, stderr } = await group.ended;
    expect(code).toBe(0);
    expect(stderr).not.toMatch(/started again/);
  }, 60_000);
});
