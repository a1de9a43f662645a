import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentOwner } from "@fascicle/object-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HeldDirectory, type Holder, holderOf, ledgerName } from "./ledgerDirectory.ts";
import { notedLedgers } from "./ledgerPlaces.ts";

let folder = "";
const stateBefore = process.env.XDG_STATE_HOME;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  process.env.XDG_STATE_HOME = join(folder, "state");
});
afterEach(() => {
  if (stateBefore === undefined) delete process.env.XDG_STATE_HOME;
  else process.env.XDG_STATE_HOME = stateBefore;
  rmSync(folder, { recursive: true });
});

describe("the directory of a ledger", () => {
  it("that another process took from one that slept is not removed by the sleeper", async () => {
    const path = join(folder, ledgerName("0123"));
    const slept = await HeldDirectory.make(path);
    writeFileSync(join(path, "claim-2"), JSON.stringify({ ...currentOwner(), hostName: "other" }));
    rmSync(join(path, "claim-1"));
    await slept?.remove();
    expect(readdirSync(path)).toEqual(["claim-2"]);
    expect(notedLedgers()).toEqual([path]);
  });

  const deadLedger = async () => {
    const path = join(folder, ledgerName("0123"));
    mkdirSync(path);
    writeFileSync(join(path, "claim-1"), JSON.stringify({ ...currentOwner(), startTime: "1" }));
    const dead = (await holderOf(path)) as Holder;
    expect(dead.isAlive).toBe(false);
    return { path, dead };
  };

  it("is not taken from a live process that has the number of the dead one that was seen", async () => {
    const { path, dead } = await deadLedger();
    await (await HeldDirectory.take(path, dead))?.release();
    expect(readdirSync(path)).toEqual([]);
    // Whoever saw the dead one may have read what is now another's.
    expect(await HeldDirectory.take(path, dead)).toBeUndefined();
    const live = await HeldDirectory.make(path);
    expect(await HeldDirectory.take(path, dead)).toBeUndefined();
    expect(readdirSync(path)).toEqual(["claim-1"]);
    expect(await holderOf(path)).toMatchObject({ isAlive: true, owner: currentOwner() });
    await live?.remove();
    expect(notedLedgers()).toEqual([]);
  });

  it("is not taken below a claim that others came to meanwhile", async () => {
    const { path, dead } = await deadLedger();
    rmSync(join(path, "claim-1"));
    writeFileSync(join(path, "claim-3"), JSON.stringify(currentOwner()));
    expect(await HeldDirectory.take(path, dead)).toBeUndefined();
    expect(readdirSync(path)).toEqual(["claim-3"]);
  });
});
