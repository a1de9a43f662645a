/** Spill directories and limits that do not do: one sentence that says what to do, nothing left, and never a wrong byte. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  openSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bigVolume, hashes } from "../support/bigFit.ts";
import { Home, type Running, sleep } from "../support/cli.ts";
import {
  everythingIn,
  little,
  spillDirectory,
  spillFiles,
  untilSpilled,
} from "../support/spill.ts";

const data = new Home();
let words: string[];
let expected: Record<string, string>;
let home: Home;
let spill: string;
let out: string;
const mounted: string[] = [];

beforeAll(async () => {
  words = ["fit", "csd", ...(await bigVolume(data))];
  expect(await data.run([...words, "--out", data.file("out")])).toMatchObject({ code: 0 });
  expected = hashes(data.file("out"));
}, 180_000);
afterAll(async () => {
  expect(await data.close()).toEqual([]);
});
beforeEach(() => {
  home = new Home();
  spill = spillDirectory(home);
  out = home.file("out");
});
afterEach(async () => {
  for (const path of mounted.splice(0)) execFileSync("umount", [path]);
  expect(await home.close()).toEqual([]);
});

const nobody = 65534;
/** Only root can be somebody else, who must be able to read the program. */
const hasNobody =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ["-e", "require('node:fs').accessSync('package.json')"], {
    uid: nobody,
    gid: nobody,
  }).status === 0;

const left = () => everythingIn(home.scratch, home.file("state"), out, spill);
const fitHere = (...more: string[]) => home.start([...words, "--out", out, ...more]);

/** A file system of its own; undefined where this machine does not permit it. */
function mount(options: string): string | undefined {
  const path = spillDirectory(home, `disk-${mounted.length}`);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "none", path], { stdio: "ignore" });
  } catch {
    console.warn("skips what needs a file system of its own: mount is not permitted here");
    return undefined;
  }
  mounted.push(path);
  return path;
}

/** It ends with this code and one sentence, and leaves nothing. */
async function refused(running: Running, code: number, sentence: RegExp): Promise<void> {
  const { code: found, stdout, stderr } = await running.ended;
  const lines = stderr.split("\n").filter((line) => line.startsWith("runtime: "));
  expect({ found, stdout, lines }).toEqual({
    found: code,
    stdout: "",
    lines: [expect.stringMatching(sentence)],
  });
  expect(left()).toEqual([]);
}

function flipByte(path: string, at: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.of(0xff, 0x00, 0xff), 0, 3, at);
}

describe("what the command line can know", () => {
  it("a spill directory that is missing, no directory or on a read-only file system", async () => {
    const missing = home.file("missing");
    const cases = [
      [missing, /missing cannot be used \(it does not exist\).*--spill-dir\.$/],
      ["package.json", /package.json cannot be used \(it is not a directory\).*--spill-dir\.$/],
    ] as const;
    for (const [directory, sentence] of cases) {
      const spillDir = ["--spill-dir", directory];
      await refused(fitHere("--object-memory", "6MiB", ...spillDir), 2, sentence);
      // Also where nothing would go there now.
      await refused(fitHere(...spillDir), 2, sentence);
      for (const command of [
        ["start", "--head"],
        ["join", "fascicle://127.0.0.1:1/x"],
      ]) {
        await refused(home.start([...command, ...spillDir]), 2, sentence);
      }
    }
    const readOnly = mount("ro,size=4m");
    if (readOnly !== undefined) {
      const running = fitHere("--object-memory", "6MiB", "--spill-dir", readOnly);
      await refused(running, 2, /cannot be used \(its file system is read-only\).*--spill-dir\.$/);
    }
  }, 60_000);

  it.skipIf(!hasNobody)(
    "one that belongs to somebody else",
    async () => {
      chmodSync(home.path, 0o755);
      chmodSync(data.path, 0o755);
      mkdirSync(out);
      for (const path of [home.scratch, out]) chownSync(path, nobody, nobody);
      const state = spillDirectory(home, "state");
      chownSync(state, nobody, nobody);
      const options = ["--object-memory", "6MiB", "--spill-dir", spill];
      const running = home.startAs(nobody, [...words, "--out", out, ...options]);
      await refused(running, 2, /spill cannot be used \(permission denied\).*--spill-dir\.$/);
    },
    60_000,
  );

  it("limits that signals, results or a single chunk can never keep", async () => {
    const cases = [
      [["--spill-limit", "100KiB"], /signals need 7.8 MiB on disk and may take .*--spill-limit/],
      [
        ["--spill-limit", "5MiB"],
        /signals need 7.8 MiB on disk and may take 5.0 MiB.*--spill-limit/,
      ],
      [["--spill-limit", "12MiB"], /results of this fit need 22.4 MiB on disk.*--spill-limit/],
      [
        ["--object-memory", "100KiB"],
        /One of \d+ chunks .* 511.7 KiB .*raise --object-memory to 5/,
      ],
      [["--chunks", "1"], /The only chunk .* 38.2 MiB .*--object-memory .*, or use more chunks\.$/],
    ] as const;
    for (const [options, sentence] of cases) {
      await refused(fitHere(...little(spill), ...options), 2, sentence);
    }
  }, 60_000);
});

describe("what happens later to an embedded fit", () => {
  it("the disk is full: it says that it waits, and ends when that is in vain", async () => {
    const full = mount("size=4m");
    if (full === undefined) return;
    const running = fitHere("--object-memory", "6MiB", "--spill-dir", full);
    await running.saw(/reading .*: waiting, since only 4 MiB is free on the disk/);
    await refused(
      running,
      1,
      /cannot be written to .* and nothing that is there will be freed.*--sp/,
    );
    expect(everythingIn(full)).toEqual([]);
  }, 60_000);

  it("the directory is taken away", async () => {
    for (const name of ["signals", "results"]) {
      const running = fitHere(...little(spill), "--chunks", "400");
      await untilSpilled(running, spill, name);
      rmSync(spill, { recursive: true });
      await refused(running, 1, /: it was removed meanwhile: run it again, .*--spill-dir\)\.$/);
      mkdirSync(spill);
    }
  }, 60_000);

  it("a spill file changes or is cut: no maps, never a wrong one", async () => {
    const harms = [
      (path: string) => flipByte(path, 1_000),
      (path: string) => truncateSync(path, 9),
    ];
    for (const harm of harms) {
      const running = fitHere(...little(spill), "--chunks", "400");
      harm(await untilSpilled(running, spill, "signals"));
      await refused(
        running,
        1,
        /signals-1.spill (does not hold what was|ends too early).*--spill-dir/,
      );
    }
    // Results are read again when their rows are put aside for --resume, or when the maps are written.
    const running = fitHere(...little(spill), "--chunks", "400");
    flipByte(await untilSpilled(running, spill, "results"), 1_000);
    await refused(running, 1, /results-2.spill does not hold what was written to it .*--spill-dir/);
  }, 120_000);
});

describe("what happens to a worker", () => {
  /** Fits on one worker with these options while `harm` is done to it; the maps are right, whatever it is. */
  async function fitsAllTheSame(
    options: readonly string[],
    said: RegExp,
    harm: (worker: Running) => Promise<void> = async () => {},
  ): Promise<void> {
    const { join, head } = await home.head("--cpus", "0");
    const worker = home.start(["join", join, "--cpus", "1", ...options]);
    await worker.saw(/joined/);
    const driver = spillDirectory(home, "driver");
    const running = fitHere(...little(driver), "--chunks", "400", "--join", join);
    await harm(worker);
    expect(await running.ended).toMatchObject({ code: 0 });
    expect(hashes(out)).toEqual(expected);
    expect(worker.stdout + worker.stderr).toMatch(said);
    worker.signal("SIGTERM");
    head.signal("SIGTERM");
    await Promise.all([worker.ended, head.ended]);
    rmSync(out, { recursive: true });
    expect(everythingIn(driver, spill, home.scratch)).toEqual([]);
  }

  it("its disk is full, or its limit smaller than the volume: blocks come from the driver", async () => {
    const limit = ["--spill-limit", "5MiB"];
    await fitsAllTheSame([...little(spill), ...limit], /from its driver: The signals need .* may/);
    const full = mount("size=4m");
    if (full === undefined) return;
    const options = ["--object-memory", "6MiB", "--spill-dir", full];
    await fitsAllTheSame(options, /joined/);
    expect(everythingIn(full)).toEqual([]);
  }, 120_000);

  it("its directory is taken away", async () => {
    await fitsAllTheSame(
      little(spill),
      /from its driver: .* it was removed meanwhile/,
      async (worker) => {
        await untilSpilled(worker, spill, "signals");
        rmSync(spill, { recursive: true });
      },
    );
  }, 120_000);

  it("its spill file changes: those signals come from the driver", async () => {
    await fitsAllTheSame(
      little(spill),
      /from its driver: .* does not hold what was/,
      async (worker) => {
        const path = await untilSpilled(worker, spill, "signals");
        // When all of it is there.
        while ((spillFiles(spill)[0]?.bytes ?? 8e6) < 8e6) await sleep(2);
        for (let at = 0; at < 8e6; at += 50_000) flipByte(path, at);
      },
    );
  }, 120_000);

  it("its memory is smaller than a chunk: the fit says so, and does not wait", async () => {
    const { join } = await home.head("--cpus", "0");
    const memory = ["--object-memory", "300KiB", "--spill-dir", spill];
    const worker = home.start(["join", join, "--cpus", "1", ...memory]);
    await worker.saw(/joined/);
    const { code, stderr } = await fitHere("--chunks", "400", "--join", join).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /no worker can run this fit: a chunk needs .*, or raise --object-memory/,
    );
    expect(everythingIn(out)).toEqual([]);
  }, 60_000);
});
