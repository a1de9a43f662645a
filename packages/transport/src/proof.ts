/**
 * Proof of the token by challenge, both ways (HMAC-SHA-256 over fresh nonces of both sides): the token itself
 * is never sent, a recorded proof opens nothing, and a client does not talk to an impostor.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

export const protocolVersion = 1;

/** What a peer may do: work for the head, or submit fits and ask. */
export type Role = "agent" | "client";

export interface Challenge {
  readonly role: Role;
  readonly serverNonce: string;
  readonly clientNonce: string;
}

export const newNonce = () => randomBytes(24).toString("base64url");

/** The proof that `prover` knows the token. */
export function prove(token: string, prover: "client" | "server", challenge: Challenge): string {
  const { role, serverNonce, clientNonce } = challenge;
  const text = `fascicle-${protocolVersion}|${prover}|${role}|${serverNonce}|${clientNonce}`;
  return createHmac("sha256", token).update(text).digest("base64url");
}

/** Compares in constant time. */
export function proves(
  given: unknown,
  token: string,
  prover: "client" | "server",
  challenge: Challenge,
): boolean {
  const expected = Buffer.from(prove(token, prover, challenge));
  const actual = Buffer.from(typeof given === "string" ? given : "");
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
