/** The one line that a worker or a driver needs to find a head and to prove itself to it. */
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

export interface JoinString {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

/** A join string that cannot be read: the command line is wrong. */
export class JoinStringError extends Error {
  readonly code = "JOIN_STRING";
  override readonly name = "JoinStringError";
}

const tokenPattern = /^[A-Za-z0-9_-]{16,128}$/;
const pattern =
  /^fascicle:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})\/([A-Za-z0-9_-]+)\.([0-9a-f]{8})$/;

const checksum = (body: string) => crc32(body).toString(16).padStart(8, "0");

/** 256 random bits. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** Says what is wrong with a token that a user gave, or undefined where nothing is. */
export function whyNotToken(token: unknown): string | undefined {
  return typeof token === "string" && tokenPattern.test(token)
    ? undefined
    : "a token is 16 to 128 letters, digits, - or _ (for instance: openssl rand -hex 32)";
}

/** `fascicle://HOST:PORT/TOKEN.CHECKSUM`; the checksum tells a garbled string from a wrong token. */
export function formatJoinString({ host, port, token }: JoinString): string {
  const address = host.includes(":") ? `[${host}]` : host;
  const body = `${address}:${port}/${token}`;
  return `fascicle://${body}.${checksum(body)}`;
}

export function parseJoinString(text: string): JoinString {
  const match = pattern.exec(text.trim());
  const hint = "copy the whole line that `runtime start --head` printed after `join: `";
  if (match === null) {
    throw new JoinStringError(
      `The join string is not of the form fascicle://HOST:PORT/TOKEN.CHECKSUM: ${hint}.`,
    );
  }
  const [, address, portText, token, check] = match;
  const port = Number(portText);
  if (checksum(`${address}:${portText}/${token}`) !== check || port < 1 || port > 65535) {
    throw new JoinStringError(`The join string is damaged (its checksum does not match): ${hint}.`);
  }
  return { host: address.replace(/^\[|\]$/g, ""), port, token };
}
