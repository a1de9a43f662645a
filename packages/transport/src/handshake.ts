/** The client's side of the door: a challenge, proofs both ways, hellos both ways, and a connection stands. */
import { request as httpRequest } from "node:http";
import type { Socket } from "node:net";
import type { Hello } from "@fascicle/core";
import WebSocket from "ws";
import { Connection } from "./connection.ts";
import { headerOf, helloHeaders, helloText, readHello } from "./hello.ts";
import {
  dataPieceBytesLimit,
  handshakeTimeoutMs,
  messageBytesLimit,
  refusalLengthLimit,
} from "./limits.ts";
import { type Challenge, type DoorRole, newNonce, prove, proves } from "./proof.ts";

/** Nobody was reached, or we were refused. */
export class ConnectError extends Error {
  readonly code = "CONNECT";
  override readonly name = "ConnectError";
  /** Whether another try may succeed: nobody answered, as opposed to somebody who said no. */
  readonly isTransient: boolean;

  constructor(message: string, isTransient: boolean) {
    super(message);
    this.isTransient = isTransient;
  }
}

export interface Handshake {
  readonly connection: Connection;
  /** The other side's. */
  readonly hello: Hello;
}

/** Where a door is, and what opens it. */
export interface DoorAddress {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

/** What differs between doors. */
interface DoorKind {
  readonly who: "head" | "worker";
  readonly path: string;
  readonly messageBytesLimit: number;
  /** What to look at where nobody answers. */
  readonly advice: string;
}

const headsDoor: DoorKind = {
  who: "head",
  path: "/connect",
  messageBytesLimit,
  advice: " Is it running, and is the join string its own?",
};

const workersDoor: DoorKind = {
  who: "worker",
  path: "/data",
  messageBytesLimit: dataPieceBytesLimit,
  advice: "",
};

/** Connects, proves the token, and checks that the other side knows it as well before a word is said. */
export async function shakeHands(
  join: DoorAddress,
  role: DoorRole,
  hello: Hello,
  signal: AbortSignal,
): Promise<Handshake> {
  const kind = role === "data" ? workersDoor : headsDoor;
  const address = `${join.host.includes(":") ? `[${join.host}]` : join.host}:${join.port}`;
  const challenge: Challenge = {
    role,
    serverNonce: await fetchNonce(join, address, kind, signal),
    clientNonce: newNonce(),
  };
  if (signal.aborted) throw abandoned(address);
  const socket = new WebSocket(`ws://${address}${kind.path}`, {
    perMessageDeflate: false,
    maxPayload: kind.messageBytesLimit,
    handshakeTimeout: handshakeTimeoutMs,
    headers: {
      ...helloHeaders(hello),
      "X-Fascicle-Role": role,
      "X-Fascicle-Nonce": challenge.serverNonce,
      "X-Fascicle-Client-Nonce": challenge.clientNonce,
      "X-Fascicle-Proof": prove(join.token, "client", challenge, helloText(hello)),
    },
  });
  const onAbort = () => socket.terminate();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await upgraded(socket, address, kind, join.token, challenge);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Waits for the answer to the upgrade. */
function upgraded(
  socket: WebSocket,
  address: string,
  kind: DoorKind,
  token: string,
  challenge: Challenge,
): Promise<Handshake> {
  return new Promise((resolve, reject) => {
    let hello: Hello | undefined;
    let stream: Socket | undefined;
    socket.on("upgrade", ({ headers, socket: upgradedStream }) => {
      stream = upgradedStream;
      const said = readHello(headers);
      const proof = headerOf(headers, "proof");
      if (said === undefined) return;
      if (proves(proof, token, "server", challenge, helloText(said))) hello = said;
    });
    socket.on("unexpected-response", (_request, response) => {
      let reason = "";
      const refused = () => {
        const words = reason.slice(0, refusalLengthLimit);
        reject(new ConnectError(`The ${kind.who} at ${address} refused: ${words}.`, false));
        socket.terminate();
      };
      response.on("data", (data: Buffer) => {
        reason += data.toString();
        // Whoever answers has proved nothing yet, and may never come to an end.
        if (reason.length > refusalLengthLimit) refused();
      });
      response.on("end", refused);
    });
    socket.on("error", (error) => reject(unreachable(address, kind, error)));
    socket.on("open", () => {
      if (hello !== undefined && stream !== undefined) {
        resolve({ connection: new Connection(socket, stream), hello });
        return;
      }
      socket.terminate();
      reject(
        new ConnectError(
          `What answers at ${address} does not know the token: it is not that ${kind.who}.`,
          false,
        ),
      );
    });
  });
}

function fetchNonce(
  join: DoorAddress,
  address: string,
  kind: DoorKind,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: join.host,
        port: join.port,
        path: "/challenge",
        agent: false,
        signal,
      },
      (response) => {
        let body = "";
        response.on("data", (data: Buffer) => {
          body += data.toString();
          if (body.length > 10_000) request.destroy(new Error("its answer is none of ours"));
        });
        response.on("end", () => {
          const nonce = nonceOf(body);
          if (nonce !== undefined) resolve(nonce);
          else
            reject(
              new ConnectError(`What answers at ${address} is not a Fascicle ${kind.who}.`, false),
            );
        });
        response.on("error", (error) => reject(unreachable(address, kind, error)));
      },
    );
    // For all of it: a peer that answers a byte at a time is never silent.
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer in ${handshakeTimeoutMs / 1000} s`)),
      handshakeTimeoutMs,
    );
    request.on("close", () => clearTimeout(timer));
    request.on("error", (error) => reject(unreachable(address, kind, error)));
    request.end();
  });
}

function nonceOf(body: string): string | undefined {
  try {
    const nonce: unknown = JSON.parse(body)?.nonce;
    return typeof nonce === "string" ? nonce : undefined;
  } catch {
    return undefined;
  }
}

const abandoned = (address: string) =>
  new ConnectError(`The connection to ${address} is not wanted any more.`, false);

function unreachable(
  address: string,
  { who, advice }: DoorKind,
  error: Error & { code?: string },
): ConnectError {
  const reasons: Record<string, string> = {
    ECONNREFUSED: "nothing listens there",
    ENOTFOUND: "that name is not known",
    EAI_AGAIN: "that name cannot be looked up",
    EHOSTUNREACH: "that host cannot be reached",
    ENETUNREACH: "that network cannot be reached",
    ETIMEDOUT: "it does not answer",
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  return new ConnectError(`No ${who} could be reached at ${address}: ${reason}.${advice}`, true);
}
