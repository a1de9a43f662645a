/** `runtime objects`: what is in memory and on disk, seen while a fit runs that has too little memory, and 0 bytes after it. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freeFloorBytesDefault } from "@fascicle/object-store";
import { type ClusterStatus, connect } from "@fascicle/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bigVolume } from "../support/bigFit.ts";
import { Home, type Running, sleep } from "../support/cli.ts";

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

const budgetBytes = 2 << 20;
const spillLimitBytes = 64 << 20;

/** What `--json` prints. */
async function json(...words: string[]) {
  const { code, stdout, stderr } = await home.run([...words, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** Asks again until it is so; fails where the fit ends before. */
async function seen(fit: Running, words: string[], isSo: (answer: never) => boolean) {
  for (;;) {
    const answer = await json(...words);
    if (isSo(answer as never)) return answer;
    if (fit.child.exitCode !== null) throw new Error(`never so: ${JSON.stringify(answer)}`);
  }
}

describe("runtime objects", () => {
  it("shows what each fit has on each worker while it runs, as status does, and nothing afterwards", async () => {
    const data = await bigVolume(home);
    const { join: address } = await home.head("--cpus", "0");
    const spillDir = home.file("spill");
    mkdirSync(spillDir);
    const limits = ["--object-memory", "2MiB", "--spill-limit", "64MiB", "--spill-dir", spillDir];
    const workers = [1, 2].map(() => home.start(["join", address, "--cpus", "1", ...limits]));
    await Promise.all(workers.map((worker) => worker.saw(/joined/)));
    expect((await home.run(["objects"])).stdout).toMatch(/^nothing is held\n/);

    const words = ["fit", "csd", ...data, "--out", home.file("out"), "--join", address];
    const fit = home.start([...words, "--chunks", "500"]);
    const cluster = await connect(address);
    try {
      const told = async (isSo: (status: ClusterStatus) => boolean) => {
        for (;;) {
          const status = await cluster.status();
          if (isSo(status)) return status;
          if (fit.child.exitCode !== null) throw new Error(`never so: ${JSON.stringify(status)}`);
          await sleep(10);
        }
      };
      const { hosts } = await told(({ hosts }) =>
        hosts.some(({ waitsFor }) => waitsFor.length > 0),
      );
      const crowded = hosts.find(({ waitsFor }) => waitsFor.length > 0)!;
      expect(crowded.fits[0].waitingPortions).toBeGreaterThan(0);
      expect(crowded.waitsFor[0]).toMatch(
        /^\d+ portions? of the chunks of fit \S+ waits? for object memory \(\S+ \S+ of 2 MiB are taken/,
      );
      // The scan, which they read by themselves, and blocks of which they have a part only.
      const { spillBytes } = await told((status) => status.spillBytes > 0);
      expect(spillBytes).toBeLessThanOrEqual(2 * spillLimitBytes);
    } finally {
      await cluster.close();
    }
    // Without its driver the fit stands still, for long enough to look.
    fit.signal("SIGSTOP");
    try {
      const listing = await json("objects");
      expect(listing.head).toMatchObject({ pid: expect.any(Number) });
      expect(listing.hosts).toHaveLength(2);
      for (const host of listing.hosts) {
        expect(host).toMatchObject({
          ...{ objectLimitBytes: budgetBytes, spillLimitBytes },
          spill: { directory: spillDir },
        });
        expect(host.objectBytes).toBeLessThanOrEqual(budgetBytes);
        expect(host.heldBytes).toBeLessThanOrEqual(budgetBytes);
        expect(host.fits).toMatchObject([{ model: "csd", bytes: host.objectBytes }]);
        expect(host.fits[0].pinnedBytes).toBeLessThanOrEqual(budgetBytes);
      }
      expect(listing.total.objectBytes).toBeGreaterThan(0);
      expect(listing.total.objectLimitBytes).toBe(2 * budgetBytes);
      const text = (await home.run(["objects"])).stdout;
      expect(text).toMatch(/^HOST +PID +FIT +MODEL +BLOCKS +BYTES +IN USE +SPILLED +RESTORED/);
      expect(text).toMatch(/^HOST +PID +MEMORY +KEPT FREE +SPILLED +AT MOST +SPILL DIRECTORY$/m);
      expect(text).toMatch(/^total +\S+ [KM]iB of 4.0 MiB/m);
      expect(text).toMatch(/^on disk here: \d scratch folders?, .*, of running processes$/m);
    } finally {
      fit.signal("SIGCONT");
    }

    expect((await fit.ended).code).toBe(0);
    let after = await json("objects");
    while (after.total.objectBytes > 0 || after.total.spillBytes > 0) {
      await sleep(50);
      after = await json("objects");
    }
    expect(after.hosts.map(({ fits }: { fits: [] }) => fits)).toEqual([[], []]);
    expect(after.here).toEqual({ scratch: [], ledgers: [] });
    expect(await json("status")).toMatchObject({ objects: { bytes: 0, count: 0 }, spillBytes: 0 });
    expect(readdirSync(spillDir)).toEqual([]);
    expect((await home.run(["status"])).stdout).toMatch(
      /^HOST +PID +SLOTS +BUSY +OBJECTS +SPILLED +STATE\n\S+ +\d+ +1 +0 +0 B of 2.0 MiB +0 B of 64.0 MiB +ready$/m,
    );
  }, 120_000);

  it("is one place to look; status and why also say of a fit that its driver has no room on disk", async () => {
    const disk = home.file("disk");
    mkdirSync(disk);
    // So much that a few MiB are free beyond what must stay free.
    const size = `size=${freeFloorBytesDefault + (6 << 20)}`;
    if (spawnSync("mount", ["-t", "tmpfs", "-o", size, "none", disk]).status !== 0) {
      console.warn("skips a full disk: mount is not permitted here");
      return;
    }
    try {
      const data = await bigVolume(home);
      const { join: address } = await home.head("--cpus", "1");
      // Signals are in memory, and results have no room beside them.
      const limits = ["--object-memory", "32MiB", "--spill-dir", disk, "--chunks", "200"];
      const words = ["fit", "csd", ...data, "--out", home.file("out"), ...limits];
      const fit = home.start([...words, "--join", address]);
      const cluster = await connect(address);
      let sentence: string | undefined;
      let told = "";
      while (sentence === undefined && fit.child.exitCode === null) {
        await sleep(20);
        sentence = (await cluster.status()).jobs[0]?.waitsForDisk;
        if (sentence !== undefined)
          told = (await cluster.why()).map((each) => each.sentence).join();
      }
      await cluster.close();
      expect(sentence).toMatch(
        /^Its results wait for room on the disk of its driver, since only \S+ GiB is free on the disk of .*, and 1 GiB must stay free: raise --spill-limit of the fit, free some space/,
      );
      expect(told).toContain(sentence);
      fit.signal("SIGINT");
      expect((await fit.ended).code).not.toBe(0);
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      spawnSync("umount", [disk]);
    }
  }, 120_000);

  it("tells with or without a head what is on this host's disk: of the living, of the dead, and for --resume", async () => {
    const nothing = "on disk here: no scratch and no ledger of yours\n";
    const empty = await home.run(["objects"]);
    expect(empty).toMatchObject({ code: 0, stderr: "" });
    expect(empty.stdout).toMatch(/^no head of yours runs on this host/);
    expect(empty.stdout.endsWith(nothing)).toBe(true);

    const data = await bigVolume(home);
    const out = home.file("out");
    const words = ["fit", "csd", ...data, "--out", out, "--object-memory", "4MiB"];
    const fit = home.start([...words, "--workers", "1", "--chunks", "500"]);
    await fit.saw(/fitting csd: [1-9]/);
    type Here = { here: { scratch: { bytes: number }[]; ledgers: { bytes: number }[] } };
    const live = await seen(
      fit,
      ["objects"],
      ({ here }: Here) => here.scratch.length > 0 && here.ledgers.some(({ bytes }) => bytes > 0),
    );
    expect(live.head).toBe(null);
    const who = expect.stringMatching(`^pid ${fit.child.pid} on `);
    expect(live.here.scratch).toMatchObject([{ state: "alive", what: "runtime fit csd", who }]);
    expect(live.here.ledgers).toMatchObject([{ isAlive: true, who }]);
    const ledger = () => readdirSync(out).find((name) => name.startsWith(".fascicle-ledger"));
    while (!existsSync(join(out, ledger() ?? "none", "claim-1"))) await sleep(10);
    fit.signal("SIGKILL");
    await fit.ended;

    const dead = await home.run(["objects"]);
    expect(dead.stdout).toMatch(
      /^on disk here: 1 scratch folder, \S+ MiB, left by dead processes: `runtime gc` removes it$/m,
    );
    expect(dead.stdout).toMatch(
      /^on disk here: 1 ledger, \S+ \S+, of fits that died here: --resume/m,
    );
    await home.head("--cpus", "0");
    expect((await json("objects")).here.ledgers).toMatchObject([{ isAlive: false, who }]);
    expect((await home.run(["gc", "--all"])).code).toBe(0);
    const text = (await home.run(["objects"])).stdout;
    expect(text).toBe(`nothing is held: no worker has joined\n\n${nothing}`);
  }, 120_000);

  it("lists scratch of any living process of the user, and says when a head that was named is not there", async () => {
    const maker = fileURLToPath(new URL("../support/workspaceMaker.mjs", import.meta.url));
    const child = spawn(process.execPath, [maker, home.scratch, "1", "stay"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, ...home.environment },
    });
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    const { here } = await json("objects");
    expect(here.scratch).toMatchObject([{ state: "alive", what: "a test" }]);
    child.stdin?.end();
    await new Promise((resolve) => child.once("exit", resolve));

    const { head, join: address } = await home.head("--cpus", "0");
    head.signal("SIGTERM");
    await head.ended;
    for (const environment of [{}, { RUNTIME_JOIN: address }]) {
      const isGiven = "RUNTIME_JOIN" in environment;
      const words = isGiven ? ["objects"] : ["objects", "--join", address];
      const refused = await home.run(words, environment);
      expect(refused).toMatchObject({ code: 3, stdout: "" });
      expect(refused.stderr).toMatch(/^runtime: .*\n$/);
    }
    const garbled = await home.run(["objects", "--join", "garble"]);
    expect(garbled).toMatchObject({ code: 2, stdout: "" });
  }, 60_000);
});
