import {
  FrameQueue,
  type Hello,
  helloOf,
  newSession,
  type SessionEffect,
  type SessionEnd,
  type SessionEvent,
  type SessionState,
  stepSession,
} from "@fascicle/core";
import { BulkQueue } from "./bulkQueue.ts";
import type { Connection, ConnectionEnding } from "./connection.ts";
import {
  decodeFrame,
  decodeValue,
  encodeAcknowledgement,
  encodeHeader,
  type Frame,
  writeNumbers,
} from "./frame.ts";
import {
  ackDelayMs,
  retainedBytesHighWater,
  retainedFrameOverheadBytes,
  unsentBytesHighWater,
} from "./limits.ts";
import { protocolVersions } from "./proof.ts";

export interface SessionHandlers {
  /**
   * `payload` is the receiver's: it is a view of what came, and nobody writes to it again. What this throws ends
   * the session as a protocol error of the peer's.
   */
  onMessage(message: unknown, payload: Uint8Array): void;
  /** Called once, with a reason that a user can read; `isGoodbye` where the peer ended it in good order. */
  onClose(reason: string, isGoodbye: boolean): void;
  /** The connection broke; the session waits for another. Who knows better may `terminate` it. */
  onAway?(reason: string): void;
  /** Another connection stands; nothing was lost. */
  onBack?(): void;
}

/** Who keeps a session: the head's door, or the client that dials. */
export interface SessionOwner {
  onConnected(session: Session): void;
  onAway(session: Session): void;
  onEnded(session: Session, end: SessionEnd, reason: string): void;
}

/** The reason that a head gives when it is stopped on purpose. */
export const headStopsReason = "the head stops";

interface SentFrame {
  readonly header: Buffer;
  readonly payload: Uint8Array | undefined;
}

/**
 * What two processes say to each other, over connections that break and are taken up again: each message arrives
 * once and in order, or the session ends with a reason on both sides.
 */
export class Session {
  readonly #state: SessionState;
  readonly #owner: SessionOwner;
  readonly #frames = new FrameQueue<SentFrame>();
  readonly #bulk = new BulkQueue();
  #connection: Connection | undefined;
  #handlers: SessionHandlers | undefined;
  #endReason: string | undefined;
  #isTold = false;
  #isGoodbye = false;
  #ackTimer: NodeJS.Timeout | undefined;

  /** `id` is given on the side that names it. */
  constructor(owner: SessionOwner, id?: string) {
    this.#owner = owner;
    this.#state = newSession(protocolVersions, id);
  }

  /** Starts the flow of messages. */
  start(handlers: SessionHandlers): void {
    this.#handlers = handlers;
    if (this.isOpen) this.#listen();
    else setImmediate(() => this.#tellClosed());
  }

  /** Its name, which only the two sides know; undefined before the first connection. */
  get id(): string | undefined {
    return this.#state.session;
  }

  /** False as soon as it is over; a session whose connection is away is open. */
  get isOpen(): boolean {
    return this.#state.phase !== "closed";
  }

  get isAway(): boolean {
    return this.#state.phase === "away";
  }

  /** The address on this side of its connection; undefined while it has none. */
  get localAddress(): string | undefined {
    return this.#connection?.localAddress;
  }

  /** Bytes given to `send` that the network has not taken yet. */
  get unsentBytes(): number {
    return this.#connection?.unsentBytes ?? this.#state.retainedBytes;
  }

  /**
   * Sends a message; to a session that is over, nothing. `payload` is sent from where it lies, perhaps more than
   * once: its memory must not change until the peer has acknowledged it, that is before `flushed()`.
   */
  send(message: unknown, payload?: Uint8Array): void {
    if (!this.isOpen) return;
    const header = encodeHeader(message);
    const bytes = header.length + (payload?.length ?? 0) + retainedFrameOverheadBytes;
    this.#frames.push({ header, payload });
    this.#step({ type: "FrameGiven", bytes });
  }

  /**
   * Sends bulk data when the network has room for it: what is given to `send` meanwhile goes before it. `payload`
   * as with `send`. What waits counts with what the peer has not acknowledged.
   */
  sendBulk(message: unknown, payload: Uint8Array, subject: string): void {
    if (!this.isOpen) return;
    this.#bulk.push({ message, payload, subject });
    const { retainedBytes, limits } = this.#state;
    const isTooMuch = this.#bulk.bytes + retainedBytes > limits.retainedBytesLimit;
    // Given to the machine, it ends a session whose peer does not read.
    while (isTooMuch && this.isOpen && this.#bulk.hasMessages) this.#sendNextBulk();
    this.#flow();
  }

  /** Takes back what waits of the bulk data about this. */
  dropBulk(subject: string): void {
    this.#bulk.drop(subject);
  }

  /** Resolves when more bulk data may be sent, one caller after the other, or the session is over. */
  async writable(): Promise<void> {
    if (!this.isOpen || (this.#bulk.isEmpty && !this.#isCongested())) return;
    const turn = this.#bulk.turn();
    this.#flow();
    await turn;
  }

  /** Resolves when the peer has acknowledged everything, or the session is over. */
  async flushed(): Promise<void> {
    while (this.isOpen && (this.#frames.size > 0 || this.#bulk.hasMessages)) await sleep(2);
  }

  /** Says goodbye with a reason, which the peer's `onClose` gets (about 120 bytes of it). */
  close(reason: string): void {
    this.#close(reason, (connection) => connection.close(reason));
  }

  /** Ends it at once. */
  terminate(reason: string): void {
    this.#close(reason, (connection) => connection.terminate(reason));
  }

  /** For its owner: carries on with this connection, whose peer has said hello; an older one is dropped. */
  attach(connection: Connection, hello: Hello): void {
    if (!this.isOpen) {
      connection.close(this.#endReason ?? "the session is over");
      return;
    }
    const wasAway = this.isAway;
    this.#connection?.drop();
    this.#connection = connection;
    this.#step({ type: "Connected", hello });
    if (!this.isOpen) return;
    this.#owner.onConnected(this);
    this.#acknowledgeSoon();
    this.#listen();
    if (wasAway && !this.isAway) this.#handlers?.onBack?.();
    this.#onSent();
  }

  /** For its owner: what this side says first on a connection. */
  hello(): Hello {
    return helloOf(this.#state);
  }

  /** For its owner: the peer does not know the session, or will not have it. */
  forgotten(reason: string): void {
    if (this.isOpen) this.#step({ type: "Forgotten", reason });
  }

  /** For its owner: whether anything was heard since this was last asked. */
  takeHeard(): boolean {
    return this.#connection?.takeHeard() ?? false;
  }

  /** For its owner. */
  ping(): void {
    this.#connection?.ping();
  }

  #isCongested(): boolean {
    return (
      this.#connection === undefined ||
      this.#connection.unsentBytes > unsentBytesHighWater ||
      this.#state.retainedBytes > retainedBytesHighWater
    );
  }

  /** Lets bulk data go on, as far as there is room. */
  #flow(): void {
    const bulk = this.#bulk;
    while (bulk.hasMessages && this.isOpen && !this.#isCongested()) this.#sendNextBulk();
    if (!bulk.hasWaiters || this.#isCongested()) return;
    bulk.wake();
    // Whose turn it is sends within this one.
    if (bulk.hasWaiters) setImmediate(() => this.#flow());
  }

  #sendNextBulk(): void {
    const next = this.#bulk.shift();
    if (next !== undefined) this.send(next.message, next.payload);
  }

  readonly #onSent = (): void => {
    if (!this.#bulk.isEmpty) this.#flow();
  };

  #listen(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#handlers === undefined) return;
    connection.start({
      onFragments: (fragments) => {
        if (connection === this.#connection && this.isOpen) this.#received(decodeFrame(fragments));
      },
      onEnd: (ending) => {
        if (connection === this.#connection) this.#connectionEnded(ending);
      },
    });
  }

  #received(frame: Frame): void {
    const { sequence, acknowledged } = frame;
    if (sequence === 0) {
      this.#step({ type: "AckReceived", acknowledged });
      return;
    }
    const bytes = frame.header.length + frame.payload.length;
    this.#step({ type: "FrameReceived", sequence, acknowledged, bytes }, frame);
    this.#acknowledgeSoon();
  }

  #acknowledgeSoon(): void {
    if (this.#state.owedFrames === 0) return;
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = undefined;
      if (this.isOpen) this.#step({ type: "Ticked" });
    }, ackDelayMs);
  }

  /** What was just sent acknowledged all that had come. */
  #nothingOwed(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
  }

  #step(event: SessionEvent, received?: Frame): void {
    const effects: SessionEffect[] = [];
    stepSession(this.#state, event, effects);
    for (const effect of effects) this.#perform(effect, received);
    // Not between the effects of a step: what is sent again goes first.
    if (effects.some(({ type }) => type === "Forget")) this.#onSent();
  }

  #perform(effect: SessionEffect, received: Frame | undefined): void {
    switch (effect.type) {
      case "Transmit": {
        const { header, payload } = this.#frames.get(effect.sequence)!;
        writeNumbers(header, effect.sequence, effect.acknowledged);
        this.#connection?.send(header, payload, this.#onSent);
        this.#nothingOwed();
        return;
      }
      case "Acknowledge":
        this.#connection?.send(encodeAcknowledgement(effect.acknowledged));
        this.#nothingOwed();
        return;
      case "Deliver":
        this.#handlers?.onMessage(decodeValue(received!.header), received!.payload);
        return;
      case "Forget":
        while (this.#frames.size > 0 && this.#frames.first <= effect.through) this.#frames.shift();
        return;
      case "End":
        this.#ended(effect.end, effect.reason);
    }
  }

  /** The machine has ended it; a peer that broke the rules is told so. */
  #ended(end: SessionEnd, reason: string): void {
    const told = end === "protocol" ? `protocol error: ${reason}` : reason;
    this.#over(end, told);
    if (end === "closed") return;
    const connection = this.#connection;
    if (connection === undefined) setImmediate(() => this.#tellClosed());
    else if (end === "limit") connection.terminate(told);
    else connection.close(told);
  }

  /** One of this side's owners ends it. */
  #close(reason: string, say: (connection: Connection) => void): void {
    if (this.isOpen) this.#step({ type: "Closed", reason });
    const connection = this.#connection;
    if (connection !== undefined) say(connection);
    else setImmediate(() => this.#tellClosed());
  }

  #connectionEnded({ kind, reason }: ConnectionEnding): void {
    this.#connection = undefined;
    if (!this.isOpen) {
      this.#tellClosed();
    } else if (kind === "broken") {
      this.#step({ type: "Disconnected" });
      this.#owner.onAway(this);
      this.#handlers?.onAway?.(reason);
    } else {
      this.#isGoodbye = kind !== "garbage";
      this.#step({ type: kind === "garbage" ? "Violated" : "Closed", reason });
      this.#tellClosed();
    }
  }

  #over(end: SessionEnd, reason: string): void {
    this.#endReason = reason;
    clearTimeout(this.#ackTimer);
    while (this.#frames.size > 0) this.#frames.shift();
    this.#bulk.end();
    this.#owner.onEnded(this, end, reason);
  }

  #tellClosed(): void {
    const handlers = this.#handlers;
    if (handlers === undefined || this.#isTold) return;
    this.#isTold = true;
    handlers.onClose(this.#endReason ?? "the session is over", this.#isGoodbye);
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
