/** The head's door: one port, HTTP for the challenge and WebSocket for those who proved the token. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { commonVersion, formatVersions, type Hello, parseVersions } from "@fascicle/core";
import { WebSocketServer } from "ws";
import { Connection } from "./connection.ts";
import { headerOf, helloHeaders, helloText, readHello } from "./hello.ts";
import {
  challengeLifetimeMs,
  connectionsLimit,
  handshakeTimeoutMs,
  messageBytesLimit,
} from "./limits.ts";
import {
  type Challenge,
  Nonces,
  newNonce,
  protocolVersions,
  prove,
  proves,
  type Role,
} from "./proof.ts";
import { headStopsReason, type Session } from "./session.ts";
import { SessionTable } from "./sessionTable.ts";

export interface ServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly token: string;
  /** Called once for each session, however many connections it will need. */
  onSession(session: Session, role: Role, remoteAddress: string): void;
  /** A peer was turned away, or its session was ended because it broke the rules; for the log. */
  onRefused(remoteAddress: string, reason: string): void;
}

export interface Server {
  readonly port: number;
  /** Closes the door; open sessions are the caller's to close. */
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
  const table = new SessionTable({
    onSession: options.onSession,
    onThrownOut: options.onRefused,
  });
  /** The headers of the answers to upgrades that were granted. */
  const answers = new WeakMap<IncomingMessage, Readonly<Record<string, string>>>();
  sockets.on("headers", (headers, request) => {
    for (const [name, value] of Object.entries(answers.get(request) ?? {})) {
      headers.push(`${name}: ${value}`);
    }
  });
  http.maxConnections = connectionsLimit;
  http.on("request", (request, response) => answer(request, response, nonces));
  http.on("clientError", (error, socket) => clientFailed(error, socket, options));
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, rest: Buffer) => {
    const remote = request.socket.remoteAddress ?? "unknown address";
    const verdict = judge(request, options.token, nonces, table);
    if ("refusal" in verdict) {
      options.onRefused(remote, verdict.refusal);
      refuse(socket, verdict.status, verdict.refusal);
      return;
    }
    answers.set(request, verdict.headers);
    sockets.handleUpgrade(request, socket, rest, (websocket) => {
      const connection = new Connection(websocket, socket);
      const { session, id, role, hello } = verdict;
      if (session !== undefined) session.attach(connection, hello);
      else table.open(id, role, remote, connection, hello);
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
        table.endAway(headStopsReason);
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

type Verdict =
  | { readonly refusal: string; readonly status: number }
  | {
      readonly role: Role;
      readonly id: string;
      /** The one that is carried on; undefined for a new one. */
      readonly session: Session | undefined;
      /** The peer's. */
      readonly hello: Hello;
      /** Of our answer. */
      readonly headers: Readonly<Record<string, string>>;
    };

function judge(
  request: IncomingMessage,
  token: string,
  nonces: Nonces,
  table: SessionTable,
): Verdict {
  const { headers, url } = request;
  if (headers.origin !== undefined) return { status: 403, refusal: "no browsers" };
  if (url !== "/connect") return { status: 404, refusal: "not found" };
  const refusal = whyNotVersion(headerOf(headers, "protocol"));
  if (refusal !== undefined) return { status: 426, refusal };
  const role = headerOf(headers, "role");
  if (role !== "agent" && role !== "client") return { status: 400, refusal: "unknown role" };
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
    return { status: 401, refusal: "the token is not this head's" };
  }
  nonces.use(challenge.serverNonce);
  const session = hello.session === undefined ? undefined : table.find(hello.session, role);
  if (hello.session !== undefined && session === undefined) {
    return {
      status: 410,
      refusal:
        "this head does not know the session: it was restarted, or the peer was away too long",
    };
  }
  const id = session?.id ?? newNonce();
  const ours = { versions: protocolVersions, session: id, lastReceived: 0, ...session?.hello() };
  const proof = prove(token, "server", challenge, helloText(ours));
  return {
    role,
    id,
    session,
    hello,
    headers: { ...helloHeaders(ours), "X-Fascicle-Proof": proof },
  };
}

/** Undefined where there is a version that both speak; other versions may say other hellos. */
function whyNotVersion(said: string): string | undefined {
  const versions = parseVersions(said);
  if (versions !== undefined && commonVersion(protocolVersions, versions) !== undefined) return;
  return `this head speaks protocol ${formatVersions(protocolVersions)}, the peer ${JSON.stringify(said)}: install the same version of Fascicle on both`;
}

/** What came is no HTTP, or nothing came; who merely went away is not worth a line. */
function clientFailed(
  error: NodeJS.ErrnoException,
  socket: Duplex & { remoteAddress?: string },
  { onRefused }: ServerOptions,
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
