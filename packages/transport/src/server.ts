/** The head's door: one port, HTTP for the challenge and WebSocket for those who proved the token. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { Connection } from "./connection.ts";
import {
  challengeLifetimeMs,
  connectionsLimit,
  handshakeTimeoutMs,
  messageBytesLimit,
} from "./limits.ts";
import { type Challenge, Nonces, protocolVersion, prove, proves, type Role } from "./proof.ts";

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
  const nonces = new Nonces(challengeLifetimeMs);
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
  /** What the answer to an upgrade that was granted has to carry. */
  const proofs = new WeakMap<IncomingMessage, string>();
  sockets.on("headers", (headers, request) => {
    headers.push(`X-Fascicle-Proof: ${proofs.get(request)}`);
  });
  http.maxConnections = connectionsLimit;
  http.on("request", (request, response) => answer(request, response, nonces));
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, rest: Buffer) => {
    const remote = request.socket.remoteAddress ?? "unknown address";
    const verdict = judge(request, options.token, nonces);
    if ("refusal" in verdict) {
      options.onRefused(remote, verdict.refusal);
      refuse(socket, verdict.status, verdict.refusal);
      return;
    }
    proofs.set(request, verdict.proof);
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

function answer(request: IncomingMessage, response: ServerResponse, nonces: Nonces): void {
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
    reply(200, { protocol: protocolVersion, nonce: nonces.issue() });
  } else {
    reply(404, { error: "not found" });
  }
}

type Verdict =
  | { readonly refusal: string; readonly status: number }
  | { readonly role: Role; readonly proof: string };

function judge(request: IncomingMessage, token: string, nonces: Nonces): Verdict {
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
  if (!nonces.isOpen(challenge.serverNonce) || challenge.clientNonce.length < 16) {
    return { status: 401, refusal: "the challenge is not an open one" };
  }
  if (!proves(header("proof"), token, "client", challenge)) {
    return { status: 401, refusal: "the token is not this head's" };
  }
  nonces.use(challenge.serverNonce);
  return { role, proof: prove(token, "server", challenge) };
}

function refuse(socket: Duplex, status: number, reason: string): void {
  socket.on("error", () => {});
  const head = `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain`;
  // The peer may hold its half open for ever: ours is closed as soon as the answer is out.
  socket.end(`${head}\r\nContent-Length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`, () =>
    socket.destroy(),
  );
}
