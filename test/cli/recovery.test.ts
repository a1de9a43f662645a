/** A head that is killed, a driver that is lost, and what `why` says meanwhile. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bigVolume, hashes } from "../support/bigFit.ts";
import { dwiOptions, fixtures, Home, sleep } from "../support/cli.ts";
import { startRecorded } from "../support/ledgers.ts";

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

const small = dwiOptions(`${fixtures}data/real_64dir`, ".nii");

describe("a head that is killed", () => {
  it("goes on where it was when it is started again, with workers and driver", async () => {
    const data = await bigVolume(home);
    const { head, join } = await home.head("--cpus", "0");
    const workers = [1, 2].map(() => home.start(["join", join, "--cpus", "1"]));
    await Promise.all(workers.map((worker) => worker.saw(/joined/)));
    const out = home.file("out");
    const fit = home.start([
      "fit",
      "csd",
      ...data,
      "--out",
      out,
      "--join",
      join,
      "--chunks",
      "400",
    ]);
    await fit.saw(/fitting csd: [1-9]/);
    head.signal("SIGKILL");
    await head.ended;
    const again = home.start(["start", "--head", "--cpus", "0"]);
    await again.saw(/fit \S+ of the last head waits for its driver/);
    expect((await again.saw(/join: (\S+)/))[1]).toBe(join);
    await again.saw(/the driver of fit \S+ is back/);
    const ended = await fit.ended;
    expect(ended).toMatchObject({ code: 0 });
    const local = home.file("local");
    await home.run(["fit", "csd", ...data, "--out", local]);
    expect(hashes(out)).toEqual(hashes(local));
    // Workers kept what they held: nothing is fitted again but what was on its way.
    const report = JSON.parse(readFileSync(`${out}/report.json`, "utf8"));
    expect(report.attempts.run).toBeLessThan(500);
    expect(readdirSync(home.file("state", "fascicle", "head")).sort()).toEqual([
      "claim-2",
      "head.json",
      "journal",
    ]);
  }, 180_000);

  it("for good ends the fit with a clear word, and leaves what was done to --resume", async () => {
    const data = await bigVolume(home);
    const { head, join } = await home.head("--cpus", "1");
    const out = home.file("out");
    const words = ["fit", "csd", ...data, "--out", out];
    const fit = await startRecorded(home, out, [...words, "--join", join, "--wait", "3"]);
    head.signal("SIGKILL");
    const { code, stderr } = await fit.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/The head was lost during the fit .*--resume/);
    expect(existsSync(`${out}/csd_sh.nii.gz`)).toBe(false);
    expect((await home.run(["gc"])).stdout).toMatch(/left .* ago by a fit that could not go on\)/);
    expect(await home.run([...words, "--resume"])).toMatchObject({ code: 0 });
    expect(readdirSync(out).filter((name) => name.startsWith("."))).toEqual([]);
    const again = home.start(["start", "--head", "--cpus", "0"]);
    expect((await again.saw(/join: (\S+)/))[1]).toBe(join);
  }, 180_000);

  it("or stopped on purpose: the fit ends at once and can be taken up without it", async () => {
    const data = await bigVolume(home);
    const { join } = await home.head("--cpus", "1");
    const out = home.file("out");
    const words = ["fit", "csd", ...data, "--out", out];
    const fit = await startRecorded(home, out, [...words, "--join", join]);
    expect((await home.run(["stop"])).code).toBe(0);
    const { code, stderr } = await fit.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/The head was lost during the fit \(the head stops\).*--resume/);
    expect(await home.run([...words, "--resume"])).toMatchObject({ code: 0 });
  }, 120_000);

  it("and cannot be started again at first: the fits are not forgotten over it", async () => {
    const data = await bigVolume(home);
    const { head, join } = await home.head("--cpus", "1");
    const fit = home.start(["fit", "csd", ...data, "--out", home.file("out"), "--join", join]);
    await fit.saw(/fitting csd: [1-9]/);
    head.signal("SIGKILL");
    await head.ended;
    const start = ["start", "--head", "--cpus", "1"];
    const refused = await home.run([...start, "--join-file", home.file("no", "such", "place")]);
    expect(refused).toMatchObject({ code: 2 });
    const again = home.start(start);
    await again.saw(/fit \S+ of the last head waits for its driver/);
    expect(await fit.ended).toMatchObject({ code: 0 });
  }, 180_000);

  it("is looked for as long as ever where the worker's clock is set meanwhile", async () => {
    const clock = home.file("clock.mjs");
    writeFileSync(
      clock,
      `const real = Date.now; let stepMs = 0; Date.now = () => real() + stepMs;
      process.on("SIGUSR2", () => { stepMs += 3600e3; });`,
    );
    const { head, join } = await home.head("--cpus", "0");
    const worker = home.start(["join", join, "--cpus", "1"], { NODE_OPTIONS: `--import ${clock}` });
    await worker.saw(/joined/);
    head.signal("SIGKILL");
    await worker.saw(/lost the head/);
    worker.signal("SIGUSR2");
    // It looks every 2 s at least.
    await sleep(3_000);
    const again = home.start(["start", "--head", "--cpus", "0"]);
    await again.saw(/join:/);
    await worker.saw(/found the head again/);
  }, 60_000);

  it("refuses a journal of a later version, and leaves it as it is", async () => {
    const state = home.file("mine");
    const start = ["start", "--head", "--port", "0", "--cpus", "0", "--state-dir", state];
    const first = home.start(start);
    await first.saw(/join:/);
    first.signal("SIGKILL");
    await first.ended;
    const journal = readFileSync(`${state}/journal`);
    // The format's version stands behind the magic, and the checksum of both behind it.
    journal.writeUInt32LE(99, 8);
    journal.writeUInt32LE(crc32(journal.subarray(0, 12)), 12);
    writeFileSync(`${state}/journal`, journal);
    const refused = await home.run(start);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/version/);
    expect(readFileSync(`${state}/journal`).equals(journal)).toBe(true);
    rmSync(state, { recursive: true });
    // Whoever looks next sweeps the dead head's entry in the register.
    await home.run(["status"]);
  }, 60_000);
});

describe("a head's own worker that is killed", () => {
  it("is started again, and the fit goes on", async () => {
    const data = await bigVolume(home);
    const { head, join } = await home.head("--cpus", "1");
    const words = ["fit", "csd", ...data, "--out", home.file("out"), "--join", join];
    const fit = home.start([...words, "--chunks", "400"]);
    await fit.saw(/fitting csd: [1-9]/);
    const { hosts } = JSON.parse((await home.run(["status", "--json"])).stdout);
    process.kill(hosts[0].pid, "SIGKILL");
    await head.saw(/own worker died \(SIGKILL; it is started again/);
    expect(await fit.ended).toMatchObject({ code: 0 });
  }, 120_000);
});

describe("runtime why", () => {
  it("says what is waited for, what became of a fit, and that it does not know a name", async () => {
    const { join } = await home.head("--cpus", "0");
    const out = home.file("out");
    const fit = home.start(["fit", "dti", ...small, "--out", out, "--join", join]);
    await fit.saw(/waiting for a worker/);
    const all = await home.run(["why"]);
    expect(all.stdout).toMatch(/^fit \S+ \(dti\): It waits for a worker: none has joined\./);
    const id = /^fit (\S+)/.exec(all.stdout)![1];
    const worker = home.start(["join", join, "--cpus", "1"]);
    await worker.saw(/joined/);
    expect((await fit.ended).code).toBe(0);
    const story = await home.run(["why", id.slice(0, 12)]);
    expect(story.stdout).toMatch(
      /It has ended: complete\.\n {2}\d\d:\d\d:\d\d\.\d{3} {2}submitted/,
    );
    expect((await home.run(["why"])).stdout).toMatch(
      /^worker \S+ \(pid \d+\): It waits for a fit: none is running\.\n$/,
    );
    const unknown = await home.run(["why", "nobody"]);
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.stderr).toMatch(/Nothing here is called "nobody"/);
    const json = await home.run(["why", id, "--json"]);
    expect(JSON.parse(json.stdout).explanations[0]).toMatchObject({ kind: "fit", id });
  }, 60_000);
});
