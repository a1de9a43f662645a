/**
 * Proof of the token by challenge, both ways (HMAC-SHA-256 over fresh nonces of both sides): the token itself
 * is never sent, a recorded proof opens nothing, and a client does not talk to an impostor.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { VersionRange } from "@fascicle/core";

/** The versions of the wire that this code speaks. */
export const protocolVersions: VersionRange = { min: 3, max: 3 };

/** What a peer may do: work for the head, or submit fits and ask. */
export type Role = "agent" | "client";

/** Beside these, one worker may ask another for data: a proof for one door opens no other. */
export type DoorRole = Role | "data";

export interface Challenge {
  readonly role: DoorRole;
  readonly serverNonce: string;
  readonly clientNonce: string;
}

export const newNonce = () => randomBytes(24).toString("base64url");

/** The wall clock may be set back within a handshake: only the process that seals a nonce reads its time. */
const monotonicMs = () => Math.floor(performance.now());

/**
 * The server's nonces. They carry their own time and seal, so that asking for many costs the server nothing; only
 * those that opened the door are remembered, until they are too old to open it again.
 */
export class Nonces {
  readonly #key = randomBytes(32);
  readonly #lifetimeMs: number;
  readonly #used = new Map<string, number>();

  constructor(lifetimeMs: number) {
    this.#lifetimeMs = lifetimeMs;
  }

  issue(nowMs = monotonicMs()): string {
    const body = `${nowMs.toString(36)}.${newNonce()}`;
    return `${body}.${this.#seal(body)}`;
  }

  /** Whether the nonce is ours, fresh and unused. */
  isOpen(nonce: string, nowMs = monotonicMs()): boolean {
    const end = nonce.lastIndexOf(".");
    const body = nonce.slice(0, Math.max(0, end));
    const issuedMs = Number.parseInt(body.split(".")[0], 36);
    const isFresh = nowMs - issuedMs >= 0 && nowMs - issuedMs <= this.#lifetimeMs;
    return isFresh && areEqual(nonce.slice(end + 1), this.#seal(body)) && !this.#used.has(nonce);
  }

  /** Closes a nonce that opened the door. */
  use(nonce: string, nowMs = monotonicMs()): void {
    for (const [old, untilMs] of this.#used) {
      if (untilMs > nowMs) break;
      this.#used.delete(old);
    }
    this.#used.set(nonce, nowMs + this.#lifetimeMs);
  }

  #seal(body: string): string {
    return createHmac("sha256", this.#key).update(body).digest("base64url");
  }
}

/** The proof that `prover` knows the token and says this hello (as it travels). */
export function prove(
  token: string,
  prover: "client" | "server",
  challenge: Challenge,
  hello: string,
): string {
  const { role, serverNonce, clientNonce } = challenge;
  const text = `fascicle|${prover}|${role}|${serverNonce}|${clientNonce}|${hello}`;
  return createHmac("sha256", token).update(text).digest("base64url");
}

/** Whether `given` is that proof. */
export function proves(
  given: unknown,
  token: string,
  prover: "client" | "server",
  challenge: Challenge,
  hello: string,
): boolean {
  return areEqual(typeof given === "string" ? given : "", prove(token, prover, challenge, hello));
}

/** Compares in constant time. */
function areEqual(given: string, expected: string): boolean {
  const [actual, wanted] = [Buffer.from(given), Buffer.from(expected)];
  return actual.length === wanted.length && timingSafeEqual(actual, wanted);
}
