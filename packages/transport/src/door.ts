/** A port that opens to who proves the token: HTTP for the challenge, WebSocket behind the proof. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { commonVersion, formatVersions, type Hello, parseVersions } from "@fascicle/core";
import { WebSocketServer } from "ws";
import { Connection } from "./connection.ts";
import { headerOf, helloHeaders, helloText, readHello } from "./hello.ts";
import { challengeLifetimeMs, handshakeTimeoutMs } from "./limits.ts";
import { type Challenge, type DoorRole, Nonces, protocolVersions, prove, proves } from "./proof.ts";

export interface Refusal {
  readonly status: number;
  readonly refusal: string;
}

/** What is answered to a peer that knows the token. */
export interface Admission {
  /** Ours. */
  readonly hello: Hello;
  connected(connection: Connection, remoteAddress: string): void;
}

export interface DoorOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly token: string;
  /** Of the WebSocket. */
  readonly path: string;
  /** Who is behind it, in the words of refusals. */
  readonly who: "head" | "worker";
  readonly roles: readonly DoorRole[];
  readonly connectionsLimit: number;
  /** A larger message from a peer closes its connection. */
  readonly messageBytesLimit: number;
  /** Decides on a peer that has proved the token, and whose hello is this. */
  admit(role: DoorRole, hello: Hello): Admission | Refusal;
  /** A peer was turned away; for the log. */
  onRefused(remoteAddress: string, reason: string): void;
}

export interface Door {
  readonly port: number;
  /** Takes nobody any more; resolves when all connections are closed, which are others' to close. */
  close(): Promise<void>;
}

/** Listens; rejects where the address cannot be had (`code` as node gives it, e.g. EADDRINUSE). */
export async function openDoor(options: DoorOptions): Promise<Door> {
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
    maxPayload: options.messageBytesLimit,
  });
  /** The headers of the answers to upgrades that were granted. */
  const answers = new WeakMap<IncomingMessage, Readonly<Record<string, string>>>();
  sockets.on("headers", (headers, request) => {
    for (const [name, value] of Object.entries(answers.get(request) ?? {})) {
      headers.push(`${name}: ${value}`);
    }
  });
  http.maxConnections = options.connectionsLimit;
  http.on("request", (request, response) => answer(request, response, nonces));
  http.on("clientError", (error, socket) => clientFailed(error, socket, options));
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, rest: Buffer) => {
    const remote = request.socket.remoteAddress ?? "unknown address";
    const verdict = judge(request, nonces, options);
    if ("refusal" in verdict) {
      options.onRefused(remote, verdict.refusal);
      refuse(socket, verdict.status, verdict.refusal);
      return;
    }
    answers.set(request, verdict.headers);
    sockets.handleUpgrade(request, socket, rest, (websocket) => {
      verdict.connected(new Connection(websocket, socket as Socket), remote);
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
    reply(200, { protocol: formatVersions(protocolVersions), nonce: nonces.issue() });
  } else {
    reply(404, { error: "not found" });
  }
}

type Verdict = Refusal | (Admission & { readonly headers: Readonly<Record<string, string>> });

function judge(request: IncomingMessage, nonces: Nonces, options: DoorOptions): Verdict {
  const { headers, url } = request;
  const { token, who } = options;
  if (headers.origin !== undefined) return { status: 403, refusal: "no browsers" };
  if (url !== options.path) return { status: 404, refusal: "not found" };
  const refusal = whyNotVersion(headerOf(headers, "protocol"), who);
  if (refusal !== undefined) return { status: 426, refusal };
  const role = options.roles.find((known) => known === headerOf(headers, "role"));
  if (role === undefined) return { status: 400, refusal: "unknown role" };
  const hello = readHello(headers);
  if (hello === undefined) return { status: 400, refusal: "what it says first is no hello" };
  const challenge: Challenge = {
    role,
    serverNonce: headerOf(headers, "nonce"),
    clientNonce: headerOf(headers, "client-nonce"),
  };
  if (!nonces.isOpen(challenge.serverNonce) || challenge.clientNonce.length < 16) {
    return { status: 401, refusal: "the challenge is not an open one" };
  }
  if (!proves(headerOf(headers, "proof"), token, "client", challenge, helloText(hello))) {
    return { status: 401, refusal: `the token is not this ${who}'s` };
  }
  nonces.use(challenge.serverNonce);
  const admission = options.admit(role, hello);
  if ("refusal" in admission) return admission;
  const proof = prove(token, "server", challenge, helloText(admission.hello));
  const connected = admission.connected.bind(admission);
  return {
    hello: admission.hello,
    connected,
    headers: { ...helloHeaders(admission.hello), "X-Fascicle-Proof": proof },
  };
}

/** Undefined where there is a version that both speak; other versions may say other hellos. */
function whyNotVersion(said: string, who: string): string | undefined {
  const versions = parseVersions(said);
  if (versions !== undefined && commonVersion(protocolVersions, versions) !== undefined) return;
  return `this ${who} speaks protocol ${formatVersions(protocolVersions)}, the peer ${JSON.stringify(said)}: install the same version of Fascicle on both`;
}

/** What came is no HTTP, or nothing came; who merely went away is not worth a line. */
function clientFailed(
  error: NodeJS.ErrnoException,
  socket: Duplex & { remoteAddress?: string },
  { onRefused }: DoorOptions,
): void {
  const remote = socket.remoteAddress ?? "unknown address";
  const isSilent = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const isGarbage = error.code?.startsWith("HPE_") ?? false;
  if (!isSilent && !isGarbage) {
    socket.destroy();
    return;
  }
  const refusal = isSilent
    ? `it has not said what it wants within ${handshakeTimeoutMs / 1000} s`
    : "what it says is not HTTP";
  onRefused(remote, refusal);
  refuse(socket, isSilent ? 408 : 400, refusal);
}

function refuse(socket: Duplex, status: number, reason: string): void {
  socket.on("error", () => {});
  const head = `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain`;
  // The peer may hold its half open for ever: ours is closed as soon as the answer is out.
  socket.end(`${head}\r\nContent-Length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`, () =>
    socket.destroy(),
  );
}
