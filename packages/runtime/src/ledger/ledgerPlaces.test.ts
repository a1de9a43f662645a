import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { forgetLedger, notedLedgers, noteLedger } from "./ledgerPlaces.ts";

let folder = "";
const stateBefore = process.env.XDG_STATE_HOME;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  process.env.XDG_STATE_HOME = folder;
});
afterEach(() => {
  if (stateBefore === undefined) delete process.env.XDG_STATE_HOME;
  else process.env.XDG_STATE_HOME = stateBefore;
  rmSync(folder, { recursive: true });
});

it("ledgers are found beside an entry that is none, which goes", () => {
  noteLedger("/a/ledger");
  noteLedger("/another/ledger");
  const notes = join(folder, "fascicle", "ledger-places");
  writeFileSync(join(notes, "0000000000000000"), "/a/plain/file");
  expect(notedLedgers().sort()).toEqual(["/a/ledger", "/another/ledger"]);
  expect(readdirSync(notes)).toHaveLength(2);
  forgetLedger("/a/ledger");
  forgetLedger("/another/ledger");
  expect(readdirSync(folder)).toEqual([]);
});
