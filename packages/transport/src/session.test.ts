import { defaultDetectorLimits } from "@fascicle/core";
import { afterEach, describe, expect, it } from "vitest";
import { dial } from "./client.ts";
import { newToken } from "./joinString.ts";
import { newNonce, protocolVersions } from "./proof.ts";
import { listen, type Server } from "./server.ts";
import type { Session } from "./session.ts";
import { TestNetwork } from "./testing/network.ts";
import { challengeAt, firstHello, provenHeaders, RawPeer, refusalOf } from "./testing/rawPeer.ts";
import { type Received, sleep, until, Witness } from "./testing/witness.ts";

const token = newToken();
const { resumeGraceMs, tickIntervalMs } = defaultDetectorLimits;
/** Deadlines are generous: the machine is shared. */
const latenessMs = 3_000;
/** One for the challenge, one for the session. */
const connectionsPerDial = 2;

let server: Server;
let network: TestNetwork;
let accepted: Witness[] = [];
let refusals: string[] = [];
const dialled: Session[] = [];

async function open(port = 0): Promise<void> {
  accepted = [];
  refusals = [];
  server = await listen({
    host: "127.0.0.1",
    port,
    token,
    onSession: (session) => accepted.push(new Witness(session)),
    onRefused: (_, reason) => refusals.push(reason),
  });
  network = await TestNetwork.start(server.port);
}

afterEach(async () => {
  for (const session of dialled.splice(0)) session.terminate("test ends");
  for (const { session } of accepted) session.terminate("test ends");
  await network.close();
  await server.close();
});

/** A client behind the network, and the server's end of its session. */
async function meet(): Promise<[Witness, Witness]> {
  const session = await dial({ host: "127.0.0.1", port: network.port, token }, "client");
  dialled.push(session);
  return [new Witness(session), await until(() => accepted.at(-1), "a session")];
}

/** The bytes that go with a message: some have none, some are large. */
function payloadOf(index: number): Uint8Array {
  const bytes = index % 50 === 0 ? 200_000 : index % 3 === 0 ? 0 : index % 97;
  return new Uint8Array(bytes).fill(index % 251);
}

async function sendMany(session: Session, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    session.send({ index }, payloadOf(index));
    await session.writable();
    if (index % 20 === 0) await sleep(5);
  }
  await session.flushed();
}

function expectAll(received: readonly Received[], count: number): void {
  expect(received.map(({ index }) => index)).toEqual(Array.from({ length: count }, (_, i) => i));
  const wrong = received.filter(
    ({ index, payload }) => Buffer.compare(payload, payloadOf(index)) !== 0,
  );
  expect(wrong).toEqual([]);
}

describe("a session over a bad network", () => {
  it("delivers thousands of messages once and in order, however often its connection is cut", async () => {
    await open();
    const [client, head] = await meet();
    const count = 5_000;
    let isSent = false;
    const sending = Promise.all([
      sendMany(client.session, count),
      sendMany(head.session, count),
    ]).finally(() => {
      isSent = true;
    });
    let cuts = 0;
    while (!isSent) {
      await sleep(Math.random() * 200);
      network.cut();
      cuts++;
      // Sometimes there is no way for a while; and sometimes there is one for long enough to come back.
      if (cuts % 5 === 0) {
        network.target = undefined;
        await sleep(Math.random() * 500);
        network.target = server.port;
      }
      if (cuts % 3 === 0) await until(() => !client.session.isAway, "the client to be back");
    }
    await sending;
    // A reason here says more than what is missing.
    expect([client.reason, head.reason]).toEqual([undefined, undefined]);
    expectAll(head.received, count);
    expectAll(client.received, count);
    expect(accepted).toHaveLength(1);
    expect(network.connections).toBeGreaterThan(5);
    expect(client.log.filter((line) => line === "back").length).toBeGreaterThan(5);
    expect([...client.log, ...head.log]).not.toContain("closed");
  });

  it("finds another way where a connection is dead and nobody was told", async () => {
    await open();
    const [client, head] = await meet();
    client.session.send({ index: 0 }, payloadOf(0));
    await until(() => head.received.length === 1, "the first message");
    network.stall();
    for (let index = 1; index < 100; index++) {
      client.session.send({ index }, payloadOf(index));
      head.session.send({ index: index - 1 }, payloadOf(index - 1));
    }
    await Promise.all([client.session.flushed(), head.session.flushed()]);
    expectAll(head.received, 100);
    expectAll(client.received, 99);
    expect(network.connections).toBe(2 * connectionsPerDial);
    expect([...client.log, ...head.log]).not.toContain("closed");
  });

  it("outlives a silence that is short", async () => {
    await open();
    const [client, head] = await meet();
    network.stall();
    client.session.send({ index: 0 });
    await sleep(2_500);
    network.flow();
    await until(() => head.received.length === 1, "the message");
    expect(network.connections).toBe(connectionsPerDial);
    expect([...client.log, ...head.log]).toEqual([]);
  });

  it("is given up by both sides when no connection comes in time", async () => {
    await open();
    const [client, head] = await meet();
    network.target = undefined;
    const cutMs = performance.now();
    network.cut();
    head.session.send({ index: 0 });
    const reasons = await Promise.all([client.closed, head.closed]);
    const tookMs = performance.now() - cutMs;
    for (const reason of reasons) {
      expect(reason).toBe("its connection broke and did not come back within 2 s");
    }
    expect(tookMs).toBeGreaterThanOrEqual(resumeGraceMs - tickIntervalMs);
    expect(tookMs).toBeLessThan(resumeGraceMs + 2 * tickIntervalMs + latenessMs);
    for (const { log } of [client, head]) expect(log).toEqual(["away", "closed"]);
    await client.session.writable();
    await client.session.flushed();
  });

  it("waits with bulk data while it is away, and keeps what is said", async () => {
    await open();
    const [client, head] = await meet();
    network.target = undefined;
    network.cut();
    await until(() => client.session.isAway, "the break");
    expect(client.session.isOpen).toBe(true);
    client.session.send({ index: 0 }, payloadOf(0));
    let isWritable = false;
    const writable = client.session.writable().then(() => {
      isWritable = true;
    });
    await sleep(200);
    expect(isWritable).toBe(false);
    network.target = server.port;
    await writable;
    await client.session.flushed();
    expectAll(head.received, 1);
    expect(head.session.isAway).toBe(false);
  });

  it("holds back bulk data that its peer does not acknowledge", async () => {
    await open();
    const [client, head] = await meet();
    network.stall();
    const piece = new Uint8Array(1 << 20);
    let sent = 0;
    const sending = (async () => {
      for (; sent < 60; sent++) {
        client.session.send({ index: sent }, piece);
        await client.session.writable();
      }
    })();
    await sleep(1_000);
    expect(sent).toBeLessThan(20);
    network.flow();
    await sending;
    await client.session.flushed();
    expect(head.received).toHaveLength(60);
  });
});

describe("the end of a session", () => {
  it("is known to both sides at once after a goodbye, with its reason", async () => {
    await open();
    const [client, head] = await meet();
    client.session.send({ index: 0 });
    client.session.close("the driver is done");
    expect(client.session.isOpen).toBe(false);
    expect(await head.closed).toBe("the driver is done");
    expect(await client.closed).toBe("the driver is done");
    expect(head.received).toHaveLength(1);
    const [second, hers] = await meet();
    hers.session.terminate("thrown out");
    expect(await second.closed).toBe("thrown out");
    expect(network.connections).toBe(2 * connectionsPerDial);
    for (const { log } of [client, head, second, hers]) expect(log).toEqual(["closed"]);
  });

  it("comes at once where the head knows that its peer is gone", async () => {
    await open();
    const [client, head] = await meet();
    network.target = undefined;
    network.cut();
    await until(() => head.session.isAway, "the break");
    head.session.terminate("its process is gone");
    expect(await head.closed).toBe("its process is gone");
    network.target = server.port;
    expect(await client.closed).toMatch(/does not know the session/);
  });

  it("comes at once where another head answers", async () => {
    await open();
    const [client] = await meet();
    const other = await listen({
      host: "127.0.0.1",
      port: 0,
      token,
      onSession: (session) => session.start({ onMessage: () => {}, onClose: () => {} }),
      onRefused: (_, reason) => refusals.push(reason),
    });
    network.target = other.port;
    network.cut();
    expect(await client.closed).toMatch(/does not know the session/);
    expect(refusals).toEqual([expect.stringMatching(/does not know the session/)]);
    await other.close();
  });

  it("comes for sessions that are away when the door is closed", async () => {
    await open();
    const [, head] = await meet();
    network.target = undefined;
    network.cut();
    await until(() => head.session.isAway, "the break");
    await server.close();
    expect(await head.closed).toBe("the head stops");
  });
});

describe("a peer that breaks the rules of a session", () => {
  const hello = (session: string, lastReceived = 0) => ({ ...firstHello, session, lastReceived });

  /** An honest session beside it goes on. */
  async function beside(mischief: () => Promise<void>): Promise<void> {
    await open();
    const [client, head] = await meet();
    await mischief();
    client.session.send({ index: 0 }, payloadOf(0));
    await client.session.flushed();
    expectAll(head.received, 1);
    expect([...client.log, ...head.log]).toEqual([]);
  }

  it("by carrying on what nobody knows is refused", async () => {
    await beside(async () => {
      for (const [role, session] of [
        ["client", newNonce()],
        ["agent", accepted[0].session.id as string],
      ] as const) {
        const headers = provenHeaders(token, await challengeAt(server.port), role, hello(session));
        const { status, reason } = await refusalOf(server.port, headers);
        expect(status).toBe(410);
        expect(reason).toMatch(/^this head does not know the session/);
        expect(refusals.pop()).toBe(reason);
      }
      const headers = provenHeaders("t".repeat(20), await challengeAt(server.port), "client");
      expect((await refusalOf(server.port, headers)).status).toBe(401);
    });
  });

  const breaches: [string, (peer: RawPeer) => void, string][] = [
    [
      "a gap",
      (peer) => {
        peer.say(1, 0, { index: 0 });
        peer.say(3, 0, { index: 1 });
      },
      "protocol error: frame 3 came where 2 was next",
    ],
    [
      "a forged acknowledgement",
      (peer) => peer.say(1, 77, { index: 0 }),
      "protocol error: frame 77 was acknowledged, and the last that was sent is 0",
    ],
    [
      "bytes that are no frame",
      (peer) => peer.socket.send(Buffer.from("no")),
      "protocol error: a frame is shorter than its fixed fields",
    ],
    [
      "text",
      (peer) => peer.socket.send("hello"),
      "protocol error: a text message came where only frames are understood",
    ],
  ];
  for (const [what, breach, reason] of breaches) {
    it(`by ${what} is thrown out with a reason`, async () => {
      await beside(async () => {
        const peer = await RawPeer.open(server.port, token);
        const mine = await until(() => accepted.at(1), "its session");
        breach(peer);
        expect(await peer.ended).toBe(reason);
        expect(await mine.closed).toBe(reason);
        await until(() => refusals.includes(reason), "a line in the log");
        const headers = provenHeaders(
          token,
          await challengeAt(server.port),
          "client",
          hello(peer.session),
        );
        expect((await refusalOf(server.port, headers)).status).toBe(410);
      });
    });
  }

  it("by too much in one message is thrown out with a reason", async () => {
    await beside(async () => {
      const peer = await RawPeer.open(server.port, token);
      const mine = await until(() => accepted.at(1), "its session");
      peer.socket.send(Buffer.alloc(25 << 20));
      expect(await mine.closed).toMatch(/^protocol error: Max payload size exceeded/);
      expect(await peer.ended).toMatch(/protocol error|1009|1006/);
      expect(refusals.at(-1)).toMatch(/Max payload size/);
    });
  });

  it("by a hello that acknowledges what was never sent is thrown out", async () => {
    await beside(async () => {
      const forged = await RawPeer.open(server.port, token, { ...firstHello, lastReceived: 5 });
      expect(await forged.ended).toMatch(/frame 5 was acknowledged/);
      const peer = await RawPeer.open(server.port, token);
      const second = await RawPeer.open(server.port, token, hello(peer.session, 1));
      expect(await second.ended).toMatch(/frame 1 was acknowledged/);
      expect(accepted).toHaveLength(2);
    });
  });

  it("by sending frames again is not heard twice", async () => {
    await beside(async () => {
      const peer = await RawPeer.open(server.port, token);
      const mine = await until(() => accepted.at(1), "its session");
      for (const sequence of [1, 2, 1, 2, 2, 1, 3]) peer.say(sequence, 0, { index: sequence });
      await until(() => mine.received.some(({ index }) => index === 3), "the last");
      expect(mine.received.map(({ index }) => index)).toEqual([1, 2, 3]);
      await until(() => peer.frames.at(-1)?.acknowledged === 3, "an acknowledgement");
      peer.socket.close(1000, "enough");
      expect(await mine.closed).toBe("enough");
    });
  });

  it("by claiming a session with two connections keeps the newer", async () => {
    await beside(async () => {
      const older = await RawPeer.open(server.port, token);
      const mine = await until(() => accepted.at(1), "its session");
      older.say(1, 0, { index: 1 });
      mine.session.send({ index: 0 });
      await until(() => older.frames.some((frame) => frame.sequence === 1), "a frame");
      const newer = await RawPeer.open(server.port, token, hello(older.session));
      expect(await older.ended).toBe("1006");
      await until(() => newer.frames.some((frame) => frame.sequence === 1), "the frame again");
      newer.say(2, 1, { index: 2 });
      await until(() => mine.received.length === 2, "the second message");
      expect(mine.log).toEqual([]);
      expect(protocolVersions).toEqual({ min: 3, max: 3 });
      newer.socket.close(1000, "done");
      await mine.closed;
    });
  });
});
