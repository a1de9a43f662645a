/** For tests: a network between a client and a server on this host, and everything that can befall it. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

export class TestNetwork {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Where connections go; new ones are turned away while this is undefined. */
  target: number | undefined;
  connections = 0;

  constructor(target: number) {
    this.target = target;
    this.#server = createServer((near) => this.#accepted(near));
  }

  static async start(target: number): Promise<TestNetwork> {
    const network = new TestNetwork(target);
    network.#server.listen(0, "127.0.0.1");
    await once(network.#server, "listening");
    return network;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Breaks all connections; both ends are told. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  /** Takes nothing any more from the connections that stand; nobody is told. New ones work. */
  stall(): void {
    for (const { near, far } of this.#pairs) {
      near.unpipe(far).pause();
      far.unpipe(near).pause();
    }
  }

  /** Lets what was stalled flow again. */
  flow(): void {
    for (const { near, far } of this.#pairs) {
      if (near.isPaused()) near.pipe(far).pipe(near);
    }
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accepted(near: Socket): void {
    near.on("error", () => {});
    if (this.target === undefined) {
      near.resetAndDestroy();
      return;
    }
    this.connections++;
    const far = connect(this.target, "127.0.0.1");
    const pair = { near, far };
    this.#pairs.add(pair);
    far.on("error", () => {});
    for (const socket of [near, far]) {
      socket.setNoDelay();
      socket.on("close", () => {
        this.#pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }
}
