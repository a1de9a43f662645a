import { afterEach, describe, expect, it } from "vitest";
import { dial } from "./client.ts";
import { newToken } from "./joinString.ts";
import { listen, type Server } from "./server.ts";
import { TestNetwork } from "./testing/network.ts";
import { sleep, until, Witness } from "./testing/witness.ts";

const token = newToken();
let server: Server;
let network: TestNetwork;
const witnesses: Witness[] = [];

afterEach(async () => {
  for (const { session } of witnesses.splice(0)) session.terminate("test ends");
  await network.close();
  await server.close();
});

/** Both ends of a session with a network between them. */
async function meet(): Promise<[Witness, Witness]> {
  server = await listen({
    ...{ host: "127.0.0.1", port: 0, token, onRefused: () => {} },
    onSession: (session) => witnesses.push(new Witness(session)),
  });
  network = await TestNetwork.start(server.port);
  const client = new Witness(
    await dial({ host: "127.0.0.1", port: network.port, token }, "client"),
  );
  const head = await until(() => witnesses[0], "a session");
  witnesses.push(client);
  return [client, head];
}

describe("bulk data", () => {
  const piece = (mark: number) => new Uint8Array(1 << 20).fill(mark);
  const marks = ({ received }: Witness) => received.map(({ index }) => index);

  it("waits for what is said after it, and comes in order", async () => {
    const [client, head] = await meet();
    network.stall();
    for (let i = 0; i < 40; i++) client.session.sendBulk({ index: i }, piece(i), "fit");
    client.session.send({ index: 1_000 });
    network.flow();
    await client.session.flushed();
    const order = marks(head);
    expect(order.filter((index) => index < 1_000)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    // A few pieces were given to the network before it was known to be slow.
    expect(order.indexOf(1_000)).toBeLessThan(10);
    expect(head.received.every(({ index, payload }) => index > 40 || payload[9] === index)).toBe(
      true,
    );
  });

  it("can be taken back while it waits", async () => {
    const [client, head] = await meet();
    network.stall();
    for (let i = 0; i < 30; i++) {
      client.session.sendBulk({ index: i }, piece(i), i % 2 === 0 ? "even" : "odd");
    }
    client.session.dropBulk("odd");
    network.flow();
    await client.session.flushed();
    const odd = marks(head).filter((index) => index % 2 === 1);
    expect(odd.length).toBeLessThan(6);
    expect(marks(head).filter((index) => index % 2 === 0)).toHaveLength(15);
  });

  it("is sent after a broken connection as before it", async () => {
    const [client, head] = await meet();
    for (let i = 0; i < 60; i++) {
      client.session.sendBulk({ index: i }, piece(i), "fit");
      if (i % 20 === 10) {
        await sleep(20);
        network.cut();
      }
    }
    await client.session.flushed();
    expect(marks(head)).toEqual(Array.from({ length: 60 }, (_, i) => i));
  });

  it("that nobody reads ends the session before it fills the memory", async () => {
    const [client] = await meet();
    network.stall();
    const large = new Uint8Array(8 << 20);
    for (let i = 0; i < 80 && client.session.isOpen; i++) {
      client.session.sendBulk({ index: i }, large, "fit");
    }
    expect(client.session.isOpen).toBe(false);
    expect(await client.closed).toBe("the peer does not read what it is sent");
  });

  it("is let through by turns to those who wait for room", async () => {
    const [client, head] = await meet();
    network.stall();
    const most: number[] = [];
    const send = async (mark: number) => {
      for (let i = 0; i < 15; i++) {
        await client.session.writable();
        client.session.send({ index: mark }, piece(mark));
        most.push(client.session.unsentBytes);
      }
    };
    const sending = Promise.all([send(1), send(2), send(3), send(4)]);
    await sleep(300);
    network.flow();
    await sending;
    await client.session.flushed();
    expect(head.received).toHaveLength(60);
    expect(Math.max(...most)).toBeLessThan(7 << 20);
  });
});
