import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentOwner } from "@fascicle/object-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HeldDirectory, ledgerName } from "./ledgerDirectory.ts";
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
});
