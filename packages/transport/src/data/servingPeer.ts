import { crc32 } from "node:zlib";
import type { Connection } from "../connection.ts";
import { bulkFrameBytes, dataPullsLimit, dataWindowBytes } from "../limits.ts";
import { type DataAnswer, type DataRequest, readDataRequest } from "./messages.ts";
import type { OpenBlock } from "./server.ts";
import { DataWire } from "./wire.ts";

export interface ServingPeerOptions {
  open(job: string, block: number): Promise<OpenBlock | undefined>;
  readonly idleMs: number;
  /** Who takes nothing of a block for so long gets no more of it: the block is a copy in memory. */
  readonly stallMs: number;
  /** Called once; with a reason where the peer broke the rules. */
  onEnd(reason: string | undefined): void;
}

/** Cancelling ends no opening: without this, asking and cancelling would pile them up. */
const tooManyOpenings = "it still opens what was asked for and cancelled";

/** A block on its way to a peer. */
interface Sending {
  readonly pull: number;
  /** Undefined while it is being opened. */
  block: OpenBlock | undefined;
  /** The byte up to which it was sent, and that up to which the peer has taken it. */
  sent: number;
  taken: number;
  /** When it was asked for, or something of it was taken. */
  movedMs: number;
}

/** Somebody who asks this worker for blocks, over one connection. */
export class ServingPeer {
  readonly #connection: Connection;
  readonly #wire: DataWire;
  readonly #options: ServingPeerOptions;
  readonly #sendings = new Map<number, Sending>();
  /** Blocks that are being opened, also for pulls that were cancelled meanwhile. */
  #openings = 0;
  #heardMs = performance.now();
  #isOver = false;

  constructor(connection: Connection, options: ServingPeerOptions) {
    this.#connection = connection;
    this.#wire = new DataWire(connection);
    this.#options = options;
    connection.start({
      onFragments: (fragments) =>
        this.#received(readDataRequest(this.#wire.read(fragments).message)),
      onEnd: ({ kind, reason }) => this.#end(kind === "garbage" ? reason : undefined),
    });
  }

  /** Closes a connection that carries nothing, or whose peer takes nothing. */
  tick(): void {
    this.#giveUpStalled();
    if (this.#connection.takeHeard()) this.#heardMs = performance.now();
    else if (performance.now() - this.#heardMs > this.#options.idleMs)
      this.close("nothing is said");
  }

  #giveUpStalled(): void {
    const sinceMs = performance.now() - this.#options.stallMs;
    for (const sending of [...this.#sendings.values()]) {
      if (sending.block === undefined || sending.movedMs > sinceMs) continue;
      this.#refuse(sending, {
        type: "failed",
        pull: sending.pull,
        reason: "nothing of it is taken",
      });
    }
  }

  close(reason: string): void {
    if (this.#sendings.size === 0) this.#connection.close(reason);
    else this.#connection.terminate(reason);
    this.#end(undefined);
  }

  #end(reason: string | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const sending of [...this.#sendings.values()]) this.#forget(sending);
    this.#options.onEnd(reason);
  }

  #received(message: DataRequest): void {
    const { pull } = message;
    const sending = this.#sendings.get(pull);
    if (message.type === "pull") {
      if (sending !== undefined) throw new Error("a pull has the number of another");
      if (this.#sendings.size >= dataPullsLimit) throw new Error("too much is asked for at once");
      if (this.#openings < dataPullsLimit) void this.#begin(message);
      else this.#wire.send({ type: "failed", pull, reason: tooManyOpenings } satisfies DataAnswer);
      return;
    }
    // Of one that failed meanwhile.
    if (sending === undefined) return;
    if (message.type === "cancel") {
      this.#forget(sending);
      return;
    }
    if (message.through <= sending.taken || message.through > sending.sent) {
      throw new Error("a peer took what it was not sent");
    }
    sending.taken = message.through;
    sending.movedMs = performance.now();
    if (sending.taken === sending.block?.bytes.length) this.#forget(sending);
    else this.#send(sending);
  }

  async #begin(request: Extract<DataRequest, { type: "pull" }>): Promise<void> {
    const { pull, job, block, offset, bytes } = request;
    const movedMs = performance.now();
    const sending: Sending = { pull, block: undefined, sent: offset, taken: offset, movedMs };
    this.#sendings.set(pull, sending);
    let opened: OpenBlock | undefined;
    let failure: string | undefined;
    this.#openings++;
    try {
      opened = await this.#options.open(job, block);
    } catch (error) {
      failure = (error as Error).message.slice(0, 1_000);
    } finally {
      this.#openings--;
    }
    if (this.#sendings.get(pull) !== sending) {
      opened?.done();
      return;
    }
    sending.block = opened;
    if (opened !== undefined && (opened.bytes.length !== bytes || offset >= bytes)) {
      failure = `the block has ${opened.bytes.length} bytes`;
    }
    if (failure !== undefined) this.#refuse(sending, { type: "failed", pull, reason: failure });
    else if (opened === undefined) this.#refuse(sending, { type: "absent", pull });
    else this.#send(sending);
  }

  #refuse(sending: Sending, answer: DataAnswer): void {
    this.#wire.send(answer);
    this.#forget(sending);
  }

  /** As much as fits in the window: what others are sent on this connection comes between. */
  #send(sending: Sending): void {
    const { pull, block } = sending;
    if (block === undefined) return;
    const end = Math.min(block.bytes.length, sending.taken + dataWindowBytes);
    while (sending.sent < end) {
      const offset = sending.sent;
      const piece = block.bytes.subarray(offset, Math.min(end, offset + bulkFrameBytes));
      sending.sent += piece.length;
      this.#wire.send(
        { type: "piece", pull, offset, crc: crc32(piece) } satisfies DataAnswer,
        piece,
      );
    }
  }

  #forget(sending: Sending): void {
    this.#sendings.delete(sending.pull);
    sending.block?.done();
  }
}
