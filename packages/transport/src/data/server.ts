/** A worker's data port: other workers ask it for blocks of signals that it has. */
import { type Door, openDoor } from "../door.ts";
import {
  dataConnectionsLimit,
  dataPieceTimeoutMs,
  dataRequestBytesLimit,
  dataServerIdleMs,
  dataTickMs,
} from "../limits.ts";
import { protocolVersions } from "../proof.ts";
import { ServingPeer } from "./servingPeer.ts";

/** A block that is being sent. */
export interface OpenBlock {
  /** All of it; they must not change before `done`. */
  readonly bytes: Uint8Array;
  /** Nothing reads them any more. Called once. */
  done(): void;
}

export interface DataServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly token: string;
  /** Undefined where the block is not here. What it throws is told to who asked. */
  open(job: string, block: number): Promise<OpenBlock | undefined>;
  /** A peer was turned away, or thrown out; for the log. */
  onRefused(remoteAddress: string, reason: string): void;
  /** Milliseconds after which a connection that carries nothing is closed. */
  readonly idleMs?: number;
  /** Milliseconds after which who takes nothing of a block gets no more of it. */
  readonly stallMs?: number;
}

export class DataServer {
  readonly #door: Door;
  readonly #peers: Set<ServingPeer>;
  readonly #ticker: NodeJS.Timeout;

  private constructor(door: Door, peers: Set<ServingPeer>) {
    this.#door = door;
    this.#peers = peers;
    this.#ticker = setInterval(() => {
      for (const peer of peers) peer.tick();
    }, dataTickMs);
    this.#ticker.unref();
  }

  /** Listens; rejects where the address cannot be had (`code` as node gives it, e.g. EADDRINUSE). */
  static async start(options: DataServerOptions): Promise<DataServer> {
    const peers = new Set<ServingPeer>();
    const { host, port, token, open, onRefused } = options;
    const { idleMs = dataServerIdleMs, stallMs = dataPieceTimeoutMs } = options;
    const door = await openDoor({
      ...{ host, port, token, path: "/data", who: "worker", roles: ["data"], onRefused },
      connectionsLimit: dataConnectionsLimit,
      messageBytesLimit: dataRequestBytesLimit,
      admit: () => ({
        hello: { versions: protocolVersions, session: undefined, lastReceived: 0 },
        connected: (connection, remote) => {
          const peer: ServingPeer = new ServingPeer(connection, {
            open,
            idleMs,
            stallMs,
            onEnd: (reason) => {
              peers.delete(peer);
              if (reason !== undefined) onRefused(remote, reason);
            },
          });
          peers.add(peer);
        },
      }),
    });
    return new DataServer(door, peers);
  }

  get port(): number {
    return this.#door.port;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#peers.size;
  }

  /** Ends what it sends, and lets go of all blocks. */
  async close(): Promise<void> {
    clearInterval(this.#ticker);
    const closed = this.#door.close();
    for (const peer of [...this.#peers]) peer.close("the worker leaves");
    await closed;
  }
}
