import { request as httpRequest } from "node:http";
import WebSocket from "ws";
import { Connection } from "./connection.ts";
import type { JoinString } from "./joinString.ts";
import { handshakeTimeoutMs, messageBytesLimit } from "./limits.ts";
import { type Challenge, newNonce, protocolVersion, prove, proves, type Role } from "./proof.ts";

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

/** Connects to a head and proves the token; checks that the head knows it as well before a word is said. */
export async function dial(join: JoinString, role: Role): Promise<Connection> {
  const address = `${join.host.includes(":") ? `[${join.host}]` : join.host}:${join.port}`;
  const challenge: Challenge = {
    role,
    serverNonce: await fetchNonce(join, address),
    clientNonce: newNonce(),
  };
  const socket = new WebSocket(`ws://${address}/connect`, {
    perMessageDeflate: false,
    maxPayload: messageBytesLimit,
    handshakeTimeout: handshakeTimeoutMs,
    headers: {
      "X-Fascicle-Protocol": String(protocolVersion),
      "X-Fascicle-Role": role,
      "X-Fascicle-Nonce": challenge.serverNonce,
      "X-Fascicle-Client-Nonce": challenge.clientNonce,
      "X-Fascicle-Proof": prove(join.token, "client", challenge),
    },
  });
  return new Promise((resolve, reject) => {
    let isGenuine = false;
    socket.on("upgrade", (response) => {
      isGenuine = proves(response.headers["x-fascicle-proof"], join.token, "server", challenge);
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
      if (isGenuine) {
        resolve(new Connection(socket));
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

function fetchNonce(join: JoinString, address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: join.host,
        port: join.port,
        path: "/challenge",
        timeout: handshakeTimeoutMs,
        agent: false,
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
