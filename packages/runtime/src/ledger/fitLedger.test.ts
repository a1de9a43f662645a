import { execFileSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentOwner } from "@fascicle/object-store";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FitError, UsageError } from "../errors.ts";
import { ResultsInMemory } from "../fit/results.ts";
import type { FittableModel } from "./fitIdentity.ts";
import { FitLedger } from "./fitLedger.ts";
import { ledgersIn } from "./ledgerDirectory.ts";
import { readLedger } from "./ledgerRecords.ts";

let folder = "";
let out = "";
let said: string[] = [];
const stateBefore = process.env.XDG_STATE_HOME;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  process.env.XDG_STATE_HOME = join(folder, "state");
  out = join(folder, "maps", "csd");
  said = [];
});
afterEach(() => {
  if (stateBefore === undefined) delete process.env.XDG_STATE_HOME;
  else process.env.XDG_STATE_HOME = stateBefore;
  rmSync(folder, { recursive: true });
});

const voxelCount = 1_000;
const chunkCount = 50;

function modelOf(parameters: object = { order: 8 }, signal = 1): FittableModel {
  const slab = new SharedArrayBuffer(voxelCount * 4);
  new Float32Array(slab).fill(signal);
  return {
    name: "sums",
    signals: { voxelCount, width: 1, dtype: "float32", voxelsPerSlab: voxelCount, slabs: [slab] },
    outputs: [
      { name: "values", width: 3, dtype: "float64", units: "1" },
      { name: "status", width: 1, dtype: "uint8", units: "1" },
    ],
    kernel: { module: "m", name: "sums", hash: "h", parameters },
  };
}

const inMemory = (outputs: SharedArrayBuffer[]) => new ResultsInMemory(modelOf().outputs, outputs);

/** Outputs of a whole fit, with the answer in these voxels. */
function outputsWith(...ranges: { start: number; end: number }[]): SharedArrayBuffer[] {
  const [values, status] = [
    new SharedArrayBuffer(voxelCount * 24),
    new SharedArrayBuffer(voxelCount),
  ];
  for (const { start, end } of ranges) {
    for (let v = start; v < end; v++) {
      new Float64Array(values).set([v + 0.5, -v, 1 / (v + 1)], v * 3);
      new Uint8Array(status)[v] = 1 + (v % 5);
    }
  }
  return [values, status];
}

const whole = { start: 0, end: voxelCount };
const open = (resume: boolean, model = modelOf(), directory = out, voxelTimeoutSeconds?: number) =>
  FitLedger.open(model, {
    directory,
    voxelTimeoutSeconds,
    resume,
    howToResume: "Use --resume",
    notify: (sentence) => said.push(sentence),
  });

const lost = () => new FitError("The head was lost.", { keepsLedger: true });

/** Leaves a ledger with these voxels done; gives its path. */
async function leave(ranges: { start: number; end: number }[], model = modelOf()) {
  const ledger = await open(false, model);
  await ledger.begin(inMemory(outputsWith(...ranges)), chunkCount);
  for (const range of ranges) ledger.settled(range);
  await ledger.fail(lost(), false);
  const paths = await ledgersIn(out);
  return paths[paths.length - 1];
}

/** Resumes and checks that what counts as done has the right rows. */
async function resume() {
  const outputs = outputsWith();
  const ledger = await open(true);
  const done = await ledger.begin(inMemory(outputs), ledger.chunkCount ?? chunkCount);
  const expected = outputsWith(...done.ranges());
  for (const { start, end } of done.ranges()) {
    for (const [i, bytes] of [24, 1].entries()) {
      const rows = (buffer: SharedArrayBuffer) =>
        Buffer.from(new Uint8Array(buffer, start * bytes, (end - start) * bytes));
      expect(rows(outputs[i]).equals(rows(expected[i]))).toBe(true);
    }
  }
  return { ledger, done, outputs };
}

const first = { start: 0, end: 300 };
const second = { start: 500, end: 700 };

describe("the ledger of a fit", () => {
  it("gives back the rows that were settled, and goes with all that was made for it", async () => {
    const path = await leave([first, second]);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(readdirSync(path).sort()).toEqual(["journal", "slices"]);
    const { ledger, done, outputs } = await resume();
    expect(done.ranges()).toEqual([first, second]);
    expect(ledger.chunkCount).toBe(chunkCount);
    expect(said).toEqual([
      expect.stringMatching(/^continuing the fit that began .*: 50 % was done\.$/),
    ]);
    const [values, status] = outputsWith(whole);
    new Uint8Array(outputs[0]).set(new Uint8Array(values));
    new Uint8Array(outputs[1]).set(new Uint8Array(status));
    ledger.settled({ start: 300, end: 400 });
    expect(await ledger.fail(lost(), false)).toMatchObject({
      message: "The head was lost. Use --resume to go on from 60 %.",
      keepsLedger: true,
    });
    const last = await resume();
    expect(last.done.size).toBe(600);
    await last.ledger.remove();
    expect(existsSync(join(folder, "maps"))).toBe(false);
  });

  it("writes in the background while the fit goes on", async () => {
    const ledger = await open(false);
    await ledger.begin(inMemory(outputsWith(whole)), chunkCount);
    ledger.settled(first);
    const untilMs = Date.now() + 20_000;
    const copy = join(folder, "copy");
    const isWritten = async () => ((await readLedger(copy))?.share ?? 0) > 0;
    // As a process leaves it that dies: nothing is closed.
    while (!(await isWritten())) {
      expect(Date.now()).toBeLessThan(untilMs);
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (existsSync(await path())) cpSync(await path(), copy, { recursive: true, force: true });
    }
    const name = (await path()).slice(out.length + 1);
    await ledger.remove();
    mkdirSync(join(out, name), { recursive: true });
    cpSync(copy, join(out, name), { recursive: true });
    const dead = { ...currentOwner(), startTime: "1" };
    writeFileSync(join(out, name, "claim-1"), JSON.stringify(dead));
    const { ledger: next, done } = await resume();
    expect(done.size).toBe(300);
    await next.remove();

    async function path() {
      return (await ledgersIn(out))[0] ?? join(out, "none");
    }
  });

  it("records what it has written while more is settled all the time", async () => {
    const ledger = await open(false);
    await ledger.begin(inMemory(outputsWith(whole)), chunkCount);
    const untilMs = Date.now() + 20_000;
    for (let voxel = 0; ; voxel = (voxel + 1) % voxelCount) {
      ledger.settled({ start: voxel, end: voxel + 1 });
      await new Promise((resolve) => setImmediate(resolve));
      const path = (await ledgersIn(out))[0];
      if (path !== undefined && ((await readLedger(path))?.share ?? 0) > 0) break;
      expect(Date.now()).toBeLessThan(untilMs);
    }
    await ledger.remove();
  });

  it("does not believe a changed row, says so, and believes the others", async () => {
    const path = await leave([first, second]);
    const slices = readFileSync(join(path, "slices"));
    slices[600 * 24 + 5] ^= 1;
    writeFileSync(join(path, "slices"), slices);
    const { ledger, done } = await resume();
    expect(done.ranges()).toEqual([first]);
    expect(said[1]).toMatch(/^200 voxels in the ledger were not what was written/);
    await ledger.remove();
  });

  it("survives a cut or a changed byte anywhere in its files, without a wrong row", async () => {
    const path = await leave([first, second]);
    cpSync(path, join(folder, "good"), { recursive: true });
    let restored = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("journal", "slices"),
        fc.boolean(),
        fc.double({ min: 0, max: 0.9999, noNaN: true }),
        async (name, isCut, share) => {
          rmSync(path, { recursive: true, force: true });
          cpSync(join(folder, "good"), path, { recursive: true });
          const file = join(path, name);
          const at = Math.floor(statSync(file).size * share);
          if (isCut) truncateSync(file, at);
          else {
            const bytes = readFileSync(file);
            bytes[at] ^= 0x10;
            writeFileSync(file, bytes);
          }
          const { ledger, done } = await resume();
          restored += done.size;
          await ledger.remove();
        },
      ),
      { numRuns: 60 },
    );
    expect(restored).toBeGreaterThan(0);
  });

  it("says which fit is interrupted there where it is another, and begins anew", async () => {
    await leave([first]);
    const other = await open(true, modelOf({ order: 6 }));
    expect(said.pop()).toMatch(
      /nothing to resume in .* has another set of options\): the fit begins/,
    );
    await other.remove();
    const scan = await open(true, modelOf({ order: 8 }, 2));
    expect(said.pop()).toMatch(/has another scan, table, mask or choice of volumes\)/);
    await scan.remove();
    await (await resume()).ledger.remove();
    await (await open(true)).remove();
    expect(said.pop()).toMatch(/^there is nothing to resume in .*csd: the fit begins anew\.$/);
  });

  it("is of a fit that gives up voxels after the same time: who grants more wants them fitted", async () => {
    const model = modelOf();
    const ledger = await open(false, model, out, 1);
    await ledger.begin(inMemory(outputsWith(first)), chunkCount);
    ledger.settled(first);
    await ledger.fail(lost(), false);
    await (await open(true, model)).remove();
    expect(said.pop()).toMatch(/nothing to resume in .* has voxel timeout 1 s, here none\)/);
    const same = await open(true, model, out, 1);
    expect((await same.begin(inMemory(outputsWith()), chunkCount)).size).toBe(300);
    await same.remove();
  });

  it("held by a live process is not resumed, and a second fit keeps none", async () => {
    const path = await leave([first]);
    const { ledger } = await resume();
    await expect(open(true)).rejects.toThrow(UsageError);
    await expect(open(true)).rejects.toThrow(/is running in .* already \(pid \d+ on /);
    const beside = await open(false);
    expect(said.pop()).toMatch(/at the same fit in .*keeps no ledger/);
    await beside.begin(inMemory(outputsWith(first)), chunkCount);
    beside.settled(first);
    await beside.remove();
    expect(existsSync(path)).toBe(true);
    await ledger.remove();
    expect(existsSync(path)).toBe(false);
  });

  it("is taken by one of many that resume at once", async () => {
    await leave([first]);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => open(true)));
    const opened = tries.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(opened).toHaveLength(1);
    await opened[0].remove();
  });

  it("is never out of hand while it takes the place of another", async () => {
    const path = await leave([first]);
    // An open directory keeps its number, so that one made anew has another.
    const descriptor = openSync(path, "r");
    const before = statSync(path).ino;
    const ledger = await open(false);
    await ledger.begin(inMemory(outputsWith(second)), chunkCount);
    ledger.settled(second);
    await ledger.fail(lost(), false);
    expect(statSync(path).ino).toBe(before);
    closeSync(descriptor);
    const { ledger: next, done } = await resume();
    expect(done.ranges()).toEqual([second]);
    await next.remove();
  });

  it("of a process that cannot be seen from here is held while it gives signs of life", async () => {
    const path = await leave([first]);
    const claim = join(path, "claim-7");
    writeFileSync(claim, JSON.stringify({ ...currentOwner(), hostName: "elsewhere" }));
    await expect(open(true)).rejects.toThrow(/elsewhere/);
    const agoSeconds = Date.now() / 1000 - 600;
    utimesSync(claim, agoSeconds, agoSeconds);
    const { ledger, done } = await resume();
    expect(done.size).toBe(300);
    await ledger.remove();
  });

  it("of a newer version is refused, or left alone", async () => {
    const path = await leave([first]);
    const { crc32 } = await import("node:zlib");
    const journal = readFileSync(join(path, "journal"));
    journal.writeUInt32LE(9, 8);
    journal.writeUInt32LE(crc32(journal.subarray(0, 12)), 12);
    writeFileSync(join(path, "journal"), journal);
    await expect(open(true)).rejects.toMatchObject({ code: "JOURNAL_VERSION" });
    const ledger = await open(false);
    expect(said.pop()).toMatch(/newer version of Fascicle.*keeps no ledger/);
    await ledger.begin(inMemory(outputsWith(first)), chunkCount);
    ledger.settled(first);
    await ledger.complete();
    await ledger.remove();
    expect(readFileSync(join(path, "journal")).equals(journal)).toBe(true);
  });

  it("that could have been resumed is thrown away only after a while, and said to be", async () => {
    await leave([first]);
    const cancelled = await open(false);
    expect(said.pop()).toMatch(/^30 % of this very fit was done in .* Use --resume\.$/);
    await cancelled.begin(inMemory(outputsWith()), chunkCount);
    cancelled.settled(second);
    await cancelled.fail(new Error("interrupted"), true);
    expect(said.pop()).toMatch(/stays/);
    const failed = await open(false);
    await failed.fail(new UsageError("a wrong word"), false);
    const finished = await open(false);
    await finished.begin(inMemory(outputsWith()), chunkCount);
    await finished.complete();
    await finished.remove();
    expect(existsSync(join(folder, "maps"))).toBe(false);
  });

  it("goes with a cancelled or a failed fit, and stays where nothing was added to it", async () => {
    for (const isCancelled of [true, false]) {
      await leave([first]);
      const { ledger } = await resume();
      ledger.settled(second);
      const error = new FitError("The kernel failed.");
      expect(await ledger.fail(error, isCancelled)).toBe(error);
      expect(existsSync(join(folder, "maps"))).toBe(false);
    }
    await leave([first]);
    const { ledger } = await resume();
    await ledger.fail(new FitError("No worker came."), false);
    const again = await resume();
    expect(again.done.size).toBe(300);
    await again.ledger.remove();
  });

  it("is swept a day after its process died, by whoever comes there next", async () => {
    const path = await leave([first]);
    const agoSeconds = Date.now() / 1000 - 25 * 3600;
    const young = await open(false, modelOf({ order: 4 }));
    await young.remove();
    expect(existsSync(path)).toBe(true);
    utimesSync(path, agoSeconds, agoSeconds);
    const next = await open(false, modelOf({ order: 4 }));
    expect(existsSync(path)).toBe(false);
    await next.remove();
  });

  it("gives back what was done where it cannot be written any more, and keeps it", async () => {
    const path = await leave([first, second]);
    // In the way of the journal that would take the place of the one that is there.
    mkdirSync(join(path, "journal.new"));
    const { ledger, done } = await resume();
    expect(done.size).toBe(500);
    expect(said[1]).toMatch(/ledger in .* cannot be written .*: the fit goes on/);
    expect(await ledger.fail(lost(), false)).toMatchObject({
      message: "The head was lost. Use --resume to go on from 50 %.",
    });
    rmSync(join(path, "journal.new"), { recursive: true });
    await (await resume()).ledger.remove();
  });

  it("is let go of where what it takes the place of cannot be removed", async (context) => {
    const path = await leave([first]);
    const busy = join(path, "busy");
    mkdirSync(busy);
    try {
      execFileSync("mount", ["-t", "tmpfs", "tmpfs", busy], { stdio: "ignore" });
    } catch {
      context.skip("needs the right to mount a small disk");
    }
    try {
      const ledger = await open(false);
      await ledger.begin(inMemory(outputsWith(whole)), chunkCount);
      ledger.settled(second);
      await ledger.fail(lost(), false);
      expect(said.at(-1)).toMatch(/ledger in .* cannot be written .*: the fit goes on/);
      expect(readdirSync(path).filter((name) => name.startsWith("claim-"))).toEqual([]);
    } finally {
      execFileSync("umount", [busy]);
    }
  });

  it("lets the fit go on where its disk is full, and gives the disk to the maps", async (context) => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], { stdio: "ignore" });
    } catch {
      context.skip("needs the right to mount a small disk");
    }
    try {
      const ledger = await open(false, modelOf(), disk);
      await ledger.begin(inMemory(outputsWith(whole)), chunkCount);
      ledger.settled(first);
      ledger.settled(second);
      const error = await ledger.fail(lost(), false);
      expect(said).toEqual([
        expect.stringMatching(
          /ledger in .*disk cannot be written \(no space is left on its disk\)/,
        ),
      ]);
      expect(error).toMatchObject({ message: "The head was lost." });
      // Nor is there room for its first word.
      writeFileSync(join(disk, "other"), new Uint8Array(4_096));
      expect(() => writeFileSync(join(disk, "more"), new Uint8Array(20_000))).toThrow(/ENOSPC/);
      const none = await open(false, modelOf({ order: 2 }), disk);
      await none.begin(inMemory(outputsWith(whole)), chunkCount);
      none.settled(first);
      await none.fail(lost(), false);
      expect(await ledgersIn(disk)).toEqual([]);
      for (const name of ["other", "more"]) rmSync(join(disk, name));
      const next = await open(false, modelOf(), disk);
      await next.begin(inMemory(outputsWith(whole)), chunkCount);
      await next.complete();
      await next.remove();
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      execFileSync("umount", [disk]);
    }
  });
});
