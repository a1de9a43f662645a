/** A driver that leaves while it looks for its head. */
import { formatJoinString, listen, newToken, type Session } from "@fascicle/transport";
import { expect, it } from "vitest";
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
