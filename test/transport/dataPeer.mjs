/** A process at one end of a data port: `source` has a block, `target` gets it from where it is told. */
import { createHash } from "node:crypto";
import { DataClient, DataServer } from "@fascicle/transport";

const [role, host, token, size] = process.argv.slice(2);
const bytes = Number(size);

if (role === "source") {
  const block = new Uint8Array(new SharedArrayBuffer(bytes));
  const words = new Uint32Array(block.buffer);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2_654_435_761);
  const hash = createHash("sha256").update(block).digest("hex");
  let opened = 0;
  const server = await DataServer.start({
    ...{ host, port: 0, token, onRefused: (_, reason) => process.send({ refused: reason }) },
    open: async () => {
      process.send({ opened: ++opened });
      return { bytes: block, done: () => process.send({ done: true }) };
    },
  });
  process.send({ address: { host, port: server.port }, hash });
} else {
  const client = new DataClient({ token });
  const target = new Uint8Array(bytes);
  let reached = 0;
  process.on("message", async (address) => {
    try {
      await client.pull(
        address,
        { job: "fit", block: 0, bytes, offset: reached },
        (offset, piece) => {
          if (offset !== reached) throw new Error("out of order");
          target.set(piece, offset);
          reached += piece.length;
          process.send({ reached });
        },
      );
      process.send({ hash: createHash("sha256").update(target).digest("hex") });
    } catch (error) {
      process.send({ failed: error.message, at: reached });
    }
  });
  process.send({ ready: true });
}
