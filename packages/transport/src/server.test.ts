import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { dial } from "./client.ts";
import { ConnectError } from "./handshake.ts";
import { newToken } from "./joinString.ts";
import { newNonce } from "./proof.ts";
import { listen, type Server } from "./server.ts";
import type { Session } from "./session.ts";
import { challengeAt, provenHeaders, refusalOf } from "./testing/rawPeer.ts";

const token = newToken();
let server: Server;
let accepted: Session[] = [];
let refusals: string[] = [];

async function open(): Promise<void> {
  accepted = [];
  refusals = [];
  server = await listen({
    host: "127.0.0.1",
    port: 0,
    token,
    onSession: (connection) => {
      accepted.push(connection);
      connection.start({
        onMessage: (message, payload) => connection.send(message, payload),
        onClose: () => {},
      });
    },
    onRefused: (_, reason) => refusals.push(reason),
  });
}

afterEach(async () => {
  for (const connection of accepted) connection.terminate("test ends");
  await server.close();
});

const here = () => ({ host: "127.0.0.1", port: server.port, token });

const challenge = () => challengeAt(server.port);

/** The HTTP status with which an upgrade with these headers is answered. */
const upgradeStatus = async (headers: Record<string, string>) =>
  (await refusalOf(server.port, headers)).status;

describe("the head's door", () => {
  it("opens to who knows the token, and carries messages and shared memory both ways", async () => {
    await open();
    const connection = await dial(here(), "client");
    const shared = new Uint8Array(new SharedArrayBuffer(3_000_000)).fill(7);
    const answer = new Promise<[unknown, Uint8Array]>((resolve, reject) =>
      connection.start({
        onMessage: (message, payload) => resolve([message, payload]),
        onClose: reject,
      }),
    );
    connection.send({ hello: "head" }, shared);
    const [message, payload] = await answer;
    expect(message).toEqual({ hello: "head" });
    expect(Buffer.compare(Buffer.from(payload), Buffer.from(shared))).toBe(0);
    connection.terminate("done");
  });

  it("stays shut to a wrong token, and says why on both sides", async () => {
    await open();
    const refused = dial({ ...here(), token: newToken() }, "agent");
    await expect(refused).rejects.toThrow(/refused: the token is not this head's/);
    await expect(refused).rejects.toMatchObject({ code: "CONNECT", isTransient: false });
    expect(refusals).toEqual(["the token is not this head's"]);
  });

  it("never sees the token on the wire", async () => {
    await open();
    const seen: Buffer[] = [];
    const { createServer } = await import("node:net");
    const proxy = createServer((near) => {
      const far = connectTcp(server.port, "127.0.0.1");
      for (const socket of [near, far]) {
        socket.on("data", (data: Buffer) => seen.push(data));
        socket.on("error", () => {});
      }
      near.pipe(far).pipe(near);
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const { port } = proxy.address() as { port: number };
    const connection = await dial({ host: "127.0.0.1", port, token }, "agent");
    connection.start({ onMessage: () => {}, onClose: () => {} });
    expect(Buffer.concat(seen).includes(Buffer.from("X-Fascicle-Proof"))).toBe(true);
    expect(Buffer.concat(seen).includes(Buffer.from(token))).toBe(false);
    connection.terminate("done");
    proxy.close();
  });

  it("takes a challenge once only", async () => {
    await open();
    const headers = provenHeaders(token, await challenge());
    const first = new WebSocket(`ws://127.0.0.1:${server.port}/connect`, { headers });
    await once(first, "open");
    expect(await upgradeStatus(headers)).toBe(401);
    // A proof for one role is none for another, and one for a hello is none for another.
    const other = { ...provenHeaders(token, await challenge()), "X-Fascicle-Role": "agent" };
    expect(await upgradeStatus(other)).toBe(401);
    const third = { ...provenHeaders(token, await challenge()), "X-Fascicle-Received": "1" };
    expect(await upgradeStatus(third)).toBe(401);
    first.terminate();
  });

  it("refuses browsers, other protocol versions and other paths", async () => {
    await open();
    const version = { "X-Fascicle-Protocol": "3" };
    expect(await upgradeStatus({ ...version, Origin: "http://evil.example" })).toBe(403);
    for (const other of ["2", "99-101", "two", ""]) {
      const { status, reason } = await refusalOf(server.port, { "X-Fascicle-Protocol": other });
      expect(status).toBe(426);
      expect(reason).toBe(
        `this head speaks protocol 3, the peer "${other}": install the same version of Fascicle on both`,
      );
    }
    expect(await upgradeStatus({ "X-Fascicle-Protocol": "1-3" })).toBe(400);
    expect(await upgradeStatus(version)).toBe(400);
    const page = await fetch(`http://127.0.0.1:${server.port}/challenge`, {
      headers: { origin: "http://evil.example" },
    });
    expect(page.status).toBe(403);
  });

  it("survives garbage and silence, and goes on serving", async () => {
    await open();
    const garbage = connectTcp(server.port, "127.0.0.1");
    garbage.on("error", () => {});
    garbage.resume();
    garbage.write("\u0000\u0001 this is not HTTP\r\n\r\n");
    await once(garbage, "close");
    const silent = connectTcp(server.port, "127.0.0.1");
    const connection = await dial(here(), "client");
    // A frame that is none closes that connection alone.
    const closed = new Promise((resolve) =>
      connection.start({ onMessage: () => {}, onClose: resolve }),
    );
    (connection as unknown as { send(message: unknown): void }).send(undefined);
    accepted[0].close("enough");
    expect(await closed).toBe("enough");
    const again = await dial(here(), "client");
    expect(again.isOpen).toBe(true);
    again.terminate("done");
    silent.resume();
    await once(silent, "close");
    expect(refusals).toEqual([
      "what it says is not HTTP",
      "it has not said what it wants within 5 s",
    ]);
  });

  it("stays open to the honest whoever asks in vain", async () => {
    await open();
    for (let i = 0; i < 1_500; i++) await challenge();
    // A proof without the rest of an upgrade must not spoil the next peer's.
    const headers = provenHeaders(token, await challenge());
    const halves = Array.from({ length: 20 }, () =>
      connectTcp({ port: server.port, host: "127.0.0.1", allowHalfOpen: true }),
    );
    const closed = halves.map((socket) => once(socket, "close"));
    for (const [i, socket] of halves.entries()) {
      socket.on("error", () => {});
      socket.resume();
      const lines = Object.entries({
        ...headers,
        "X-Fascicle-Proof": i === 0 ? headers["X-Fascicle-Proof"] : "none",
      }).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(
        `GET /connect HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines.join("")}\r\n`,
      );
    }
    const connection = await dial(here(), "agent");
    expect(connection.isOpen).toBe(true);
    connection.terminate("done");
    // The server lets go of those it refused although they keep their half open.
    for (const socket of halves) socket.end();
    await Promise.all(closed);
  });

  it("is not mistaken for another program or an impostor", async () => {
    await open();
    const { createServer } = await import("node:http");
    const impostor = createServer((_, response) =>
      response.end(JSON.stringify({ nonce: newNonce() })),
    );
    const { WebSocketServer } = await import("ws");
    const sockets = new WebSocketServer({ server: impostor });
    impostor.listen(0, "127.0.0.1");
    await once(impostor, "listening");
    const { port } = impostor.address() as { port: number };
    await expect(dial({ host: "127.0.0.1", port, token }, "client")).rejects.toThrow(
      /does not know the token/,
    );
    impostor.removeAllListeners("request");
    impostor.on("request", (_, response) => response.end("hello"));
    await expect(dial({ host: "127.0.0.1", port, token }, "client")).rejects.toThrow(
      /not a Fascicle head/,
    );
    for (const client of sockets.clients) client.terminate();
    impostor.closeAllConnections();
    impostor.close();
  });

  it("is missed with one clear sentence", async () => {
    await open();
    const port = server.port;
    await server.close();
    const missed = dial({ host: "127.0.0.1", port, token }, "client");
    await expect(missed).rejects.toBeInstanceOf(ConnectError);
    await expect(missed).rejects.toThrow(
      /No head could be reached at 127.0.0.1:\d+: nothing listens/,
    );
  });
});
