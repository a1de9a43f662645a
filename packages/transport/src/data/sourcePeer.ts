import { crc32 } from "node:zlib";
import type { Connection } from "../connection.ts";
import { type DoorAddress, shakeHands } from "../handshake.ts";
import { dataPieceTimeoutMs, dataPullsLimit } from "../limits.ts";
import { protocolVersions } from "../proof.ts";
import { type DataAnswer, type DataRequest, readDataAnswer } from "./messages.ts";
import { type BlockPull, BrokenPull, PullError } from "./pull.ts";
import { DataWire } from "./wire.ts";

interface Pending {
  readonly pull: BlockPull;
  /** When something of it last came. */
  pieceMs: number;
  resolve(): void;
  reject(error: Error): void;
}

/** A connection to another worker's data port, for any number of blocks. */
export class SourcePeer {
  readonly #connection: Connection;
  readonly #wire: DataWire;
  readonly #pending = new Map<number, Pending>();
  readonly #onEnd: () => void;
  #pulls = 0;
  #heardMs = performance.now();
  #usedMs = performance.now();
  #isOver = false;

  private constructor(connection: Connection, onEnd: () => void) {
    this.#connection = connection;
    this.#wire = new DataWire(connection);
    this.#onEnd = onEnd;
    connection.start({
      onFragments: (fragments) => {
        const { message, payload } = this.#wire.read(fragments);
        this.#received(readDataAnswer(message), payload);
      },
      onEnd: ({ kind, reason }) => this.#end(reason, kind === "garbage"),
    });
  }

  /** `onEnd` is called once, when it can be asked for nothing any more. */
  static async dial(
    address: DoorAddress,
    signal: AbortSignal,
    onEnd: () => void,
  ): Promise<SourcePeer> {
    const hello = { versions: protocolVersions, session: undefined, lastReceived: 0 };
    const { connection } = await shakeHands(address, "data", hello, signal);
    return new SourcePeer(connection, onEnd);
  }

  /** Resolves when the rest of the block has come; rejects with `BrokenPull` where the connection ended. */
  async pull(pull: BlockPull, signal: AbortSignal): Promise<void> {
    if (this.#isOver) throw new BrokenPull("the connection broke", false);
    if (this.#pending.size >= dataPullsLimit) {
      throw new PullError("too much is asked of it at once", false);
    }
    const number = ++this.#pulls;
    const { job, block, bytes, offset } = pull;
    if (this.#pending.size === 0) this.#heardMs = performance.now();
    const onAbort = () => this.#cancel(number, signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        this.#pending.set(number, { pull, pieceMs: performance.now(), resolve, reject });
        this.#say({ type: "pull", pull: number, job, block, offset, bytes });
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#usedMs = performance.now();
    }
  }

  close(): void {
    this.#connection.close("nothing more is wanted");
    this.#end("the worker leaves", true);
  }

  /** Gives up a sender that says nothing, and a connection that carries nothing. */
  tick(silenceMs: number, idleMs: number): void {
    const nowMs = performance.now();
    if (this.#connection.takeHeard()) this.#heardMs = nowMs;
    if (this.#pending.size === 0) {
      if (nowMs - this.#usedMs > idleMs) this.close();
      return;
    }
    if (nowMs - this.#heardMs > silenceMs) {
      this.#connection.terminate("it says nothing");
      this.#end(`it has said nothing for ${silenceMs / 1000} s`, true);
      return;
    }
    this.#connection.ping();
    for (const [number, { pieceMs }] of [...this.#pending]) {
      if (nowMs - pieceMs <= dataPieceTimeoutMs) continue;
      const seconds = dataPieceTimeoutMs / 1000;
      this.#cancel(number, new PullError(`nothing of the block came for ${seconds} s`, false));
    }
  }

  #say(request: DataRequest): void {
    this.#wire.send(request);
  }

  #received(message: DataAnswer, payload: Uint8Array): void {
    const { pull: number } = message;
    const pending = this.#pending.get(number);
    if (pending === undefined) {
      // Of one that is not wanted any more; of one that never was there is nothing.
      if (number > this.#pulls) throw new Error("an answer came to nothing");
      return;
    }
    if (message.type === "piece") {
      this.#took(number, pending, message, payload);
      return;
    }
    this.#pending.delete(number);
    const reason = message.type === "absent" ? "it has no such block" : message.reason;
    pending.reject(new PullError(reason, message.type === "absent"));
  }

  #took(
    number: number,
    pending: Pending,
    { offset, crc }: Extract<DataAnswer, { type: "piece" }>,
    payload: Uint8Array,
  ): void {
    const { pull } = pending;
    const end = offset + payload.length;
    if (offset !== pull.offset || end > pull.bytes || payload.length === 0) {
      throw new Error("a piece came out of place");
    }
    if (crc32(payload) !== crc) throw new Error("a piece came damaged");
    try {
      pull.onPiece(offset, payload);
    } catch (error) {
      this.#cancel(number, error as Error);
      return;
    }
    pull.offset = end;
    pending.pieceMs = performance.now();
    this.#say({ type: "taken", pull: number, through: end });
    if (end < pull.bytes) return;
    this.#pending.delete(number);
    pending.resolve();
  }

  #cancel(number: number, reason: Error): void {
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    this.#pending.delete(number);
    this.#say({ type: "cancel", pull: number });
    pending.reject(reason);
  }

  #end(reason: string, isFinal: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd();
    for (const [, pending] of this.#pending) pending.reject(new BrokenPull(reason, isFinal));
    this.#pending.clear();
  }
}
