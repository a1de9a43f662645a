/** For tests: a peer that has the token and says on the wire what it likes. */
import { once } from "node:events";
import type { Hello } from "@fascicle/core";
import WebSocket from "ws";
import { decodeFrame, encodeHeader, type Frame, writeNumbers } from "../frame.ts";
import { helloHeaders, helloText } from "../hello.ts";
import { type DoorRole, newNonce, protocolVersions, prove } from "../proof.ts";

export const firstHello: Hello = {
  versions: protocolVersions,
  session: undefined,
  lastReceived: 0,
};

/** A nonce of the head on this port. */
export async function challengeAt(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/challenge`);
  return ((await response.json()) as { nonce: string }).nonce;
}

/** The headers of an upgrade that proves the token. */
export function provenHeaders(
  token: string,
  serverNonce: string,
  role: DoorRole = "client",
  hello: Hello = firstHello,
): Record<string, string> {
  const clientNonce = newNonce();
  const challenge = { role, serverNonce, clientNonce };
  return {
    ...helloHeaders(hello),
    "X-Fascicle-Role": role,
    "X-Fascicle-Nonce": serverNonce,
    "X-Fascicle-Client-Nonce": clientNonce,
    "X-Fascicle-Proof": prove(token, "client", challenge, helloText(hello)),
  };
}

/** How an upgrade with these headers is refused. */
export async function refusalOf(
  port: number,
  headers: Record<string, string>,
): Promise<{ status: number; reason: string }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/connect`, { headers });
  socket.on("error", () => {});
  const [, response] = await once(socket, "unexpected-response");
  let reason = "";
  for await (const data of response) reason += data;
  socket.terminate();
  return { status: response.statusCode, reason };
}

export class RawPeer {
  readonly socket: WebSocket;
  readonly session: string;
  readonly frames: Frame[] = [];
  /** The reason in the goodbye, or the code of another end. */
  readonly ended: Promise<string>;

  private constructor(socket: WebSocket, session: string) {
    this.socket = socket;
    this.session = session;
    socket.on("message", (data) => this.frames.push(decodeFrame([data as Buffer])));
    this.ended = new Promise((resolve) =>
      socket.on("close", (code, reason) => resolve(reason.toString() || String(code))),
    );
  }

  /** Opens a session, or carries on with the one in the hello. */
  static async open(port: number, token: string, hello = firstHello): Promise<RawPeer> {
    const headers = provenHeaders(token, await challengeAt(port), "client", hello);
    const socket = new WebSocket(`ws://127.0.0.1:${port}/connect`, { headers });
    let session = "";
    socket.on("upgrade", (response) => {
      session = String(response.headers["x-fascicle-session"]);
    });
    socket.on("error", () => {});
    // What comes with the answer must not be missed.
    const peer = new Promise<RawPeer>((resolve) =>
      socket.on("open", () => resolve(new RawPeer(socket, session))),
    );
    return peer;
  }

  say(sequence: number, acknowledged: number, message: unknown): void {
    const frame = encodeHeader(message);
    writeNumbers(frame, sequence, acknowledged);
    this.socket.send(frame);
  }
}
