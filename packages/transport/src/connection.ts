import WebSocket from "ws";
import { decodeFrame, encodeHeader } from "./frame.ts";
import {
  pingIntervalMs,
  silenceLimitMs,
  unreadBytesLimit,
  unsentBytesHighWater,
} from "./limits.ts";

export interface ConnectionHandlers {
  /** `payload` is the receiver's: it is a view of what came, and nobody writes to it again. */
  onMessage(message: unknown, payload: Uint8Array): void;
  /** Called once, with a reason that a user can read. */
  onClose(reason: string): void;
}

/** The reason that a head gives when it is stopped on purpose. */
export const headStopsReason = "the head stops";

/** One authenticated WebSocket with a peer that pings, and that is given up when it falls silent. */
export class Connection {
  readonly #socket: WebSocket;
  #handlers: ConnectionHandlers | undefined;
  #closeReason: string | undefined;
  #lastHeardMs = Date.now();
  #lastTickMs = Date.now();
  readonly #pinger: NodeJS.Timeout;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "fragments";
    socket.on("message", (data, isBinary) => this.#received(data as Buffer[], isBinary));
    socket.on("ping", () => this.#heard());
    socket.on("pong", () => this.#heard());
    socket.on("error", (error) => {
      this.#closeReason ??= error.message;
    });
    socket.on("close", (code, text) => this.#closed(code, text.toString()));
    this.#pinger = setInterval(() => this.#tick(), pingIntervalMs);
    // Nothing is read before somebody listens.
    socket.pause();
  }

  /** Starts the flow of messages. */
  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#socket.readyState === WebSocket.CLOSED) this.#closed(1006, "");
    else this.#socket.resume();
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Bytes given to `send` that the network has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Sends a message; `payload` is sent from where it lies and must not change until `flushed()`. */
  send(message: unknown, payload?: Uint8Array): void {
    if (!this.isOpen) return;
    if (this.unsentBytes > unreadBytesLimit) {
      this.terminate("the peer does not read what it is sent");
      return;
    }
    const header = encodeHeader(message);
    if (payload === undefined || payload.length === 0) {
      this.#socket.send(header, { binary: true });
      return;
    }
    this.#socket.send(header, { binary: true, fin: false });
    this.#socket.send(bufferOver(payload), { binary: true, fin: true });
  }

  /** Resolves when the network has taken enough for more bulk data to be sent, or the connection is gone. */
  async writable(): Promise<void> {
    while (this.isOpen && this.#socket.bufferedAmount > unsentBytesHighWater) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Resolves when everything is sent, or the connection is gone. */
  async flushed(): Promise<void> {
    while (this.isOpen && this.#socket.bufferedAmount > 0) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Says goodbye with a reason (at most about 120 bytes travel); the peer's `onClose` gets it. */
  close(reason: string): void {
    this.#closeReason ??= reason;
    this.#socket.close(1000, Buffer.from(reason).subarray(0, 120).toString());
    // A peer that does not answer the goodbye is not waited for.
    setTimeout(() => this.#socket.terminate(), 1_000).unref();
  }

  /** Ends it at once. */
  terminate(reason: string): void {
    this.#closeReason ??= reason;
    this.#socket.terminate();
  }

  #heard(): void {
    this.#lastHeardMs = Date.now();
  }

  #received(fragments: Buffer[], isBinary: boolean): void {
    this.#heard();
    try {
      if (!isBinary) throw new Error("a text message came where only frames are understood");
      const { message, payload } = decodeFrame(fragments);
      this.#handlers?.onMessage(message, payload);
    } catch (error) {
      this.close(`protocol error: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #tick(): void {
    const nowMs = Date.now();
    // If this process itself stood still (stopped, suspended), the peer gets a new chance to be heard.
    if (nowMs - this.#lastTickMs > 2 * pingIntervalMs) this.#lastHeardMs = nowMs;
    this.#lastTickMs = nowMs;
    if (nowMs - this.#lastHeardMs > silenceLimitMs) {
      this.terminate(`nothing was heard for ${Math.round((nowMs - this.#lastHeardMs) / 1000)} s`);
    } else if (this.isOpen) {
      this.#socket.ping();
    }
  }

  #closed(code: number, text: string): void {
    clearInterval(this.#pinger);
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.#handlers = undefined;
    const fallback = code === 1006 ? "the connection broke" : `the connection was closed (${code})`;
    handlers.onClose(this.#closeReason ?? (text || fallback));
  }
}

/** A Buffer over the same memory; shared memory is sent from where it lies, too. */
function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
}
