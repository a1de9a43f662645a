import type { Hello, SessionEnd } from "@fascicle/core";
import type { Connection } from "./connection.ts";
import type { Role } from "./proof.ts";
import { Session, type SessionOwner } from "./session.ts";
import { Watch } from "./watch.ts";

interface Entry {
  readonly session: Session;
  readonly role: Role;
  readonly remoteAddress: string;
}

export interface SessionTableOptions {
  onSession(session: Session, role: Role, remoteAddress: string): void;
  /** A session ended because its peer broke the rules. */
  onThrownOut(remoteAddress: string, reason: string): void;
}

/** The sessions of a head, by the names that it gave them. */
export class SessionTable implements SessionOwner {
  readonly #options: SessionTableOptions;
  readonly #entries = new Map<string, Entry>();
  // A silent peer dials again by itself; the door only waits.
  readonly #watch = new Watch(() => {});

  constructor(options: SessionTableOptions) {
    this.#options = options;
  }

  find(id: string, role: Role): Session | undefined {
    const entry = this.#entries.get(id);
    return entry?.role === role ? entry.session : undefined;
  }

  /** A new session under this name, on its first connection. */
  open(id: string, role: Role, remoteAddress: string, connection: Connection, hello: Hello): void {
    const session = new Session(this, id);
    this.#entries.set(id, { session, role, remoteAddress });
    session.attach(connection, hello);
    if (session.isOpen) this.#options.onSession(session, role, remoteAddress);
  }

  /** Ends the sessions that have no connection: where the door is closed, they cannot come back. */
  endAway(reason: string): void {
    for (const { session } of [...this.#entries.values()]) {
      if (session.isAway) session.terminate(reason);
    }
  }

  onConnected(session: Session): void {
    this.#watch.connected(session);
  }

  onAway(session: Session): void {
    this.#watch.away(session);
  }

  onEnded(session: Session, end: SessionEnd, reason: string): void {
    this.#watch.ended(session);
    const entry = this.#entries.get(session.id ?? "");
    this.#entries.delete(session.id ?? "");
    const isPeersFault = end === "protocol" || end === "limit" || end === "refused";
    if (entry !== undefined && isPeersFault) this.#options.onThrownOut(entry.remoteAddress, reason);
  }
}
