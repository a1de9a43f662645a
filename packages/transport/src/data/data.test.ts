import { once } from "node:events";
import { crc32 } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { openDoor } from "../door.ts";
import { encodeHeader, writeNumbers } from "../frame.ts";
import { newToken } from "../joinString.ts";
import { bulkFrameBytes, dataPullsLimit, dataWindowBytes } from "../limits.ts";
import { protocolVersions } from "../proof.ts";
import { listen } from "../server.ts";
import { TestNetwork } from "../testing/network.ts";
import { challengeAt, provenHeaders } from "../testing/rawPeer.ts";
import { DataClient, type DataClientOptions, type WantedBlock } from "./client.ts";
import { PullError } from "./pull.ts";
import { DataServer } from "./server.ts";
import { DataWire } from "./wire.ts";

const token = newToken();
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A block whose bytes tell where they belong. */
function blockOf(bytes: number, seed = 1): Uint8Array {
  const block = new Uint8Array(new SharedArrayBuffer(bytes));
  for (let i = 0; i < bytes; i++) block[i] = (i * 2_654_435_761 + seed * 97) >>> 13;
  return block;
}

/** A worker that has these blocks of fit "j". */
class Source {
  readonly blocks = new Map<number, Uint8Array>();
  readonly refusals: string[] = [];
  opened = 0;
  done = 0;
  server!: DataServer;

  static async start(idleMs?: number, stallMs?: number): Promise<Source> {
    const source = new Source();
    source.server = await DataServer.start({
      ...{ host: "127.0.0.1", port: 0, token, idleMs, stallMs },
      open: (job, block) => source.#open(job, block),
      onRefused: (_, reason) => source.refusals.push(reason),
    });
    closers.push(() => source.server.close());
    return source;
  }

  get address() {
    return { host: "127.0.0.1", port: this.server.port };
  }

  async #open(job: string, block: number) {
    if (block === 666) throw new Error("the disk is on fire");
    const bytes = job === "j" ? this.blocks.get(block) : undefined;
    if (bytes === undefined) return undefined;
    this.opened++;
    return { bytes, done: () => this.done++ };
  }
}

function newClient(options: Partial<DataClientOptions> = {}): DataClient {
  const client = new DataClient({ token, ...options });
  closers.push(() => client.close());
  return client;
}

/** Where a block is put together; what comes must come in order. */
class Target {
  readonly bytes: Uint8Array;
  got = 0;
  pieces = 0;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes);
  }

  take = (offset: number, piece: Uint8Array): void => {
    expect(offset).toBe(this.got);
    expect(piece.length).toBeLessThanOrEqual(bulkFrameBytes);
    this.bytes.set(piece, offset);
    this.got += piece.length;
    this.pieces++;
  };
}

const wanted = (block: number, bytes: number): WantedBlock => ({ job: "j", block, bytes });
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;

async function eventually(what: () => boolean): Promise<void> {
  for (let waited = 0; !what(); waited += 10) {
    if (waited > 20_000) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("a data port", () => {
  it("gives blocks to who knows the token, several at once over one connection", async () => {
    const source = await Source.start();
    const sizes = [1, bulkFrameBytes - 1, bulkFrameBytes, 3 * bulkFrameBytes + 5, 9_000_001];
    for (const [i, size] of sizes.entries()) source.blocks.set(i, blockOf(size, i));
    const client = newClient();
    const targets = sizes.map((size) => new Target(size));
    await Promise.all(
      sizes.map((size, i) => client.pull(source.address, wanted(i, size), targets[i].take)),
    );
    for (const [i, { bytes }] of targets.entries()) {
      expect(same(bytes, source.blocks.get(i)!)).toBe(true);
    }
    expect(source.server.connections).toBe(1);
    await eventually(() => source.done === sizes.length);
    expect(source.opened).toBe(sizes.length);
  });

  it("sends several blocks side by side, a little of each in turn", async () => {
    const source = await Source.start();
    const size = 24 * bulkFrameBytes;
    source.blocks.set(0, blockOf(size));
    const client = newClient();
    const order: number[] = [];
    const pull = (which: number) =>
      client.pull(source.address, wanted(0, size), () => order.push(which));
    await Promise.all([pull(0), pull(1), pull(2)]);
    const lastOfFirst = order.lastIndexOf(order[0]);
    for (const which of [0, 1, 2]) {
      const before = order.slice(0, lastOfFirst).filter((each) => each === which).length;
      expect(before).toBeGreaterThan(12);
    }
  });

  it("stays shut to a wrong token, to browsers, and to who knocks at another door", async () => {
    const source = await Source.start();
    const stranger = newClient({ token: newToken() });
    await expect(stranger.pull(source.address, wanted(0, 9), () => {})).rejects.toThrow(
      /the token is not this worker's/,
    );
    const { port } = source.server;
    const page = await fetch(`http://127.0.0.1:${port}/challenge`, {
      headers: { origin: "http://evil.example" },
    });
    expect(page.status).toBe(403);
    // A proof for a data port opens no session with a head, nor the other way round.
    const head = await listen({
      ...{ host: "127.0.0.1", port: 0, token, onRefused: () => {} },
      onSession: () => expect.unreachable(),
    });
    closers.push(() => head.close());
    const client = newClient();
    const address = { host: "127.0.0.1", port: head.port };
    await expect(client.pull(address, wanted(0, 9), () => {})).rejects.toThrow(/not found/);
    expect(await statusOf(port, "agent")).toBe(400);
    expect(await statusOf(port, "data")).toBe(101);
  });

  it("says that it has no such block, or why it cannot send one", async () => {
    const source = await Source.start();
    source.blocks.set(0, blockOf(100));
    const client = newClient();
    const pull = (block: number, bytes: number) =>
      client.pull(source.address, wanted(block, bytes), () => {});
    const absent = pull(1, 100);
    await expect(absent).rejects.toThrow(/no such block/);
    await expect(absent).rejects.toMatchObject({ code: "PULL", isAbsent: true });
    await expect(pull(666, 100)).rejects.toThrow("the disk is on fire");
    await expect(pull(0, 101)).rejects.toThrow(/has 100 bytes/);
    expect([source.opened, source.done]).toEqual([1, 1]);
  });

  it("goes on where a broken connection broke", async () => {
    const source = await Source.start();
    const size = 20 * bulkFrameBytes + 17;
    source.blocks.set(0, blockOf(size));
    const network = await TestNetwork.start(source.server.port);
    closers.push(() => network.close());
    const target = new Target(size);
    const breaks = [2, 3, 9, 15];
    const client = newClient();
    const address = { host: "127.0.0.1", port: network.port };
    await client.pull(address, wanted(0, size), (offset, piece) => {
      target.take(offset, piece);
      if (breaks.includes(target.pieces)) network.cut();
    });
    expect(same(target.bytes, source.blocks.get(0)!)).toBe(true);
    expect(source.opened).toBe(1 + breaks.length);
    await eventually(() => source.done === source.opened);
  });

  it("is given up when it is gone, in the middle of a block", async () => {
    const source = await Source.start();
    const size = 20 * bulkFrameBytes;
    source.blocks.set(0, blockOf(size));
    const target = new Target(size);
    const pull = newClient().pull(source.address, wanted(0, size), (offset, piece) => {
      target.take(offset, piece);
      if (target.pieces === 3) void source.server.close();
    });
    await expect(pull).rejects.toThrow(/nothing listens there/);
    expect(target.got).toBeGreaterThan(0);
    expect(source.done).toBe(source.opened);
  });

  it("is given up when it falls silent", async () => {
    const source = await Source.start();
    const size = 20 * bulkFrameBytes;
    source.blocks.set(0, blockOf(size));
    const network = await TestNetwork.start(source.server.port);
    closers.push(() => network.close());
    const client = newClient({ silenceMs: 1_500 });
    const address = { host: "127.0.0.1", port: network.port };
    const pull = client.pull(address, wanted(0, size), () => network.stall());
    await expect(pull).rejects.toThrow("it has said nothing for 1.5 s");
  });

  it("ends a pull that is not wanted any more, or whose piece cannot be taken, and no other", async () => {
    const source = await Source.start();
    const size = 12 * bulkFrameBytes;
    source.blocks.set(0, blockOf(size));
    const client = newClient();
    const stop = new AbortController();
    const target = new Target(size);
    const pulls = [
      client.pull(source.address, wanted(0, size), target.take),
      client.pull(
        source.address,
        wanted(0, size),
        () => stop.abort(new Error("enough")),
        stop.signal,
      ),
      client.pull(source.address, wanted(0, size), () => {
        throw new Error("no room");
      }),
    ];
    const ends = await Promise.allSettled(pulls);
    expect(ends.map((end) => (end.status === "rejected" ? end.reason.message : "done"))).toEqual([
      "done",
      "enough",
      "no room",
    ]);
    expect(same(target.bytes, source.blocks.get(0)!)).toBe(true);
    await eventually(() => source.done === 3);
    expect(source.server.connections).toBe(1);
  });

  it("closes connections that carry nothing, on either side", async () => {
    const source = await Source.start();
    source.blocks.set(0, blockOf(10));
    const client = newClient({ idleMs: 100 });
    await client.pull(source.address, wanted(0, 10), () => {});
    await eventually(() => source.server.connections === 0);
    await client.pull(source.address, wanted(0, 10), () => {});
    const impatient = await Source.start(500);
    const raw = await rawPeer(impatient.server.port);
    await raw.ended;
    expect(impatient.server.connections).toBe(0);
  });
});

describe("a peer that does not keep to the rules", () => {
  const pull = (number: number, more: object = {}) => ({
    ...{ type: "pull", pull: number, job: "j", block: 0, offset: 0, bytes: 20 * bulkFrameBytes },
    ...more,
  });

  async function sourceAndPeer() {
    const source = await Source.start();
    source.blocks.set(0, blockOf(20 * bulkFrameBytes));
    return { source, peer: await rawPeer(source.server.port) };
  }

  it("gets no more than the window while it takes nothing", async () => {
    const { source, peer } = await sourceAndPeer();
    peer.say(pull(1));
    await eventually(() => peer.bytes >= dataWindowBytes);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(peer.bytes).toBeLessThan(dataWindowBytes + bulkFrameBytes);
    peer.socket.terminate();
    await eventually(() => source.done === 1);
  });

  it("is given up where it takes nothing, though it says that it lives", async () => {
    const source = await Source.start(60_000, 300);
    source.blocks.set(0, blockOf(20 * bulkFrameBytes));
    const peer = await rawPeer(source.server.port);
    const pings = setInterval(() => peer.socket.ping(), 50);
    peer.say(pull(1));
    await eventually(() => source.done === 1);
    expect(peer.socket.readyState).toBe(peer.socket.OPEN);
    clearInterval(pings);
    peer.socket.terminate();
  });

  const wrong: [string, (peer: Raw) => void][] = [
    ["what is no message", (peer) => peer.say({ type: "pull", pull: -1 })],
    ["a text", (peer) => peer.socket.send("give")],
    ["noise", (peer) => peer.socket.send(Buffer.from("not a frame at all, is it?"))],
    ["too large a message", (peer) => peer.socket.send(Buffer.alloc(1 << 20))],
    [
      "two pulls of one number",
      (peer) => {
        for (const each of [pull(1), pull(1)]) peer.say(each);
      },
    ],
    [
      "too much at once",
      (peer) => {
        for (let i = 0; i <= dataPullsLimit; i++) peer.say(pull(i));
      },
    ],
    [
      "what it was not sent as taken",
      (peer) => {
        peer.say(pull(1));
        peer.socket.once("message", () =>
          peer.say({ type: "taken", pull: 1, through: 19 * bulkFrameBytes }),
        );
      },
    ],
  ];

  it.each(wrong)("is thrown out for %s, and holds nothing", async (_, misbehave) => {
    const { source, peer } = await sourceAndPeer();
    misbehave(peer);
    await peer.ended;
    await eventually(() => source.server.connections === 0 && source.done === source.opened);
    expect(source.refusals).toHaveLength(1);
  });
});

describe("a source that does not keep to the rules", () => {
  const size = 3 * bulkFrameBytes;
  const bytes = blockOf(size);
  const piece = { type: "piece", pull: 1, offset: 0, crc: crc32(bytes.subarray(0, 100)) };
  const first = bytes.subarray(0, 100);

  const lies: [string, object, Uint8Array | undefined, RegExp][] = [
    ["a damaged piece", { ...piece, crc: 1 }, first, /damaged/],
    ["a piece out of place", { ...piece, offset: 1 }, first, /out of place/],
    ["more than there is", piece, blockOf(bulkFrameBytes + 8_192), /size|payload/i],
    ["nothing as a piece", { ...piece, crc: 0 }, undefined, /out of place/],
    ["an answer to nothing", { ...piece, pull: 9 }, first, /came to nothing/],
    [
      "what is no message",
      { type: "hello" },
      undefined,
      /unexpected message from a worker that sends data/,
    ],
  ];

  it.each(lies)("is given up for %s", async (_, message, payload, reason) => {
    const door = await openDoor({
      ...{ host: "127.0.0.1", port: 0, token, path: "/data", who: "worker", roles: ["data"] },
      ...{ connectionsLimit: 5, messageBytesLimit: 4_096, onRefused: () => {} },
      admit: () => ({
        hello: { versions: protocolVersions, session: undefined, lastReceived: 0 },
        connected: (connection) =>
          connection.start({
            onFragments: () => new DataWire(connection).send(message, payload),
            onEnd: () => {},
          }),
      }),
    });
    closers.push(() => door.close());
    const target = new Target(size);
    const address = { host: "127.0.0.1", port: door.port };
    const pull = newClient().pull(address, wanted(0, size), target.take);
    await expect(pull).rejects.toThrow(PullError);
    await expect(pull).rejects.toThrow(reason);
    expect(target.got).toBe(0);
  });

  it("is given up where nobody listens", async () => {
    const pull = newClient().pull({ host: "127.0.0.1", port: 1 }, wanted(0, 5), () => {});
    await expect(pull).rejects.toThrow(/No worker could be reached at 127.0.0.1:1/);
  });
});

interface Raw {
  readonly socket: WebSocket;
  readonly ended: Promise<unknown>;
  readonly bytes: number;
  say(message: object): void;
}

/** Somebody who has the token and says what he likes. */
async function rawPeer(port: number): Promise<Raw> {
  const headers = provenHeaders(token, await challengeAt(port), "data");
  const socket = new WebSocket(`ws://127.0.0.1:${port}/data`, { headers });
  socket.on("error", () => {});
  let sent = 0;
  const peer = {
    socket,
    bytes: 0,
    ended: once(socket, "close"),
    say(message: object) {
      const frame = encodeHeader(message);
      writeNumbers(frame, ++sent, 0);
      socket.send(frame);
    },
  };
  socket.on("message", (data: Buffer) => {
    peer.bytes += data.length;
  });
  await once(socket, "open");
  return peer;
}

async function statusOf(port: number, role: "agent" | "data"): Promise<number> {
  const headers = provenHeaders(token, await challengeAt(port), role);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/data`, { headers });
  socket.on("error", () => {});
  const status = await Promise.race([
    once(socket, "unexpected-response").then(([, response]) => response.statusCode),
    once(socket, "open").then(() => 101),
  ]);
  socket.terminate();
  return status;
}
