import type { Socket } from "node:net";
import WebSocket from "ws";
import { goodbyeTimeoutMs } from "./limits.ts";

/** How a connection ended: it broke, the peer said goodbye, or what came was not the protocol. */
export interface ConnectionEnding {
  readonly kind: "broken" | "goodbye" | "garbage";
  /** For users. */
  readonly reason: string;
}

export interface ConnectionHandlers {
  /** A message in the fragments in which it came. May throw: that is the peer's fault. */
  onFragments(fragments: Buffer[]): void;
  /** Called once. */
  onEnd(ending: ConnectionEnding): void;
}

const goodbyeCode = 1000;
const brokenCode = 1006;

/** One authenticated WebSocket: what a session lives on until it breaks. Nothing is read before `start`. */
export class Connection {
  readonly #socket: WebSocket;
  readonly #stream: Socket;
  #isCorked = false;
  #handlers: ConnectionHandlers | undefined;
  #ending: ConnectionEnding | undefined;
  #fault: Error | undefined;
  #bytesHeard = -1;

  /** `stream` is what the WebSocket writes to. */
  constructor(socket: WebSocket, stream: Socket) {
    this.#socket = socket;
    this.#stream = stream;
    socket.binaryType = "fragments";
    socket.on("message", (data, isBinary) => this.#received(data as Buffer[], isBinary));
    socket.on("error", (error) => {
      this.#fault ??= error;
    });
    socket.on("close", (code, text) => this.#closed(code, text.toString()));
    socket.pause();
  }

  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#ending !== undefined) this.#tell(this.#ending);
    else this.#socket.resume();
  }

  /** Whether anything at all came since this was last asked, be it half a message. */
  takeHeard(): boolean {
    const { bytesRead } = this.#stream;
    const wasHeard = bytesRead !== this.#bytesHeard;
    this.#bytesHeard = bytesRead;
    return wasHeard;
  }

  /** The address on this side; undefined once it is closed. */
  get localAddress(): string | undefined {
    return this.#stream.localAddress;
  }

  /** Bytes that the network has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Both parts are sent from where they lie. `onSent` is called when the network has taken them, or never will. */
  send(header: Buffer, payload?: Uint8Array, onSent?: () => void): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#gather();
    if (payload === undefined || payload.length === 0) {
      this.#socket.send(header, { binary: true }, onSent);
      return;
    }
    this.#socket.send(header, { binary: true, fin: false });
    this.#socket.send(bufferOver(payload), { binary: true, fin: true }, onSent);
    // Bulk data must not wait for the end of a turn that sends more of it.
    this.#flush();
  }

  ping(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  /** Sends a goodbye (about 120 bytes of its reason travel) behind all that was sent, and waits a while for the answer. */
  close(reason: string): void {
    this.#sayGoodbye(reason);
    // The process may end with this turn.
    this.#flush();
    // Also where nobody has listened yet: the answer must be read.
    this.#socket.resume();
    setTimeout(() => this.#socket.terminate(), goodbyeTimeoutMs).unref();
  }

  /** Ends it at once; a goodbye gets through only where nothing else waits to be sent. */
  terminate(reason: string): void {
    this.#sayGoodbye(reason);
    this.#flush();
    this.#socket.terminate();
  }

  /** Ends it without a word: another connection has taken its place. */
  drop(): void {
    this.#handlers = undefined;
    this.#socket.terminate();
  }

  /** What is sent in one turn goes to the network in one piece. */
  #gather(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#stream.cork();
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#stream.uncork();
  }

  #sayGoodbye(reason: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.close(goodbyeCode, Buffer.from(reason).subarray(0, 120).toString());
  }

  #received(fragments: Buffer[], isBinary: boolean): void {
    try {
      if (!isBinary) throw new Error("a text message came where only frames are understood");
      this.#handlers?.onFragments(fragments);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.close(`protocol error: ${reason}`);
      this.#tell({ kind: "garbage", reason });
    }
  }

  #closed(code: number, text: string): void {
    this.#ending = this.#endingOf(code, text);
    this.#tell(this.#ending);
  }

  #endingOf(code: number, text: string): ConnectionEnding {
    const fault: (Error & { code?: string }) | undefined = this.#fault;
    if (fault?.code?.startsWith("WS_ERR")) {
      return { kind: "garbage", reason: fault.message };
    }
    if (code === brokenCode) {
      return { kind: "broken", reason: fault?.message ?? "the connection broke" };
    }
    return { kind: "goodbye", reason: text || `the connection was closed (${code})` };
  }

  #tell(ending: ConnectionEnding): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.onEnd(ending);
  }
}

/** A Buffer over the same memory; shared memory is sent from where it lies, too. */
function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
}
