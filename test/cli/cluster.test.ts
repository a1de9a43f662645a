import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bigVolume, hashes } from "../support/bigFit.ts";
import { dwiOptions, fixtures, Home, sleep } from "../support/cli.ts";

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

const csdData = dwiOptions(`${fixtures}data/real_64dir`, ".nii");
const freeWaterData = [...dwiOptions(`${fixtures}data/real_101dir_dsi`), "--max-b", "2100"];

describe("a head, its workers and a driver, each a process", () => {
  it("write the same bytes as serial and local fits, for any number of chunks", async () => {
    const { join } = await home.head("--cpus", "0");
    const workers = [1, 2, 3].map(() => home.start(["join", join, "--cpus", "1"]));
    await Promise.all(workers.map((worker) => worker.saw(/joined/)));
    const fits = [
      { model: "csd", data: csdData, voxels: 1000 },
      { model: "freewater", data: freeWaterData, voxels: 600 },
      { model: "dti", data: csdData, voxels: 1000 },
    ];
    for (const { model, data, voxels } of fits) {
      let expected: Record<string, string> | undefined;
      const engines: string[][] = [
        ["--engine", "serial"],
        ["--engine", "local", "--workers", "1"],
        ["--engine", "local", "--workers", "2"],
        ["--join", join],
      ];
      for (const engine of engines) {
        const all = ["1", "2", "7", "64", "1000", "auto"].filter(
          (chunks) => !(Number(chunks) > voxels),
        );
        // The engines are held to each other; every chunk count is tried where chunks matter most.
        for (const chunks of engine[0] === "--join" || engine[3] === "2" ? all : ["7"]) {
          const out = home.file(
            "out",
            `${model}-${engine.slice(1).join("")}-${chunks}`.replaceAll("/", "_").slice(0, 60),
          );
          const ended = await home.run([
            "fit",
            model,
            ...data,
            "--out",
            out,
            "--chunks",
            chunks,
            ...engine,
            "--json",
          ]);
          expect(ended.stderr).not.toMatch(/ at .*:\d+:\d+/);
          expect(ended.code).toBe(0);
          const receipt = JSON.parse(ended.stdout);
          if (chunks !== "auto") expect(receipt.chunks).toBe(Number(chunks));
          if (engine[0] === "--join")
            expect(receipt).toMatchObject({
              engine: "cluster",
              workers: Math.min(3, receipt.chunks),
            });
          expected ??= hashes(out);
          expect(hashes(out)).toEqual(expected);
        }
      }
    }
  }, 240_000);

  it("show a running fit in status, and stop it with Ctrl-C without a trace", async () => {
    const data = await bigVolume(home);
    const { join } = await home.head("--cpus", "1");
    const worker = home.start(["join", "--cpus", "1"]);
    await worker.saw(/joined/);
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
      "500",
    ]);
    await fit.saw(/fitting csd/);
    const status = JSON.parse((await home.run(["status", "--json"])).stdout);
    expect(status.slots.total).toBe(2);
    expect(status.jobs).toHaveLength(1);
    expect(status.jobs[0]).toMatchObject({ model: "csd", state: "running" });
    expect(status.objects.bytes).toBeGreaterThan(0);
    expect((await home.run(["status"])).stdout).toMatch(/csd +[\d,]+ +\d+ %/);
    fit.signal("SIGINT");
    const { code, stderr } = await fit.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/interrupted \(SIGINT\); nothing was left behind/);
    expect(existsSync(out)).toBe(false);
    await sleep(500);
    const after = JSON.parse((await home.run(["status", "--json"])).stdout);
    expect(after.jobs).toEqual([]);
    expect(after.objects.bytes).toBe(0);
  }, 60_000);

  it("finish with the right bytes when workers are killed, leave and join in the middle", async () => {
    const data = await bigVolume(home);
    const serial = home.file("serial");
    expect((await home.run(["fit", "csd", ...data, "--out", serial])).code).toBe(0);
    const { join } = await home.head("--cpus", "0");
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
      "64",
      "--json",
    ]);
    await fit.saw(/fitting csd: [1-9]/);
    workers[0].signal("SIGKILL");
    const late = home.start(["join", join, "--cpus", "1"]);
    await late.saw(/joined/);
    workers[1].signal("SIGTERM");
    expect((await workers[1].ended).code).toBe(0);
    const { code, stdout } = await fit.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout).attempts.lost).toBeGreaterThan(0);
    expect(hashes(out)).toEqual(hashes(serial));
    // What the killed worker left in the register goes with the next command that looks there.
    expect((await home.run(["stop"])).code).toBe(0);
  }, 120_000);

  it("let a fit wait where memory holds one chunk only, and refuse one whose chunks can never have room", async () => {
    const data = await bigVolume(home);
    const { join } = await home.head("--cpus", "0");
    const worker = home.start(["join", join, "--cpus", "1", "--object-memory", "30MiB"]);
    await worker.saw(/joined/);
    const words = ["fit", "csd", ...data, "--join", join, "--chunks", "2", "--wait", "1"];
    const fits = ["a", "b", "c"].map((name) => home.start([...words, "--out", home.file(name)]));
    const ended = await Promise.all(fits.map((fit) => fit.ended));
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(worker.stderr).toMatch(/has no room for fit .*; it waits/);
    expect(hashes(home.file("a"))).toEqual(hashes(home.file("b")));
    worker.signal("SIGTERM");
    await worker.ended;
    const small = home.start(["join", join, "--cpus", "1", "--object-memory", "10MiB"]);
    await small.saw(/joined/);
    const refused = await home.run([...words, "--out", home.file("d")]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /no worker can run this fit: a chunk needs \S+ MiB of object memory.* use more chunks/,
    );
  }, 120_000);

  it("wait for a worker, say so, and give up in time", async () => {
    const { join } = await home.head("--cpus", "0");
    const out = home.file("out");
    const fit = home.start(["fit", "dti", ...csdData, "--out", out, "--join", join, "--wait", "1"]);
    const { code, stderr } = await fit.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/waiting for a worker to join/);
    expect(stderr).toMatch(/No worker has joined the head within 1 s/);
    expect(existsSync(out)).toBe(false);
    const patient = home.start(["fit", "dti", ...csdData, "--out", out, "--join", join]);
    await patient.saw(/waiting for a worker/);
    const worker = home.start(["join", join]);
    await worker.saw(/joined/);
    expect((await patient.ended).code).toBe(0);
  }, 60_000);
});

describe("finding each other", () => {
  it("works by the join string, RUNTIME_JOIN, a join file, and one's own head", async () => {
    const file = home.file("join.txt");
    const { head, join } = await home.head("--cpus", "0", "--join-file", file);
    expect(readFileSync(file, "utf8")).toBe(`${join}\n`);
    const workers = [
      home.start(["join", "--join-file", file, "--cpus", "1"]),
      home.start(["join", "--cpus", "2"], {
        RUNTIME_JOIN: join,
        XDG_STATE_HOME: home.file("elsewhere"),
      }),
      home.start(["join", "--agents", "2", "--cpus", "1"]),
    ];
    await Promise.all(workers.map((worker) => worker.saw(/joined/)));
    await sleep(700);
    const status = JSON.parse((await home.run(["status", "--json"])).stdout);
    expect(status.slots.total).toBe(5);
    expect(status.hosts).toHaveLength(4);
    head.signal("SIGTERM");
    expect((await head.ended).code).toBe(0);
    for (const worker of workers) expect((await worker.ended).code).toBe(0);
    expect(existsSync(file)).toBe(false);
  });

  it("ends with `stop`, which ends what this user started here and nothing else", async () => {
    const stranger = new Home();
    const other = await stranger.head("--cpus", "1");
    const started = await home.run(["start", "--head", "--port", "0", "--cpus", "1", "--detach"]);
    expect(started.code).toBe(0);
    expect(started.stdout).toMatch(/^join: fascicle:\/\/\S+\n$/);
    const joined = await home.run(["join", "--cpus", "1", "--detach"]);
    expect(joined).toMatchObject({ code: 0 });
    const second = await home.run(["start", "--head", "--port", "0"]);
    expect(second.code).toBe(2);
    expect(second.stderr).toMatch(/A head of yours runs already/);
    const stopped = await home.run(["stop"]);
    expect(stopped.code).toBe(0);
    expect(stopped.stdout.match(/stopped/g)?.length).toBeGreaterThanOrEqual(2);
    expect(other.head.child.exitCode).toBeNull();
    expect((await home.run(["stop"])).stdout).toMatch(/nothing of yours runs/);
    expect(await home.run(["status"])).toMatchObject({ code: 3, stdout: "" });
    expect(await stranger.close()).toEqual([]);
  });

  it("keeps token and port in a state directory of one's own, and takes a token that is given", async () => {
    const state = home.file("mine");
    const first = await home.head("--cpus", "0", "--state-dir", state);
    first.head.signal("SIGTERM");
    await first.head.ended;
    const again = home.start(["start", "--head", "--cpus", "0", "--state-dir", state]);
    expect((await again.saw(/join: (\S+)/))[1]).toBe(first.join);
    const token = "a-token-of-my-own-1234567890";
    const given = home.start(
      ["start", "--head", "--port", "0", "--cpus", "0", "--state-dir", home.file("other")],
      { RUNTIME_TOKEN: token },
    );
    expect((await given.saw(/join: (\S+)/))[1]).toContain(`/${token}.`);
    const bad = await home.run(["start", "--head", "--state-dir", home.file("third")], {
      RUNTIME_TOKEN: "short",
    });
    expect(bad.code).toBe(2);
  });

  it("shares its state directory with no other, not even with one that starts at the same moment", async () => {
    const state = home.file("mine");
    const start = ["start", "--head", "--port", "0", "--cpus", "0", "--state-dir", state];
    const both = [home.start(start), home.start(start)];
    const { code, stderr } = await Promise.race(both.map((head) => head.ended));
    expect(code).toBe(2);
    expect(stderr).toMatch(/A head of yours runs already \(.*\): stop it with/);
    const alive = both.find((head) => head.child.exitCode === null);
    await alive?.saw(/join:/);
    expect(readdirSync(state).sort()).toEqual(["claim-1", "head.json", "journal"]);
    alive?.signal("SIGTERM");
    expect(await alive?.ended).toMatchObject({ code: 0 });
    expect(readdirSync(state)).toEqual(["head.json"]);
  });

  it("keeps the log of a head in the background from another that starts at the same moment", async () => {
    const start = ["start", "--head", "--port", "0", "--cpus", "1", "--detach"];
    const both = await Promise.all([home.run(start), home.run(start)]);
    const [won, lost] = both.sort((one, other) => Number(one.code) - Number(other.code));
    expect([won.code, lost.code]).toEqual([0, 2]);
    expect(lost.stderr).toMatch(/A head of yours runs already/);
    const logFile = /log (\S+)\)/.exec(won.stderr)?.[1] ?? "";
    const names = () => readdirSync(dirname(logFile)).sort();
    expect(names()).toEqual(["claim-1", "head.json", "head.log", "journal"]);
    // Its own worker is told to leave: the log is not the worker's to remove.
    const hosts = async () => JSON.parse((await home.run(["status", "--json"])).stdout).hosts;
    let found = await hosts();
    for (; found.length === 0; found = await hosts()) await sleep(50);
    process.kill(found[0].pid, "SIGTERM");
    while ((await hosts()).length > 0) await sleep(50);
    expect(readFileSync(logFile, "utf8")).toMatch(/joined/);
    expect(await home.run(["stop"])).toMatchObject({ code: 0 });
    expect(existsSync(logFile)).toBe(false);
  });

  it("says that a port is taken or a host name is none, and leaves no directory", async () => {
    const { createServer } = await import("node:net");
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    for (const [words, says] of [
      [["--port", String(port)], /another program listens there: choose another --port/],
      [["--port", "0", "--advertise", "a b/c"], /no host name or address: correct --advertise/],
      [["--port", "0", "--host", "192.0.2.1"], /this host has no such address: correct --host/],
    ] as const) {
      const ended = await home.run(["start", "--head", ...words]);
      expect(ended).toMatchObject({ code: 2, stdout: "" });
      expect(ended.stderr).toMatch(says);
      expect(ended.stderr.trim().split("\n")).toHaveLength(1);
    }
    other.close();
    expect(existsSync(home.file("state", "fascicle"))).toBe(false);
  });

  it("warns that traffic is not encrypted when it listens beyond loopback", async () => {
    const { head, join } = await home.head(
      "--cpus",
      "0",
      "--host",
      "0.0.0.0",
      "--advertise",
      "my-host",
    );
    expect(join).toMatch(/^fascicle:\/\/my-host:/);
    await head.saw(/traffic is not encrypted yet/);
  });

  it("refuses a wrong token (3), a garbled string (2) and an empty address (3), quickly", async () => {
    const { head, join } = await home.head("--cpus", "0");
    const { formatJoinString, parseJoinString } = await import("@fascicle/transport");
    const parts = parseJoinString(join);
    const wrong = formatJoinString({ ...parts, token: "x".repeat(43) });
    const nowhere = formatJoinString({ ...parts, port: 1 });
    const cases = [
      [wrong, 3, /refused: the token is not this head's/],
      [nowhere, 3, /No head could be reached at 127.0.0.1:1/],
      [join.slice(0, -5), 2, /join string/],
      ["nonsense", 2, /join string/],
    ] as const;
    for (const [text, code, message] of cases) {
      const commands = [
        ["join", text],
        ["status", "--join", text],
        ["fit", "dti", ...csdData, "--out", home.file("out"), "--join", text],
      ];
      for (const words of commands) {
        const begunMs = Date.now();
        const ended = await home.run(words);
        expect(ended).toMatchObject({ code, stdout: "" });
        expect(ended.stderr).toMatch(message);
        expect(ended.stderr.trim().split("\n")).toHaveLength(1);
        expect(Date.now() - begunMs).toBeLessThan(5_000);
      }
    }
    await head.saw(/refused a peer/);
    expect(existsSync(home.file("out"))).toBe(false);
  });
});
