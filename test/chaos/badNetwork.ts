/** A bad network: stands between a peer and the head, and breaks, stalls and returns their connections. */
import { createServer, connect as openSocket, type Server, type Socket } from "node:net";

/** Which bytes a stalled network holds back: a connection may be dead in one direction alone. */
export type Direction = "both" | "toHead" | "toPeer";

interface Pair {
  readonly peer: Socket;
  readonly head: Socket;
}

export class BadNetwork {
  readonly #server: Server;
  readonly #headPort: number;
  readonly #pairs = new Set<Pair>();
  #isRefusing = false;
  #stalled: Direction | undefined;

  private constructor(server: Server, headPort: number) {
    this.#server = server;
    this.#headPort = headPort;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Listens on a free loopback port and passes on to `headPort`. */
  static async start(headPort: number): Promise<BadNetwork> {
    const server = createServer({ allowHalfOpen: true });
    const proxy = new BadNetwork(server, headPort);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Resets every connection; new ones are taken at once. */
  break(): void {
    for (const pair of [...this.#pairs]) this.#end(pair);
  }

  /** Resets every connection, and each new one, until `heal`. */
  refuse(): void {
    this.#isRefusing = true;
    this.break();
  }

  /** Keeps connections open and moves no byte, also on new ones, until `heal`. Neither end is told. */
  stall(direction: Direction): void {
    this.#stalled = direction;
    for (const { peer, head } of this.#pairs) {
      if (direction !== "toPeer") peer.pause();
      if (direction !== "toHead") head.pause();
    }
  }

  /** The network is good again; what was held back arrives. */
  heal(): void {
    this.#isRefusing = false;
    this.#stalled = undefined;
    for (const { peer, head } of this.#pairs) {
      peer.resume();
      head.resume();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.break();
    await closed;
  }

  #accept(peer: Socket): void {
    if (this.#isRefusing) {
      peer.on("error", () => {});
      peer.resetAndDestroy();
      return;
    }
    const head = openSocket({ port: this.#headPort, host: "127.0.0.1", allowHalfOpen: true });
    const pair = { peer, head };
    this.#pairs.add(pair);
    for (const socket of [peer, head]) socket.setNoDelay(true);
    this.#pass(pair, peer, head, "toHead");
    this.#pass(pair, head, peer, "toPeer");
    if (this.#stalled !== undefined) this.stall(this.#stalled);
  }

  /** Carries bytes one way, no faster than they are taken. */
  #pass(pair: Pair, from: Socket, to: Socket, direction: Direction): void {
    const isHeld = () => this.#stalled === "both" || this.#stalled === direction;
    from.on("data", (data) => {
      if (!to.write(data)) from.pause();
    });
    to.on("drain", () => {
      if (!isHeld()) from.resume();
    });
    from.on("end", () => to.end());
    from.on("error", () => this.#end(pair));
    from.on("close", () => {
      // What is still on its way to the other is let through.
      if (to.destroyed) this.#pairs.delete(pair);
    });
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    for (const socket of [pair.peer, pair.head]) socket.resetAndDestroy();
  }
}
