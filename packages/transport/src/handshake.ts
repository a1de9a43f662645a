/** The client's side of the door: a challenge, proofs both ways, hellos both ways, and a connection stands. */
import { request as httpRequest } from "node:http";
import type { Duplex } from "node:stream";
import type { Hello } from "@fascicle/core";
import WebSocket from "ws";
import { Connection } from "./connection.ts";
import { headerOf, helloHeaders, helloText, readHello } from "./hello.ts";
import type { JoinString } from "./joinString.ts";
import { handshakeTimeoutMs, messageBytesLimit } from "./limits.ts";
import { type Challenge, newNonce, prove, proves, type Role } from "./proof.ts";

/** No head was reached, or it refused us. */
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
  /** The head's. */
  readonly hello: Hello;
}

/** Connects, proves the token, and checks that the head knows it as well before a word is said. */
export async function shakeHands(
  join: JoinString,
  role: Role,
  hello: Hello,
  signal: AbortSignal,
): Promise<Handshake> {
  const address = `${join.host.includes(":") ? `[${join.host}]` : join.host}:${join.port}`;
  const challenge: Challenge = {
    role,
    serverNonce: await fetchNonce(join, address, signal),
    clientNonce: newNonce(),
  };
  if (signal.aborted) throw abandoned(address);
  const socket = new WebSocket(`ws://${address}/connect`, {
    perMessageDeflate: false,
    maxPayload: messageBytesLimit,
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
    return await upgraded(socket, address, join.token, challenge);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Waits for the head's answer to the upgrade. */
function upgraded(
  socket: WebSocket,
  address: string,
  token: string,
  challenge: Challenge,
): Promise<Handshake> {
  return new Promise((resolve, reject) => {
    let hello: Hello | undefined;
    let stream: Duplex | undefined;
    socket.on("upgrade", ({ headers, socket: upgradedStream }) => {
      stream = upgradedStream;
      const said = readHello(headers);
      const proof = headerOf(headers, "proof");
      if (said === undefined) return;
      if (proves(proof, token, "server", challenge, helloText(said))) hello = said;
    });
    socket.on("unexpected-response", (_request, response) => {
      let reason = "";
      response.on("data", (data: Buffer) => {
        reason += data.toString();
      });
      response.on("end", () => {
        reject(new ConnectError(`The head at ${address} refused: ${reason.slice(0, 300)}.`, false));
        socket.terminate();
      });
    });
    socket.on("error", (error) => reject(unreachable(address, error)));
    socket.on("open", () => {
      if (hello !== undefined && stream !== undefined) {
        resolve({ connection: new Connection(socket, stream), hello });
        return;
      }
      socket.terminate();
      reject(
        new ConnectError(
          `What answers at ${address} does not know the token: it is not that head.`,
          false,
        ),
      );
    });
  });
}

function fetchNonce(join: JoinString, address: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: join.host,
        port: join.port,
        path: "/challenge",
        timeout: handshakeTimeoutMs,
        agent: false,
        signal,
      },
      (response) => {
        let body = "";
        response.on("data", (data: Buffer) => {
          body += data.toString();
          if (body.length > 10_000) request.destroy(new Error("its answer is not a head's"));
        });
        response.on("end", () => {
          const nonce = nonceOf(body);
          if (nonce !== undefined) resolve(nonce);
          else
            reject(new ConnectError(`What answers at ${address} is not a Fascicle head.`, false));
        });
        response.on("error", (error) => reject(unreachable(address, error)));
      },
    );
    request.on("timeout", () =>
      request.destroy(new Error(`no answer in ${handshakeTimeoutMs / 1000} s`)),
    );
    request.on("error", (error) => reject(unreachable(address, error)));
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

function unreachable(address: string, error: Error & { code?: string }): ConnectError {
  const reasons: Record<string, string> = {
    ECONNREFUSED: "nothing listens there",
    ENOTFOUND: "that name is not known",
    EAI_AGAIN: "that name cannot be looked up",
    EHOSTUNREACH: "that host cannot be reached",
    ENETUNREACH: "that network cannot be reached",
    ETIMEDOUT: "it does not answer",
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  return new ConnectError(
    `No head could be reached at ${address}: ${reason}. Is it running, and is the join string its own?`,
    true,
  );
}
