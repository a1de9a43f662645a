/** A driver that leaves while it looks for its head. */
import {
  formatJoinString,
  headStopsReason,
  listen,
  newToken,
  type Session,
} from "@fascicle/transport";
import { describe, expect, it } from "vitest";
import { connect } from "./connect.ts";

it("closes a session that stands only after the driver has left", async () => {
  const token = newToken();
  const sessions: Session[] = [];
  let leave = () => {};
  const bothClosed: Promise<void>[] = [];
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    token,
    onSession: (session) => {
      bothClosed.push(
        new Promise((resolve) => {
          session.start({ onMessage: () => {}, onClose: () => resolve() });
        }),
      );
      // The head's end stands now; the driver's is just about to.
      if (sessions.push(session) === 2) leave();
    },
    onRefused: () => {},
  });
  const join = formatJoinString({ host: "127.0.0.1", port: server.port, token });
  const cluster = await connect(join);
  const nothing = { onMessage: () => {}, onAway: () => {}, onBack: () => {}, onLost: () => {} };
  const stopListening = cluster.listen("j", nothing);
  leave = () => {
    stopListening();
    void cluster.close();
  };
  sessions[0].terminate("the head is restarted");
  await expect.poll(() => sessions.length, { timeout: 10_000 }).toBe(2);
  await Promise.all(bothClosed);
  await server.close();
}, 20_000);

describe("a question to a head", () => {
  /** A head that ends the session as `end` says: once it stands, or once it is asked. */
  async function askedOf(end: (session: Session) => void, when: "standing" | "asked") {
    const token = newToken();
    const server = await listen({
      host: "127.0.0.1",
      port: 0,
      token,
      onSession: (session) => {
        const onMessage = () => when === "asked" && end(session);
        session.start({ onMessage, onClose: () => {} });
        if (when === "standing") end(session);
      },
      onRefused: () => {},
    });
    const cluster = await connect(
      formatJoinString({ host: "127.0.0.1", port: server.port, token }),
    );
    try {
      return await cluster.status();
    } finally {
      await cluster.close();
      await server.close();
    }
  }

  it("is answered at once where the head stops meanwhile, or has just stopped", async () => {
    for (const when of ["standing", "asked"] as const) {
      const begunMs = performance.now();
      await expect(askedOf((session) => session.close(headStopsReason), when)).rejects.toThrow(
        expect.objectContaining({
          code: "CONNECT",
          message: expect.stringMatching(
            /^The head was lost before it answered \(the head stops\)/,
          ),
        }),
      );
      // Half of what it waits for a head that says nothing.
      expect(performance.now() - begunMs).toBeLessThan(5_000);
    }
  });

  it("is not asked of a head that is lost already", async () => {
    const token = newToken();
    let close = () => {};
    const server = await listen({
      host: "127.0.0.1",
      port: 0,
      token,
      onSession: (session) => {
        session.start({ onMessage: () => {}, onClose: () => {} });
        close = () => session.close(headStopsReason);
      },
      onRefused: () => {},
    });
    const cluster = await connect(
      formatJoinString({ host: "127.0.0.1", port: server.port, token }),
    );
    close();
    await expect.poll(() => cluster.isOpen).toBe(false);
    await expect(cluster.why()).rejects.toThrow(/The head was lost/);
    await cluster.close();
    await server.close();
  });
});
