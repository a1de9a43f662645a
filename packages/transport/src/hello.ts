/** What each side says first on a connection, as the headers of the HTTP upgrade and of its answer. */
import type { IncomingHttpHeaders } from "node:http";
import { formatVersions, type Hello, parseVersions } from "@fascicle/core";

/** Stands where a client has no session yet. */
const newSession = "new";
const sessionPattern = /^[A-Za-z0-9_-]{20,64}$/;

/** Names and values, in this order. */
export function helloHeaders({ versions, session, lastReceived }: Hello): Record<string, string> {
  return {
    "X-Fascicle-Protocol": formatVersions(versions),
    "X-Fascicle-Session": session ?? newSession,
    "X-Fascicle-Received": String(lastReceived),
  };
}

/** The text that a proof covers. */
export function helloText(hello: Hello): string {
  return Object.values(helloHeaders(hello)).join(";");
}

/** Undefined for what is no hello. */
export function readHello(headers: IncomingHttpHeaders): Hello | undefined {
  const versions = parseVersions(headerOf(headers, "protocol"));
  const session = headerOf(headers, "session");
  const received = headerOf(headers, "received");
  const isSession = session === newSession || sessionPattern.test(session);
  if (versions === undefined || !isSession || !/^\d{1,15}$/.test(received)) return undefined;
  return {
    versions,
    session: session === newSession ? undefined : session,
    lastReceived: Number(received),
  };
}

/** One of our headers; empty where it is not there. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[`x-fascicle-${name}`];
  return typeof value === "string" ? value : "";
}
