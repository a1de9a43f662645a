/** Gets blocks of signals from the data ports of other workers. */
import { ConnectError } from "../handshake.ts";
import {
  dataDialTimeoutMs,
  dataIdleMs,
  dataRetryDelayMs,
  dataSilenceMs,
  dataTickMs,
  dataTriesLimit,
} from "../limits.ts";
import { type BlockPull, BrokenPull, PullError } from "./pull.ts";
import { SourcePeer } from "./sourcePeer.ts";

export interface DataAddress {
  readonly host: string;
  readonly port: number;
}

export interface DataClientOptions {
  readonly token: string;
  /** Milliseconds without a word after which a sender is given up. */
  readonly silenceMs?: number;
  /** Milliseconds after which a connection that carries nothing is closed. */
  readonly idleMs?: number;
}

export class DataClient {
  readonly #token: string;
  readonly #silenceMs: number;
  readonly #idleMs: number;
  /** Connections that stand or are being made, by address. */
  readonly #peers = new Map<string, Promise<SourcePeer>>();
  /** Of what is under way: pulls and dials. */
  readonly #stops = new Set<AbortController>();
  #ticker: NodeJS.Timeout | undefined;

  constructor({ token, silenceMs = dataSilenceMs, idleMs = dataIdleMs }: DataClientOptions) {
    this.#token = token;
    this.#silenceMs = silenceMs;
    this.#idleMs = idleMs;
  }

  /**
   * Asks for a block from `offset` on. `onPiece` gets each piece once and in order; what it throws ends the pull. A
   * broken connection is taken up where it broke. Resolves when all of the block came; rejects with `PullError`
   * where it cannot be had there, with the signal's reason where that is aborted. `onPiece` is not called after.
   */
  async pull(
    address: DataAddress,
    { job, block, bytes, offset = 0 }: WantedBlock,
    onPiece: (offset: number, piece: Uint8Array) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    signal?.throwIfAborted();
    const stop = new AbortController();
    const onAbort = () => stop.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#stops.add(stop);
    try {
      await this.#pull(address, { job, block, bytes, offset, onPiece }, stop.signal);
    } finally {
      this.#stops.delete(stop);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Ends all pulls and connections. */
  close(): void {
    clearInterval(this.#ticker);
    for (const stop of this.#stops) stop.abort(new PullError("the worker leaves", false));
    for (const peer of this.#peers.values()) {
      void peer.then(
        (open) => open.close(),
        () => {},
      );
    }
    this.#peers.clear();
  }

  /** Tries for as long as there is something to hope for. */
  async #pull(address: DataAddress, pull: BlockPull, signal: AbortSignal): Promise<void> {
    let tries = 0;
    let reached = pull.offset;
    let progressMs = performance.now();
    while (pull.offset < pull.bytes) {
      signal.throwIfAborted();
      try {
        const peer = await unlessAborted(this.#peer(address), signal);
        await peer.pull(pull, signal);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (!(error instanceof BrokenPull)) throw error;
        if (pull.offset > reached) {
          reached = pull.offset;
          progressMs = performance.now();
          tries = 0;
        }
        tries++;
        const isTooLong = performance.now() - progressMs > this.#silenceMs;
        if (tries >= dataTriesLimit || error.isFinal || isTooLong) {
          throw new PullError(error.message, false);
        }
        await pause(dataRetryDelayMs * 2 ** (tries - 1), signal);
      }
    }
  }

  /** The connection to that address, or a new one. */
  #peer(address: DataAddress): Promise<SourcePeer> {
    const key = `${address.host} ${address.port}`;
    const known = this.#peers.get(key);
    if (known !== undefined) return known;
    const forget = () => {
      if (this.#peers.get(key) === peer) this.#peers.delete(key);
    };
    const peer = this.#dial(address, forget);
    this.#peers.set(key, peer);
    peer.catch(forget);
    this.#ticker ??= setInterval(() => this.#tick(), dataTickMs).unref();
    return peer;
  }

  async #dial(address: DataAddress, onEnd: () => void): Promise<SourcePeer> {
    const stop = new AbortController();
    this.#stops.add(stop);
    const timer = setTimeout(() => stop.abort(), dataDialTimeoutMs);
    try {
      return await SourcePeer.dial({ ...address, token: this.#token }, stop.signal, onEnd);
    } catch (error) {
      if (stop.signal.aborted) {
        const seconds = dataDialTimeoutMs / 1000;
        const where = `${address.host}:${address.port}`;
        throw new BrokenPull(`no connection to ${where} stood within ${seconds} s`, true);
      }
      const isTransient = error instanceof ConnectError && error.isTransient;
      throw new BrokenPull((error as Error).message, !isTransient);
    } finally {
      clearTimeout(timer);
      this.#stops.delete(stop);
    }
  }

  #tick(): void {
    if (this.#peers.size === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    }
    for (const peer of this.#peers.values()) {
      void peer.then(
        (open) => open.tick(this.#silenceMs, this.#idleMs),
        () => {},
      );
    }
  }
}

/** `bytes` is the length of the whole block; what comes before `offset` is here. */
export interface WantedBlock {
  readonly job: string;
  readonly block: number;
  readonly bytes: number;
  readonly offset?: number;
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
