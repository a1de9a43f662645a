/** The real session machine over simulated connections: what the transport does with sockets. */
import {
  checkSessionInvariants,
  FrameQueue,
  type Hello,
  helloOf,
  newSession,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  stepSession,
} from "@fascicle/core";
import type { Endpoint, EndpointUser, Network } from "./network.ts";
import type { Process } from "./process.ts";

const versions = { min: 1, max: 1 };

/** How long a client waits before it dials again: at once, then this, then twice as long each time. */
const redialMs = { first: 50, longest: 1_000 };

/** Ticks that a new connection may go without a hello. */
const helloTicks = 10;

type Frame =
  | { readonly kind: "hello"; readonly hello: Hello }
  | {
      readonly kind: "frame";
      readonly sequence: number;
      readonly acknowledged: number;
      readonly body: Body;
    }
  | { readonly kind: "ack"; readonly acknowledged: number }
  | { readonly kind: "ping" }
  | { readonly kind: "forgotten"; readonly reason: string }
  | { readonly kind: "goodbye"; readonly reason: string };

/** What the owners of sessions send each other. */
export interface Body {
  readonly type: string;
  /** Of the payload, beside the message. */
  readonly bytes?: number;
}

/** About what a message takes without its payload. */
const messageBytes = 100;

export interface SessionUser {
  received(message: Body): void;
  away(): void;
  back(): void;
  closed(reason: string): void;
}

/** Counts of the simulator's own work, shared by all sessions of a run. */
export interface SessionCounts {
  steps: number;
  checksEvery: number;
}

/** One end of a session. */
export class Session {
  readonly state: SessionState;
  readonly #counts: SessionCounts;
  readonly #bodies = new FrameQueue<Body>();
  #user: SessionUser | undefined;
  endpoint: Endpoint | undefined;
  /** The peer ended it in due form. */
  saidGoodbye = false;
  /** Something went since the last tick: no ping is needed. */
  #hasSent = false;

  constructor(counts: SessionCounts, name?: string) {
    this.#counts = counts;
    this.state = newSession(versions, name);
  }

  start(user: SessionUser): void {
    this.#user = user;
  }

  get isOver(): boolean {
    return this.state.phase === "closed";
  }

  /** It stands, and nothing that was sent waits for an acknowledgement. */
  get isFlushed(): boolean {
    return this.state.phase === "open" && this.state.retained.size === 0;
  }

  send(body: Body): void {
    if (this.isOver) return;
    this.#bodies.push(body);
    this.#step({ type: "FrameGiven", bytes: messageBytes + (body.bytes ?? 0) });
  }

  /** A connection stands and the peer's hello has come on it; `answer` goes out before anything else. */
  connected(endpoint: Endpoint, hello: Hello, answers: boolean): void {
    if (this.isOver) return;
    const wasAway = this.state.phase === "away";
    const earlier = this.endpoint;
    this.endpoint = endpoint;
    if (earlier !== undefined && earlier !== endpoint) earlier.close();
    if (answers) this.#transmit({ kind: "hello", hello: helloOf(this.state) });
    this.#step({ type: "Connected", hello });
    if (wasAway && !this.isOver) this.#user?.back();
  }

  disconnected(): void {
    this.endpoint = undefined;
    if (this.state.phase !== "open") return;
    this.#step({ type: "Disconnected" });
    this.#user?.away();
  }

  frame(frame: Frame): void {
    if (this.isOver) return;
    switch (frame.kind) {
      case "frame": {
        const { sequence, acknowledged, body } = frame;
        const bytes = messageBytes + (body.bytes ?? 0);
        this.#step({ type: "FrameReceived", sequence, acknowledged, bytes }, body);
        return;
      }
      case "ack":
        this.#step({ type: "AckReceived", acknowledged: frame.acknowledged });
        return;
      case "forgotten":
        this.#step({ type: "Forgotten", reason: frame.reason });
        return;
      case "goodbye":
        this.saidGoodbye = true;
        this.#step({ type: "Closed", reason: frame.reason });
    }
  }

  tick(): void {
    if (this.state.phase !== "open") return;
    this.#step({ type: "Ticked" });
    if (!this.#hasSent) this.#transmit({ kind: "ping" });
    this.#hasSent = false;
  }

  /** Says goodbye and ends. */
  close(reason: string): void {
    if (this.isOver) return;
    this.#transmit({ kind: "goodbye", reason });
    this.#step({ type: "Closed", reason });
  }

  /** Ends it without a word to the peer, who may not hear it. */
  giveUp(reason: string): void {
    if (!this.isOver) this.#step({ type: "Closed", reason });
  }

  #transmit(frame: Frame): void {
    this.#hasSent = true;
    this.endpoint?.send(frame);
  }

  #step(event: SessionEvent, received?: Body): void {
    const effects: SessionEffect[] = [];
    this.#counts.steps++;
    stepSession(this.state, event, effects);
    if (this.#counts.checksEvery > 0 && this.#counts.steps % this.#counts.checksEvery === 0) {
      checkSessionInvariants(this.state);
    }
    for (const effect of effects) this.#carryOut(effect, received);
  }

  #carryOut(effect: SessionEffect, received: Body | undefined): void {
    switch (effect.type) {
      case "Transmit": {
        const body = this.#bodies.get(effect.sequence);
        if (body === undefined) throw new Error(`Frame ${effect.sequence} is not there any more.`);
        const { sequence, acknowledged } = effect;
        this.#transmit({ kind: "frame", sequence, acknowledged, body });
        return;
      }
      case "Acknowledge":
        this.#transmit({ kind: "ack", acknowledged: effect.acknowledged });
        return;
      case "Deliver":
        this.#user?.received(received!);
        return;
      case "Forget":
        while (this.#bodies.size > 0 && this.#bodies.first <= effect.through) this.#bodies.shift();
        return;
      case "End":
        this.endpoint?.close();
        this.endpoint = undefined;
        this.#user?.closed(effect.reason);
    }
  }
}

/** The client's end: it dials again when its connection breaks, until it is given up. */
export class ClientSession extends Session implements EndpointUser {
  readonly #owner: Process;
  readonly #network: Network;
  readonly #heard: () => void;
  /** Wakes the owner after this time, who then calls `redial`. */
  readonly #appoint: (delayMs: number) => void;
  #redialMs = 0;
  #isDialling = false;
  /** A connection that stands, on which the head has not said hello yet. */
  #pending: Endpoint | undefined;
  #ticksPending = 0;

  constructor(
    owner: Process,
    network: Network,
    counts: SessionCounts,
    heard: () => void,
    appoint: (delayMs: number) => void,
  ) {
    super(counts);
    this.#owner = owner;
    this.#network = network;
    this.#heard = heard;
    this.#appoint = appoint;
  }

  redial(): void {
    if (this.isOver || this.#isDialling || this.endpoint !== undefined) return;
    this.#isDialling = true;
    this.#network.dial(this.#owner, this);
  }

  /** Gives up a connection on which no hello comes. */
  tickDial(): void {
    if (this.#pending === undefined || ++this.#ticksPending < helloTicks) return;
    const pending = this.#pending;
    this.#pending = undefined;
    pending.close();
    this.#brokenOn(pending);
  }

  /** The network found the head; its hello is still to come. */
  established(endpoint: Endpoint): void {
    if (this.isOver) {
      endpoint.close();
      return;
    }
    this.#pending = endpoint;
    this.#ticksPending = 0;
    endpoint.send({ kind: "hello", hello: helloOf(this.state) });
    endpoint.user = {
      received: (frame) => this.#receivedOn(endpoint, frame as Frame),
      broken: () => this.#brokenOn(endpoint),
    };
  }

  #receivedOn(endpoint: Endpoint, frame: Frame): void {
    if (this.isOver) {
      endpoint.close();
      return;
    }
    this.#heard();
    if (frame.kind === "hello") {
      this.#isDialling = false;
      this.#pending = undefined;
      this.#redialMs = 0;
      this.connected(endpoint, frame.hello, false);
      return;
    }
    this.frame(frame);
    if (this.isOver) endpoint.close();
  }

  #brokenOn(endpoint: Endpoint): void {
    if (this.isOver) return;
    this.#isDialling = false;
    this.#pending = undefined;
    if (this.endpoint === endpoint) this.disconnected();
    this.#redialSoon();
  }

  #redialSoon(): void {
    if (this.isOver) return;
    const delayMs = this.#redialMs;
    this.#redialMs = Math.min(redialMs.longest, Math.max(redialMs.first, 2 * delayMs));
    this.#appoint(delayMs);
  }

  received(): void {
    throw new Error("A connection that does not stand has no messages.");
  }

  /** Nobody answered. */
  broken(): void {
    this.#isDialling = false;
    this.#redialSoon();
  }
}

/** The head's side: finds the session that a new connection carries on. */
export class SessionServer {
  readonly #counts: SessionCounts;
  readonly #sessions = new Map<string, Session>();
  readonly #onSession: (session: Session) => void;
  readonly #onHeard: (session: Session) => void;
  readonly #onConnected: (session: Session) => void;
  readonly #prefix: string;
  #named = 0;

  constructor(
    prefix: string,
    counts: SessionCounts,
    onSession: (session: Session) => void,
    onConnected: (session: Session) => void,
    onHeard: (session: Session) => void,
  ) {
    this.#prefix = prefix;
    this.#counts = counts;
    this.#onSession = onSession;
    this.#onConnected = onConnected;
    this.#onHeard = onHeard;
  }

  sessions(): Iterable<Session> {
    return this.#sessions.values();
  }

  forget(session: Session): void {
    this.#sessions.delete(session.state.session!);
  }

  accepted(endpoint: Endpoint): EndpointUser {
    let session: Session | undefined;
    return {
      received: (message) => {
        const frame = message as Frame;
        if (frame.kind === "hello") {
          session = this.#sessionFor(endpoint, frame.hello);
          return;
        }
        // A later connection has taken the session over.
        if (session === undefined || session.endpoint !== endpoint) return;
        this.#onHeard(session);
        session.frame(frame);
      },
      broken: () => {
        if (session?.endpoint === endpoint) session.disconnected();
      },
    };
  }

  #sessionFor(endpoint: Endpoint, hello: Hello): Session | undefined {
    let session: Session | undefined;
    if (hello.session === undefined) {
      const name = `${this.#prefix}.${++this.#named}`;
      session = new Session(this.#counts, name);
      this.#sessions.set(name, session);
      this.#onSession(session);
    } else {
      session = this.#sessions.get(hello.session);
      if (session === undefined || session.isOver) {
        const reason = "the head does not know this session";
        endpoint.send({ kind: "forgotten", reason });
        endpoint.close();
        return undefined;
      }
    }
    this.#onConnected(session);
    session.connected(endpoint, hello, true);
    return session;
  }
}
