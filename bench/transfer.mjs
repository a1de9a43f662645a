/**
 * What moving bytes between two processes costs: blocks from a worker's data port, and results over a session
 * (masked, as WebSocket clients must), beside a raw TCP stream that copies into a buffer.
 *
 *     node bench/transfer.mjs [rounds] [MiB]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { bulkFrameBytes, DataClient, DataServer, dial, listen } from "@fascicle/transport";

const token = "a token for this bench only";
const blockBytes = 8 << 20;
const blocks = 8;

const memory = () => new Uint8Array(new SharedArrayBuffer(blocks * blockBytes)).fill(7);

/** The other process: sends what it is asked for. */
async function other() {
  const signals = memory();
  const raw = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (words) => sendRaw(socket, signals, Number(words.toString())));
  });
  raw.listen(0, "127.0.0.1");
  await once(raw, "listening");
  const data = await DataServer.start({
    ...{ host: "127.0.0.1", port: 0, token, onRefused: console.error },
    open: async (_, block) => ({
      bytes: signals.subarray((block % blocks) * blockBytes, ((block % blocks) + 1) * blockBytes),
      done: () => {},
    }),
  });
  process.on("message", ({ sessionPort }) => void sendResults(sessionPort, signals));
  process.send({ rawPort: raw.address().port, dataPort: data.port });
}

async function sendRaw(socket, signals, bytes) {
  for (let sent = 0; sent < bytes; sent += bulkFrameBytes) {
    const at = sent % signals.length;
    const piece = Buffer.from(signals.buffer, at, bulkFrameBytes);
    if (!socket.write(piece)) await once(socket, "drain");
  }
}

/** As a worker sends its results. */
async function sendResults(port, signals) {
  const session = await dial({ host: "127.0.0.1", port, token }, "agent");
  session.start({
    async onMessage({ bytes }) {
      for (let sent = 0; sent < bytes; sent += bulkFrameBytes) {
        const at = sent % signals.length;
        const payload = signals.subarray(at, at + bulkFrameBytes);
        session.send({ type: "result", job: "fit", at, crc: crc32(payload) }, payload);
        await session.writable();
      }
    },
    onClose: () => process.exit(0),
  });
}

/** Seconds that a raw stream takes. */
async function receiveRaw(port, target, bytes) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const begunMs = performance.now();
  socket.write(String(bytes));
  let received = 0;
  await new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      let at = received % target.length;
      const room = Math.min(chunk.length, target.length - at);
      target.set(room === chunk.length ? chunk : chunk.subarray(0, room), at);
      if (room < chunk.length) {
        at = 0;
        target.set(chunk.subarray(room), at);
      }
      received += chunk.length;
      if (received >= bytes) resolve();
    });
  });
  const seconds = (performance.now() - begunMs) / 1000;
  socket.destroy();
  return seconds;
}

/** Two blocks at a time, as many as a worker sends. */
async function pullBlocks(client, port, target, bytes) {
  const begunMs = performance.now();
  let next = 0;
  const pullSome = async () => {
    while (next * blockBytes < bytes) {
      const block = next++;
      const base = (block % blocks) * blockBytes;
      await client.pull(
        { host: "127.0.0.1", port },
        { job: "fit", block, bytes: blockBytes },
        (offset, piece) => target.set(piece, base + offset),
      );
    }
  };
  await Promise.all([pullSome(), pullSome()]);
  return (performance.now() - begunMs) / 1000;
}

/** As a driver stores results. */
function receiveResults(session, inbox, target, bytes) {
  const begunMs = performance.now();
  let received = 0;
  return new Promise((resolve, reject) => {
    inbox.onMessage = ({ at, crc }, payload) => {
      if (crc32(payload) !== crc) reject(new Error("damaged"));
      target.set(payload, at);
      received += payload.length;
      if (received >= bytes) resolve((performance.now() - begunMs) / 1000);
    };
    session.send({ bytes });
  });
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function main(rounds, bytes) {
  const target = memory();
  const inbox = { onMessage: () => {} };
  let joined;
  const session = new Promise((resolve) => {
    joined = resolve;
  });
  const server = await listen({
    ...{ host: "127.0.0.1", port: 0, token, onRefused: console.error },
    onSession(opened) {
      opened.start({
        onMessage: (message, payload) => inbox.onMessage(message, payload),
        onClose: () => {},
      });
      joined(opened);
    },
  });
  const child = fork(fileURLToPath(import.meta.url), ["other"]);
  const [{ rawPort, dataPort }] = await once(child, "message");
  child.send({ sessionPort: server.port });
  const results = await session;
  const client = new DataClient({ token });
  const sides = {
    "raw TCP": () => receiveRaw(rawPort, target, bytes),
    "data port (server to client)": () => pullBlocks(client, dataPort, target, bytes),
    "session (client to server)": () => receiveResults(results, inbox, target, bytes),
  };
  const rates = Object.fromEntries(Object.keys(sides).map((side) => [side, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [side, run] of Object.entries(sides)) {
      const rate = bytes / 2 ** 20 / (await run());
      // The first round warms up.
      if (round >= 0) rates[side].push(rate);
    }
  }
  const raw = rates["raw TCP"];
  for (const [side, each] of Object.entries(rates)) {
    const ratio = median(each.map((rate, i) => rate / raw[i]));
    console.log(
      `${side.padEnd(30)} ${median(each).toFixed(0).padStart(6)} MiB/s  ${(100 * ratio).toFixed(0)} % of raw`,
    );
  }
  client.close();
  results.close("done");
  await server.close();
  child.kill();
}

const [first, second] = process.argv.slice(2);
if (first === "other") await other();
else await main(Number(first ?? 9), Number(second ?? 512) << 20);
