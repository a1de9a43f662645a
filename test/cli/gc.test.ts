/** What a fit that was killed leaves is shown, kept for --resume, and removed when asked. */
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bigVolume } from "../support/bigFit.ts";
import { Home, sleep } from "../support/cli.ts";

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
