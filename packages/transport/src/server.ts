/** The head's door: sessions of those who proved the token. */
import type { Hello } from "@fascicle/core";
import { type Admission, openDoor, type Refusal } from "./door.ts";
import { connectionsLimit, messageBytesLimit } from "./limits.ts";
import { newNonce, protocolVersions, type Role } from "./proof.ts";
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
  const table = new SessionTable({
    onSession: options.onSession,
    onThrownOut: options.onRefused,
  });
  const door = await openDoor({
    ...{ host: options.host, port: options.port, token: options.token },
    ...{ path: "/connect", who: "head", roles: ["agent", "client"] },
    ...{ connectionsLimit, messageBytesLimit, onRefused: options.onRefused },
    admit: (role, hello) => admit(table, role as Role, hello),
  });
  return {
    port: door.port,
    close: () => {
      const closed = door.close();
      table.endAway(headStopsReason);
      return closed;
    },
  };
}

/** Carries on the session that the peer names, or opens one. */
function admit(table: SessionTable, role: Role, hello: Hello): Admission | Refusal {
  const session = hello.session === undefined ? undefined : table.find(hello.session, role);
  if (hello.session !== undefined && session === undefined) {
    return {
      status: 410,
      refusal:
        "this head does not know the session: it was restarted, or the peer was away too long",
    };
  }
  const id = session?.id ?? newNonce();
  return {
    hello: { versions: protocolVersions, session: id, lastReceived: 0, ...session?.hello() },
    connected: (connection, remote) => {
      if (session !== undefined) session.attach(connection, hello);
      else table.open(id, role, remote, connection, hello);
    },
  };
}
