/** `runtime fit --resume` after every way to die. */

import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { slowly } from "../support/bigFit.ts";
import { dwiOptions, type Ended, Home, sleep } from "../support/cli.ts";
import { ledgerIn, startRecorded } from "../support/ledgers.ts";

/** Generous: these are whole fits, and the machine may be busy. */
const deadlineMs = 600_000;

const home = new Home();
let whole = "";
let maps: Record<string, string> = {};

beforeAll(async () => {
  const phantom = ["phantom", "--out", home.file("scan"), "--scheme", "hcp", "--size", "56,56,36"];
  expect((await home.run(phantom)).code).toBe(0);
  whole = home.file("whole");
  expect((await home.run(commandFor(whole, "--chunks", "31"))).code).toBe(0);
  maps = mapsIn(whole);
}, deadlineMs);
afterAll(async () => {
  // The one that was copied for each test was never resumed itself.
  expect((await home.run(["gc", "--all"])).stdout).toMatch(/removed .*template/);
  expect(await home.close()).toEqual([]);
});

function commandFor(out: string, ...words: string[]): string[] {
  const scan = [
    ...dwiOptions(home.file("scan", "dwi")),
    "--mask",
    home.file("scan", "mask.nii.gz"),
  ];
  return ["fit", "csd", ...scan, ...slowly, "--out", out, ...words];
}

/** All that a fit wrote but its receipt, hashed: whole buffers take the test a minute to compare. */
function mapsIn(out: string): Record<string, string> {
  const names = readdirSync(out).filter((name) => name !== "report.json");
  const hash = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(out, name)))
      .digest("hex");
  return Object.fromEntries(names.sort().map((name) => [name, hash(name)]));
}

const receiptIn = (out: string) => JSON.parse(readFileSync(join(out, "report.json"), "utf8"));

/** Starts a fit and waits until rows of it were recorded. */
const recorded = (out: string, ...words: string[]) =>
  startRecorded(home, out, commandFor(out, "--workers", "1", ...words));

/** What a fit leaves that was killed when part of it was recorded; the killing is done once. */
async function killed(out: string): Promise<void> {
  const template = home.file("template");
  if (!existsSync(template)) {
    const running = await recorded(template, "--chunks", "700");
    running.signal("SIGKILL");
    await running.ended;
  }
  cpSync(template, out, { recursive: true });
}

describe("--resume", () => {
  it(
    "goes on after kill -9 at any moment, again and again, to the same bytes",
    async () => {
      const out = home.file("often");
      let kills = 0;
      let last: Ended | undefined;
      for (const [life, chunks] of ["613", "97", "auto", "1409"].entries()) {
        const words = ["--chunks", chunks];
        const running =
          life === 0
            ? await recorded(out, ...words)
            : home.start(commandFor(out, "--resume", "--workers", "1", ...words));
        await running.saw(/fitting csd/, 60_000);
        await sleep(Math.random() * 1_200);
        running.signal("SIGKILL");
        last = await running.ended;
        if (last.code !== null) break;
        kills++;
      }
      expect(kills).toBeGreaterThan(0);
      const ended = last?.code === 0 ? last : await home.run(commandFor(out, "--resume"));
      expect(ended.code).toBe(0);
      expect(mapsIn(out)).toEqual(maps);
      expect(ended.stderr).toMatch(/runtime: continuing the fit that began .*: \d+ % was done\./);
      const { chunks, chunksResumed, attempts, bytesLeft, peakBytes } = receiptIn(out);
      expect(chunksResumed).toBeGreaterThan(0);
      expect(attempts.run).toBe(chunks - chunksResumed);
      expect(bytesLeft).toBe(0);
      expect(peakBytes.spill).toBe(0);
    },
    deadlineMs,
  );

  it(
    "goes on with what is left of a ledger whose journal is torn and whose rows have changed",
    async () => {
      const out = home.file("torn");
      await killed(out);
      const ledger = ledgerIn(out)!;
      const journal = readFileSync(join(ledger, "journal"));
      writeFileSync(join(ledger, "journal"), Buffer.concat([journal, Buffer.alloc(40, 7)]));
      const slices = readFileSync(join(ledger, "slices"));
      slices[3] ^= 1;
      writeFileSync(join(ledger, "slices"), slices);
      const ended = await home.run(commandFor(out, "--resume"));
      expect(ended.code).toBe(0);
      expect(ended.stderr).toMatch(/\d+ voxels in the ledger were not what was written/);
      expect(mapsIn(out)).toEqual(maps);
    },
    deadlineMs,
  );

  it(
    "of a fit that runs is refused, and of one with other options begins anew",
    async () => {
      const out = home.file("held");
      const running = await recorded(out);
      const second = await home.run(commandFor(out, "--resume"));
      expect(second).toMatchObject({ code: 2, stdout: "" });
      expect(second.stderr).toMatch(/runtime: This fit is running in .*held already \(pid \d+ on/);
      running.signal("SIGKILL");
      await running.ended;
      const other = home.start(commandFor(out, "--resume", "--lambda", "2", "--workers", "1"));
      await other.saw(/nothing to resume in .* has lambda 1, here 2\): the fit begins anew/);
      other.signal("SIGINT");
      expect(await other.ended).toMatchObject({ code: 130 });
      const ended = await home.run(commandFor(out, "--resume"));
      expect(ended.code).toBe(0);
      expect(mapsIn(out)).toEqual(maps);
    },
    deadlineMs,
  );

  it(
    "leaves nothing when it is interrupted",
    async () => {
      const out = home.file("interrupted");
      await killed(out);
      const running = home.start(commandFor(out, "--resume", "--workers", "1"));
      await running.saw(/continuing the fit/);
      running.signal("SIGINT");
      expect(await running.ended).toMatchObject({ code: 130 });
      expect(existsSync(out)).toBe(false);
    },
    deadlineMs,
  );

  it(
    "keeps what was done where the new command is wrong",
    async () => {
      const out = home.file("wrong");
      await killed(out);
      const wrong = await home.run(commandFor(out, "--resume", "--chunks", "9999999"));
      expect(wrong.code).toBe(2);
      const small = await home.run(commandFor(out, "--resume", "--object-memory", "1MB"));
      expect(small.code).toBe(2);
      const ended = await home.run(commandFor(out, "--resume"));
      expect(ended.code).toBe(0);
      expect(receiptIn(out).chunksResumed).toBeGreaterThan(0);
      expect(mapsIn(out)).toEqual(maps);
    },
    deadlineMs,
  );

  it(
    "of a newer version's ledger is refused, and the ledger left as it is",
    async () => {
      const out = home.file("newer");
      await killed(out);
      const path = join(ledgerIn(out)!, "journal");
      const journal = readFileSync(path);
      journal.writeUInt32LE(99, 8);
      journal.writeUInt32LE(crc32(journal.subarray(0, 12)), 12);
      writeFileSync(path, journal);
      const ended = await home.run(commandFor(out, "--resume"));
      expect(ended).toMatchObject({ code: 2, stdout: "" });
      expect(ended.stderr).toMatch(/runtime: .*written by a newer version of Fascicle/);
      expect(readFileSync(path).equals(journal)).toBe(true);
      rmSync(out, { recursive: true });
    },
    deadlineMs,
  );
});

describe("without --resume", () => {
  it(
    "a fit says what could have been continued, does it again, and leaves nothing of it",
    async () => {
      const out = home.file("again");
      await killed(out);
      const ended = await home.run(commandFor(out));
      expect(ended.code).toBe(0);
      expect(ended.stderr).toMatch(/\d+ % of this very fit was done in .* with --resume\./);
      expect(mapsIn(out)).toEqual(maps);
      expect(receiptIn(out).chunksResumed).toBe(0);
    },
    deadlineMs,
  );
});
