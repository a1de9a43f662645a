/** Peers that have the token and mean harm, or are broken: they harm nobody else. */
import { crc32 } from "node:zlib";
import { blockVoxelsFor } from "@fascicle/object-store";
import { dial, parseJoinString, type Session } from "@fascicle/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dwiOptions, filesBelow, fixtures, Home, type Running, sleep } from "../support/cli.ts";

let home: Home;
let join: string;
let head: Running;
const peers: Session[] = [];

beforeEach(async () => {
  home = new Home();
  ({ head, join } = await home.head("--cpus", "0"));
});
afterEach(async () => {
  for (const peer of peers.splice(0)) peer.terminate("the test ends");
  expect(await home.close()).toEqual([]);
});

type Message = Record<string, unknown> & { type: string };

/** A peer of ours: what it heard, and why it was thrown out. */
async function intrude(role: "agent" | "client", onMessage: (message: Message) => void = () => {}) {
  const connection = await dial(parseJoinString(join), role);
  peers.push(connection);
  const thrownOut = new Promise<string>((resolve) =>
    connection.start({
      onMessage: (message) => onMessage(message as Message),
      onClose: resolve,
    }),
  );
  return { connection, thrownOut };
}

const owner = {
  pid: 1,
  startTime: "",
  bootId: "elsewhere",
  machineId: "elsewhere",
  pidNamespace: "",
  hostName: "evil",
};

const hello = (changes: object = {}) => ({
  type: "hello",
  holds: [],
  key: "0123456789abcdef",
  owner,
  host: {
    agent: `evil-${Math.random()}`,
    hostName: "evil\u001b[31m\nhost",
    pid: 1,
    slots: 1,
    machine: "evil",
    physicalCores: 1,
    memoryBytes: 1,
    objectMemoryBytes: 2 ** 40,
    version: "0",
    ...changes,
  },
});

const spec = (changes: { readonly voxelCount?: number; readonly [name: string]: unknown }) => ({
  type: "submit",
  settled: [],
  key: "0123456789abcdef",
  owner,
  spec: {
    job: `evil-${Math.random()}`,
    model: "dti",
    voxelCount: 1000,
    chunkCount: 10,
    signals: {
      width: 1,
      dtype: "float32",
      blockVoxels: blockVoxelsFor({
        voxelCount: changes.voxelCount ?? 1000,
        width: 1,
        dtype: "float32",
      }),
    },
    outputs: [{ name: "x", width: 1, dtype: "float64", units: "1" }],
    kernel: { module: "@fascicle/models/kernels", name: "dti", hash: "none" },
    ...changes,
  },
});

const timings = { computeSeconds: 0, copySeconds: 0, retried: 0 };

/** Bytes of a voxel in the outputs of dti: 17 numbers and its status. */
const rowBytes = 17 * 8 + 1;

const data = dwiOptions(`${fixtures}data/real_64dir`, ".nii");
const fitOf = (out: string) => [
  "fit",
  "dti",
  ...data,
  "--out",
  home.file(out),
  "--chunks",
  "50",
  "--join",
  join,
];

/** Runs a fit beside the intruder and one honest worker, and holds it to a local one. */
async function honestFitHolds(): Promise<void> {
  const worker = home.start(["join", join, "--cpus", "1"]);
  await worker.saw(/joined/);
  const ended = await home.run(fitOf("beside"));
  expect(ended).toMatchObject({ code: 0 });
  await home.run(["fit", "dti", ...data, "--out", home.file("alone"), "--engine", "local"]);
  const { readFileSync } = await import("node:fs");
  for (const path of filesBelow(home.file("alone")).filter(
    (name) => !name.endsWith("report.json"),
  )) {
    expect(readFileSync(path.replace("alone", "beside")).equals(readFileSync(path))).toBe(true);
  }
  expect(worker.child.exitCode).toBeNull();
}

describe("a worker that lies", () => {
  const lies: [string, RegExp, (job: string) => [Message, Uint8Array?][]][] = [
    [
      "about chunks it was never given",
      /protocol error: a result of chunks that were not leased/,
      (job) => {
        const payload = new Uint8Array(1000 * rowBytes);
        const voxels = { start: 0, end: 1000 };
        const completes = { start: 0, end: 50 };
        return [
          [
            { type: "result", job, epoch: 1, voxels, completes, crc: crc32(payload), timings },
            payload,
          ],
        ];
      },
    ],
    [
      "about failures of others",
      /protocol error/,
      (job) => [[{ type: "failed", job, chunks: { start: 5, end: 5 }, reason: "x" }]],
    ],
    [
      "about what it needs",
      /too many blocks at once/,
      (job) => Array.from({ length: 50 }, () => [{ type: "blockWanted", job, block: 0 }]),
    ],
  ];
  for (const [what, why, lie] of lies) {
    it(`${what} is thrown out, and the fit goes on without it`, async () => {
      const { connection, thrownOut } = await intrude("agent", (message) => {
        if (message.type !== "open") return;
        const { job } = message.spec as { job: string };
        for (const [words, payload] of lie(job)) connection.send(words, payload);
      });
      connection.send(hello());
      await honestFitHolds();
      expect(await thrownOut).toMatch(why);
      expect(head.stderr).toMatch(/refused a peer at \S+: protocol error: /);
    });
  }

  it("whose results are damaged loses the fit, and nobody else does", async () => {
    const { connection } = await intrude("agent", (message) => {
      if (message.type !== "lease") return;
      const { start, end } = message.chunks as { start: number; end: number };
      // 50 chunks of 20 voxels.
      const voxels = { start: 20 * start, end: 20 * end };
      const payload = new Uint8Array((voxels.end - voxels.start) * rowBytes);
      const { job } = message;
      connection.send(
        { type: "result", job, epoch: 1, voxels, completes: message.chunks, crc: 1, timings },
        payload,
      );
    });
    connection.send(hello());
    await honestFitHolds();
    expect(connection.isOpen).toBe(true);
  });

  it("that kernels fail is not believed alone", async () => {
    const worker = home.start(["join", join, "--cpus", "1"]);
    await worker.saw(/joined/);
    const { connection } = await intrude("agent", ({ type, job, epoch, chunks }) => {
      if (type !== "lease") return;
      connection.send({ type: "failed", job, epoch, chunks, failure: "application", reason: "x" });
    });
    connection.send(hello());
    await honestFitHolds();
    expect(head.stderr).toMatch(/failed on \S+.*: x/);
  });

  it("and sends more than the driver takes is thrown out", async () => {
    const driver = await intrude("client");
    const { connection, thrownOut } = await intrude("agent", ({ type, job, epoch, chunks }) => {
      if (type !== "lease") return;
      const { start } = chunks as { start: number };
      const payload = new Uint8Array(100 * 8000);
      const voxels = { start: 100 * start, end: 100 * start + 100 };
      // The driver takes nothing at all; window and a run together are 12 MiB.
      for (let piece = 0; piece < 20; piece++) {
        connection.send({ type: "result", job, epoch, voxels, crc: 1, timings }, payload);
      }
    });
    connection.send(hello());
    const wide = { name: "x", width: 1000, dtype: "float64", units: "1" };
    driver.connection.send(spec({ outputs: [wide] }));
    expect(await thrownOut).toMatch(/more results under way than it may/);
    expect(driver.connection.isOpen).toBe(true);
  });

  it("about who it was before takes nobody's place", async () => {
    const worker = home.start(["join", join, "--cpus", "1"]);
    await worker.saw(/joined/);
    const { hosts } = JSON.parse((await home.run(["status", "--json"])).stdout);
    const { connection } = await intrude("agent");
    const [{ agent, pid, machine }] = hosts;
    connection.send({ ...hello({ pid, machine }), replaces: agent });
    await sleep(300);
    const after = JSON.parse((await home.run(["status", "--json"])).stdout);
    expect(after.hosts).toHaveLength(2);
    expect(worker.stderr).not.toMatch(/under another name/);
  });

  it("about its size is refused, and its name cannot write on a terminal", async () => {
    const big = await intrude("agent");
    big.connection.send(hello({ slots: Number.MAX_SAFE_INTEGER }));
    expect(await big.thrownOut).toMatch(/protocol error/);
    const named = await intrude("agent");
    named.connection.send(hello());
    await sleep(300);
    const status = await home.run(["status"]);
    expect(status).toMatchObject({ code: 0 });
    expect(status.stdout).toMatch(/evil \[31m host/);
    expect(status.stdout).not.toContain("\u001b");
  });
});

describe("a driver that lies", () => {
  it("about sizes, blocks or kernels takes no worker with it", async () => {
    const worker = home.start(["join", join, "--cpus", "1"]);
    await worker.saw(/joined/);
    const tooBig = await intrude("client");
    tooBig.connection.send(
      spec({ voxelCount: 4e8, signals: { width: 1, dtype: "float32", blockVoxels: 1 } }),
    );
    expect(await tooBig.thrownOut).toMatch(/other blocks than ours/);
    const heard: Message[] = [];
    const other = await intrude("client", (message) => heard.push(message));
    other.connection.send(spec({ voxelCount: 1e12 }));
    other.connection.send(spec({}));
    await sleep(500);
    expect(heard.filter((message) => message.type === "jobFailed")).toHaveLength(2);
    const mine = await intrude("client");
    const request = spec({ job: "mine" });
    mine.connection.send(request);
    const { hosts } = JSON.parse((await home.run(["status", "--json"])).stdout);
    const block = {
      type: "block",
      agent: hosts[0].agent,
      job: "mine",
      block: 7,
      offset: 0,
      crc: 0,
    };
    mine.connection.send(block, new Uint8Array(8));
    await sleep(300);
    expect(worker.child.exitCode).toBeNull();
    const stranger = await intrude("client");
    stranger.connection.send({ type: "cancel", job: "mine", reason: "because" });
    for (let i = 0; i < 20; i++)
      stranger.connection.send(spec({ kernel: { module: "m", name: "n", hash: "h" } }));
    worker.signal("SIGTERM");
    await worker.ended;
    await honestFitHolds();
  });

  it("that comes late in an older session does not take the fit from the later one", async () => {
    const older = await intrude("client");
    const later = await intrude("client");
    const mine = spec({ job: "mine" });
    later.connection.send(mine);
    const isSubmitted = async () =>
      JSON.parse((await home.run(["status", "--json"])).stdout).jobs.length > 0;
    while (!(await isSubmitted())) await sleep(50);
    older.connection.send(mine);
    await sleep(300);
    later.connection.send({ type: "cancel", job: "mine", reason: "enough" });
    while (await isSubmitted()) await sleep(50);
    expect([older.connection.isOpen, later.connection.isOpen]).toEqual([true, true]);
  });

  it("about whose a fit is does not get it", async () => {
    const mine = await intrude("client");
    mine.connection.send(spec({ job: "mine" }));
    for (let jobs = 0; jobs === 0; await sleep(50)) {
      jobs = JSON.parse((await home.run(["status", "--json"])).stdout).jobs.length;
    }
    const thief = await intrude("client");
    const attach = { type: "attach", job: "mine", settled: [], key: "not the fit's own", owner };
    thief.connection.send(attach);
    expect(await thief.thrownOut).toMatch(/a fit is its own driver's business/);
    expect(mine.connection.isOpen).toBe(true);
  });
});
