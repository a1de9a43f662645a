/** The head's door: one port, HTTP for the challenge and WebSocket for those who proved the token. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { Connection } from "./connection.ts";
import {
  challengeLifetimeMs,
  handshakeTimeoutMs,
  messageBytesLimit,
  openChallengesLimit,
} from "./limits.ts";
import { type Challenge, newNonce, protocolVersion, prove, proves, type Role } from "./proof.ts";

export interface ServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly token: string;
  onConnection(connection: Connection, role: Role, remoteAddress: string): void;
  /** A peer was turned away; for the log. */
  onRefused(remoteAddress: string, reason: string): void;
}

export interface Server {
  readonly port: number;
  /** Closes the door; open connections are the caller's to close. */
  close(): Promise<void>;
}

/** Listens; rejects where the address cannot be had (`code` as node gives it, e.g. EADDRINUSE). */
export async function listen(options: ServerOptions): Promise<Server> {
  const challenges = new Challenges();
  const http = createServer({
    headersTimeout: handshakeTimeoutMs,
    requestTimeout: handshakeTimeoutMs,
    // Node looks for requests that take too long only this often.
    connectionsCheckingInterval: 1_000,
  });
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: messageBytesLimit,
  });
  http.on("request", (request, response) => answer(request, response, challenges));
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, rest: Buffer) => {
    const remote = request.socket.remoteAddress ?? "unknown address";
    const verdict = judge(request, options.token, challenges);
    if ("refusal" in verdict) {
      options.onRefused(remote, verdict.refusal);
      refuse(socket, verdict.status, verdict.refusal);
      return;
    }
    sockets.once("headers", (headers) => headers.push(`X-Fascicle-Proof: ${verdict.proof}`));
    sockets.handleUpgrade(request, socket, rest, (websocket) => {
      options.onConnection(new Connection(websocket), verdict.role, remote);
    });
  });
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(options.port, options.host, resolve);
  });
  return {
    port: (http.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
}

/** The nonces that were given out and not used. */
class Challenges {
  readonly #expiry = new Map<string, number>();

  issue(): string | undefined {
    const nowMs = Date.now();
    for (const [nonce, untilMs] of this.#expiry) {
      if (untilMs > nowMs) break;
      this.#expiry.delete(nonce);
    }
    if (this.#expiry.size >= openChallengesLimit) return undefined;
    const nonce = newNonce();
    this.#expiry.set(nonce, nowMs + challengeLifetimeMs);
    return nonce;
  }

  /** A nonce is good once. */
  redeem(nonce: string): boolean {
    const untilMs = this.#expiry.get(nonce);
    this.#expiry.delete(nonce);
    return untilMs !== undefined && untilMs > Date.now();
  }
}

function answer(request: IncomingMessage, response: ServerResponse, challenges: Challenges): void {
  const reply = (status: number, body: object) => {
    response.writeHead(status, { "content-type": "application/json", connection: "close" });
    response.end(JSON.stringify(body));
  };
  if (request.headers.origin !== undefined) {
    // A browser has no business here: a web page must not reach a head through its user's loopback.
    reply(403, { error: "no browsers" });
  } else if (request.method === "GET" && request.url === "/health") {
    reply(200, { ok: true });
  } else if (request.method === "GET" && request.url === "/challenge") {
    const nonce = challenges.issue();
    if (nonce === undefined) reply(503, { error: "too many open challenges" });
    else reply(200, { protocol: protocolVersion, nonce });
  } else {
    reply(404, { error: "not found" });
  }
}

type Verdict =
  | { readonly refusal: string; readonly status: number }
  | { readonly role: Role; readonly proof: string };

function judge(request: IncomingMessage, token: string, challenges: Challenges): Verdict {
  const header = (name: string) => {
    const value = request.headers[`x-fascicle-${name}`];
    return typeof value === "string" ? value : "";
  };
  if (request.headers.origin !== undefined) return { status: 403, refusal: "no browsers" };
  if (request.url !== "/connect") return { status: 404, refusal: "not found" };
  if (header("protocol") !== String(protocolVersion)) {
    return {
      status: 426,
      refusal: `this head speaks protocol ${protocolVersion}, the peer ${JSON.stringify(header("protocol"))}: install the same version on both`,
    };
  }
  const role = header("role");
  if (role !== "agent" && role !== "client") return { status: 400, refusal: "unknown role" };
  const challenge: Challenge = {
    role,
    serverNonce: header("nonce"),
    clientNonce: header("client-nonce"),
  };
  if (!challenges.redeem(challenge.serverNonce) || challenge.clientNonce.length < 16) {
    return { status: 401, refusal: "the challenge is not an open one" };
  }
  if (!proves(header("proof"), token, "client", challenge)) {
    return { status: 401, refusal: "the token is not this head's" };
  }
  return { role, proof: prove(token, "server", challenge) };
}

function refuse(socket: Duplex, status: number, reason: string): void {
  socket.on("error", () => {});
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`,
  );
}
