/** A driver's connection to a head. */
import {
  type ClusterStatus,
  ConnectError,
  dial,
  type FromClient,
  parseJoinString,
  readToClient,
  type Session,
  type ToClient,
} from "@fascicle/transport";
import { abortReason } from "../errors.ts";
import { requireJoinString } from "../head/discovery.ts";

/** What a fit wants to hear. */
export interface JobListener {
  onMessage(message: Exclude<ToClient, { type: "statusReply" }>, payload: Uint8Array): void;
  onLost(reason: string): void;
}

const statusTimeoutMs = 10_000;

/** A connected cluster; `fitChunked` uses the last one that is open. */
export class Cluster {
  readonly #connection: Session;
  readonly #jobs = new Map<string, JobListener>();
  readonly #requests = new Map<number, (status: ClusterStatus) => void>();
  #nextRequest = 1;
  #lostReason: string | undefined;

  constructor(connection: Session) {
    this.#connection = connection;
    connection.start({
      onMessage: (raw, payload) => this.#received(readToClient(raw), payload),
      onClose: (reason) => this.#closed(reason),
    });
  }

  get isOpen(): boolean {
    return this.#lostReason === undefined;
  }

  /** Hosts, slots, jobs, objects and spill of the cluster. */
  status(): Promise<ClusterStatus> {
    return new Promise((resolve, reject) => {
      const request = this.#nextRequest++;
      const timer = setTimeout(() => {
        this.#requests.delete(request);
        reject(new ConnectError("The head did not answer within 10 s.", true));
      }, statusTimeoutMs);
      this.#requests.set(request, (status) => {
        clearTimeout(timer);
        resolve(status);
      });
      this.send({ type: "status", request });
    });
  }

  /** Ends the connection; fits that run on it end with it, on every host. */
  async close(): Promise<void> {
    openClusters.delete(this);
    await this.#connection.flushed();
    this.#connection.close("the driver is done");
  }

  /** For the cluster engine: sends a message about a fit. */
  send(message: FromClient, payload?: Uint8Array): void {
    this.#connection.send(message, payload);
  }

  /** For the cluster engine: resolves when more bulk data can be sent. */
  writable(): Promise<void> {
    return this.#connection.writable();
  }

  /** For the cluster engine: listens to one fit, until it is told to stop. */
  listen(job: string, listener: JobListener): () => void {
    if (this.#lostReason !== undefined) listener.onLost(this.#lostReason);
    this.#jobs.set(job, listener);
    return () => this.#jobs.delete(job);
  }

  #received(message: ToClient, payload: Uint8Array): void {
    if (message.type === "statusReply") {
      this.#requests.get(message.request)?.(message.status);
      this.#requests.delete(message.request);
      return;
    }
    this.#jobs.get(message.job)?.onMessage(message, payload);
  }

  #closed(reason: string): void {
    this.#lostReason = reason;
    openClusters.delete(this);
    for (const listener of [...this.#jobs.values()]) listener.onLost(reason);
  }
}

const openClusters = new Set<Cluster>();

/** The cluster connected last that is still open. */
export function currentCluster(): Cluster | undefined {
  return [...openClusters].at(-1);
}

/**
 * Connects to a head. `join` is its join string; without one, RUNTIME_JOIN or the head that this user started on
 * this host is taken. Fits begun while it is open run there. Throws `JoinStringError`, `ConnectError`, or the
 * reason of `signal`.
 */
export async function connect(join?: string, signal?: AbortSignal): Promise<Cluster> {
  const text = join ?? requireJoinString();
  if (signal?.aborted) throw abortReason(signal);
  const dialled = dial(parseJoinString(text), "client");
  const connection = await Promise.race([dialled, rejectOnAbort(signal)]).catch((error) => {
    dialled.then(
      (late) => late.terminate("the driver has left"),
      () => {},
    );
    throw error;
  });
  const cluster = new Cluster(connection);
  openClusters.add(cluster);
  return cluster;
}

/** Never resolves; rejects with the reason of the signal. */
function rejectOnAbort(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(abortReason(signal)), { once: true });
  });
}
