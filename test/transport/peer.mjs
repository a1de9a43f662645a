/** A process at one end of a session: `client` counts aloud to a head, `server` hears and answers. */
import { dial, listen } from "@fascicle/transport";

const [role, port, token, count = "0"] = process.argv.slice(2);
const host = "127.0.0.1";

if (role === "client") {
  const session = await dial({ host, port: Number(port), token }, "agent");
  session.start({
    onMessage: () => {},
    onClose: (reason) => process.send({ closed: reason }),
    onAway: (reason) => process.send({ away: reason }),
    onBack: () => process.send({ back: true }),
  });
  for (let index = 0; index < Number(count); index++) {
    session.send({ index }, new Uint8Array(index % 1000));
    await session.writable();
    if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await session.flushed();
  process.send({ sent: true });
} else {
  let next = 0;
  const server = await listen({
    host,
    port: Number(port),
    token,
    onSession: (session) =>
      session.start({
        onMessage: ({ index }, payload) => {
          const isRight = index === next && payload.length === index % 1000;
          next++;
          process.send({ heard: index, isRight });
          session.send({ index }, payload);
        },
        onClose: (reason) => process.send({ closed: reason }),
      }),
    onRefused: (_, reason) => process.send({ refused: reason }),
  });
  process.send({ port: server.port });
}

// A test that dies must not leave this behind.
process.on("disconnect", () => process.exit());
