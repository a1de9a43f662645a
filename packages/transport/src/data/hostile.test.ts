import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { shakeHands } from "../handshake.ts";
import { newToken } from "../joinString.ts";
import { dataPullsLimit, refusalLengthLimit } from "../limits.ts";
import { newNonce } from "../proof.ts";
import { firstHello } from "../testing/rawPeer.ts";
import { DataClient } from "./client.ts";
import { readDataAnswer } from "./messages.ts";
import { DataServer } from "./server.ts";
import { DataWire } from "./wire.ts";

const token = newToken();
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Answers challenges, and upgrades with what `refuse` says. */
async function impostor(refuse: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((_, response) => {
    response.end(JSON.stringify({ nonce: newNonce() }));
  });
  server.on("upgrade", (_, socket) => {
    socket.on("error", () => {});
    refuse(socket as Socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

describe("who dials a data port", () => {
  it("does not hear out a refusal that has no end", async () => {
    const piece = "a".repeat(1 << 20);
    const chunk = `${piece.length.toString(16)}\r\n${piece}\r\n`;
    let closed: Promise<unknown> | undefined;
    const port = await impostor((socket) => {
      closed = new Promise((resolve) => socket.once("close", resolve));
      const more = () => {
        while (!socket.destroyed && socket.write(chunk));
      };
      socket.on("drain", more);
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      more();
    });
    const client = new DataClient({ token });
    closers.push(() => client.close());
    const pull = client.pull(
      { host: "127.0.0.1", port },
      { job: "j", block: 0, bytes: 1 },
      () => {},
    );
    const letters = new RegExp(`refused: a{${refusalLengthLimit}}\\.$`);
    await expect(pull).rejects.toThrow(letters);
    await closed;
  });
});

describe("a data port", () => {
  it("opens only so many blocks at once for who asks and cancels without end", async () => {
    const letGo: (() => void)[] = [];
    const server = await DataServer.start({
      ...{ host: "127.0.0.1", port: 0, token, onRefused: () => {} },
      open: () => new Promise((resolve) => letGo.push(() => resolve(undefined))),
    });
    closers.push(() => server.close());
    const door = { host: "127.0.0.1", port: server.port, token };
    const { connection } = await shakeHands(door, "data", firstHello, AbortSignal.timeout(20_000));
    closers.push(() => connection.terminate("test ends"));
    const wire = new DataWire(connection);
    const answers: string[] = [];
    const asked = 1_000;
    await new Promise<void>((resolve, reject) => {
      connection.start({
        onFragments: (fragments) => {
          answers.push(readDataAnswer(wire.read(fragments).message).type);
          if (answers.length === asked - dataPullsLimit) resolve();
        },
        onEnd: ({ reason }) => reject(new Error(reason)),
      });
      for (let pull = 1; pull <= asked; pull++) {
        wire.send({ type: "pull", pull, job: "j", block: 0, offset: 0, bytes: 1 });
        wire.send({ type: "cancel", pull });
      }
    });
    expect(new Set(answers)).toEqual(new Set(["failed"]));
    expect(letGo.length).toBe(dataPullsLimit);
    for (const resolve of letGo) resolve();
  });
});
