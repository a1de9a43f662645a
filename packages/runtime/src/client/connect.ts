/** A driver's connection to a head. */
import {
  type ClusterStatus,
  ConnectError,
  dial,
  type Explanation,
  type FromClient,
  fitsPerClientLimit,
  headStopsReason,
  type JoinString,
  parseJoinString,
  readToClient,
  type Session,
  type ToClient,
} from "@fascicle/transport";
import { abortReason } from "../errors.ts";
import { requireJoinString } from "../head/discovery.ts";
import { Turns } from "./turns.ts";

type Answer = Extract<ToClient, { type: "statusReply" | "whyReply" }>;

/** What a fit wants to hear. */
export interface JobListener {
  onMessage(message: Exclude<ToClient, Answer>, payload: Uint8Array): void;
  /** The head cannot be reached; it is being looked for. */
  onAway(reason: string): void;
  /** A head is there again, that may know of the fit or not. */
  onBack(): void;
  /** There is no head to be had any more. */
  onLost(reason: string): void;
}

/** A question to the head that waits for its answer. */
interface Request {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

const answerTimeoutMs = 10_000;

/** A lost head is looked for at once, then after this long, doubled each time... */
const redialMs = 50;
/** ...up to this. */
const redialLimitMs = 1_000;

/** A head that ends a session younger than this would end the next one as well: it is looked for after a rest. */
const shortSessionMs = 1_000;

/** A connected cluster; `fitChunked` uses the last one that is open. */
export class Cluster {
  readonly #join: JoinString;
  readonly #jobs = new Map<string, JobListener>();
  readonly #requests = new Map<number, Request>();
  readonly #turns = new Turns(fitsPerClientLimit);
  #session: Session;
  #sessionBeganMs = 0;
  #nextRequest = 1;
  #isClosed = false;
  /** The head cannot be reached; it is looked for as soon as a fit needs it. */
  #awayReason: string | undefined;
  #isRedialling = false;
  /** It is lost for good. */
  #lostReason: string | undefined;

  constructor(session: Session, join: JoinString) {
    this.#join = join;
    this.#session = session;
    this.#listen();
  }

  get isOpen(): boolean {
    return this.#lostReason === undefined;
  }

  /** Hosts, slots, jobs, objects and spill of the cluster. */
  async status(): Promise<ClusterStatus> {
    const answer = await this.#ask((request) => ({ type: "status", request }));
    if (answer.type !== "statusReply") throw new Error("the head answered something else");
    return answer.status;
  }

  /** What a fit, a worker or a host waits for, and its story; without a name, everything there is. */
  async why(name?: string): Promise<Explanation[]> {
    const answer = await this.#ask((request) => ({ type: "why", request, name }));
    if (answer.type !== "whyReply") throw new Error("the head answered something else");
    return answer.explanations;
  }

  async #ask(question: (request: number) => FromClient): Promise<Answer> {
    const awayReason = this.#lostReason ?? this.#awayReason;
    if (awayReason !== undefined) throw lostError(awayReason);
    const request = this.#nextRequest++;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const seconds = answerTimeoutMs / 1000;
        const late = () =>
          reject(new ConnectError(`The head did not answer within ${seconds} s.`, true));
        timer = setTimeout(late, answerTimeoutMs);
        this.#requests.set(request, { resolve, reject });
        this.send(question(request));
      });
    } finally {
      clearTimeout(timer);
      this.#requests.delete(request);
    }
  }

  /** Ends the connection; fits that run on it end with it, on every host. */
  async close(): Promise<void> {
    openClusters.delete(this);
    this.#isClosed = true;
    await this.#session.flushed();
    this.#session.close("the driver is done");
  }

  /** For the cluster engine: sends a message about a fit; while there is no head, nothing. */
  send(message: FromClient, payload?: Uint8Array): void {
    this.#session.send(message, payload);
  }

  /** For the cluster engine: resolves when more bulk data can be sent. */
  writable(): Promise<void> {
    return this.#session.writable();
  }

  /** For the cluster engine: listens to one fit, until it is told to stop. */
  listen(job: string, listener: JobListener): () => void {
    if (this.#lostReason !== undefined) listener.onLost(this.#lostReason);
    this.#jobs.set(job, listener);
    if (this.#awayReason !== undefined) {
      listener.onAway(this.#awayReason);
      void this.#redial();
    }
    return () => this.#jobs.delete(job);
  }

  /** For the cluster engine: waits until the head takes one more fit of ours; gives what ends the turn. */
  turn(signal?: AbortSignal): Promise<() => void> {
    return this.#turns.next(signal);
  }

  #listen(): void {
    this.#sessionBeganMs = performance.now();
    this.#session.start({
      onMessage: (raw, payload) => this.#received(readToClient(raw), payload),
      onClose: (reason) => this.#closed(reason),
    });
  }

  #received(message: ToClient, payload: Uint8Array): void {
    if (message.type === "statusReply" || message.type === "whyReply") {
      this.#requests.get(message.request)?.resolve(message);
      return;
    }
    this.#jobs.get(message.job)?.onMessage(message, payload);
  }

  /** A head that was killed may be started again; one that says goodbye wants no more of us. */
  #closed(reason: string): void {
    // The next session knows nothing of what was asked in this one.
    for (const { reject } of [...this.#requests.values()]) reject(lostError(reason));
    if (this.#isClosed || reason === headStopsReason) {
      this.#lost(reason);
      return;
    }
    this.#awayReason = reason;
    for (const listener of [...this.#jobs.values()]) listener.onAway(reason);
    void this.#redial();
  }

  /** Looks for the head as long as a fit is waiting for it. */
  async #redial(): Promise<void> {
    if (this.#isRedialling) return;
    this.#isRedialling = true;
    const isNeeded = () => this.#jobs.size > 0 && !this.#isClosed;
    const isYoung = performance.now() - this.#sessionBeganMs < shortSessionMs;
    for (let waitMs = isYoung ? redialLimitMs : 0; this.#awayReason !== undefined && isNeeded(); ) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      waitMs = Math.min(redialLimitMs, Math.max(redialMs, 2 * waitMs));
      try {
        const session = await dial(this.#join, "client");
        if (isNeeded()) this.#back(session);
        // Whoever waited for the head has left meanwhile: nobody else would close this.
        else session.close("the driver is done");
      } catch (error) {
        if (error instanceof ConnectError && error.isTransient) continue;
        this.#lost((error as Error).message);
        break;
      }
    }
    this.#isRedialling = false;
  }

  #back(session: Session): void {
    this.#session = session;
    this.#awayReason = undefined;
    this.#listen();
    for (const listener of [...this.#jobs.values()]) listener.onBack();
  }

  #lost(reason: string): void {
    // It stays the script's cluster until it is closed: a later fit must fail, not run somewhere else unasked.
    this.#lostReason = reason;
    for (const listener of [...this.#jobs.values()]) listener.onLost(reason);
  }
}

const lostError = (reason: string) =>
  new ConnectError(
    `The head was lost before it answered (${reason}): start it again, or ask once it is back.`,
    true,
  );

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
  const joinString = parseJoinString(text);
  const dialled = dial(joinString, "client");
  const session = await Promise.race([dialled, rejectOnAbort(signal)]).catch((error) => {
    dialled.then(
      (late) => late.terminate("the driver has left"),
      () => {},
    );
    throw error;
  });
  const cluster = new Cluster(session, joinString);
  openClusters.add(cluster);
  return cluster;
}

/** Never resolves; rejects with the reason of the signal. */
export function rejectOnAbort(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(abortReason(signal)), { once: true });
  });
}
