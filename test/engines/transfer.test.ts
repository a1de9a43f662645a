/** Signals between workers, in a real fit. */
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { SlabPool } from "@fascicle/object-store";
import { connect, fitChunked } from "@fascicle/runtime";
import { formatJoinString, parseJoinString } from "@fascicle/transport";
import { afterEach, expect, it } from "vitest";
import { hashOfMaps } from "../support/bytes.ts";
import { Home } from "../support/cli.ts";
import { joinHere } from "../support/inProcessWorker.ts";
import { testModel } from "../support/models.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Between a driver and its head; counts what the driver sends. */
class Counter {
  bytes = 0;

  static async start(join: string): Promise<{ counter: Counter; join: string }> {
    const counter = new Counter();
    const head = parseJoinString(join);
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connectTcp(head.port, head.host);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on("error", () => {});
      }
      near.on("data", (data) => {
        counter.bytes += data.length;
      });
      near.pipe(far).pipe(near);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    ends.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const { port } = server.address() as { port: number };
    return { counter, join: formatJoinString({ ...head, host: "127.0.0.1", port }) };
  }
}

it("a block that all workers need leaves the driver once", async () => {
  const home = new Home();
  ends.push(() => home.close());
  const { join } = await home.head("--cpus", "0");
  for (const name of ["a", "b", "c", "d"]) {
    const agent = await joinHere(join, new SlabPool(64 << 20), name);
    ends.push(() => agent.stop());
  }
  const { counter, join: counted } = await Counter.start(join);
  const cluster = await connect(counted);
  ends.push(() => cluster.close());
  const model = testModel({ voxels: 12_000, work: 20_000 });
  const signalBytes = 12_000 * 5 * 4;
  const fit = await fitChunked(model, 200, { engine: "cluster", cluster });
  expect(hashOfMaps(fit)).toBe(hashOfMaps(await fitChunked(model, 200, { engine: "local" })));
  expect(fit.receipt.workers).toBe(4);
  expect(counter.bytes).toBeGreaterThan(signalBytes);
  expect(counter.bytes).toBeLessThan(1.5 * signalBytes);
});
