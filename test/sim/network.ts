/** Honest TCP between simulated processes: ordered streams of messages that are late, stand still, break, or break for one end only. */
import type { Clock, Sleeper } from "./clock.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";

export interface NetworkLimits {
  readonly latencyMs: { readonly low: number; readonly high: number };
  /** A dial that gets no answer is given up after this. */
  readonly dialTimeoutMs: number;
}

export interface EndpointUser {
  received(message: unknown): void;
  /** The connection is gone: this end has been told. */
  broken(): void;
}

/** The end of a stream as its last message. */
const fin = Symbol("fin");

/** One end of a connection. Its inbound stream lies here. */
export class Endpoint implements Sleeper {
  readonly owner: Process;
  readonly #network: Network;
  peer: Endpoint | undefined;
  user: EndpointUser | undefined;
  /** Neither sends nor receives any more. */
  isClosed = false;
  /** What it sends goes nowhere, and nobody says so. */
  isDeaf = false;
  /** Nothing arrives before. */
  stalledUntilMs = 0;
  readonly #inbound: unknown[] = [];
  readonly #arrivalsMs: number[] = [];
  #first = 0;
  #lastArrivalMs = 0;
  #isAppointed = false;

  constructor(owner: Process, network: Network) {
    this.owner = owner;
    this.#network = network;
    owner.endpoints.add(this);
  }

  get clock(): Clock {
    return this.owner.clock;
  }

  get #peerMachine(): number {
    return this.peer?.owner.machine ?? this.owner.machine;
  }

  send(message: unknown): void {
    if (this.isClosed || this.isDeaf) return;
    if (this.peer !== undefined) this.peer.#arrive(message);
  }

  /** Ends the stream after what was sent. */
  close(): void {
    if (this.isClosed) return;
    if (!this.isDeaf && this.peer !== undefined) this.peer.#arrive(fin);
    this.#end();
  }

  /** The other machine is gone: nobody sends again what had not arrived. */
  orphan(): void {
    this.isDeaf = true;
    const isHeldBack =
      this.stalledUntilMs > this.clock.nowMs ||
      this.#network.isSeparated(this.owner.machine, this.#peerMachine);
    const { nowMs } = this.clock;
    let arrived = this.#first;
    while (!isHeldBack && this.#arrivalsMs[arrived] <= nowMs) arrived++;
    this.#inbound.length = arrived;
    this.#arrivalsMs.length = arrived;
  }

  /** The process is dead: what it had sent still arrives, then the end. */
  abandon(): void {
    this.close();
  }

  /** This end learns that the connection is broken; what was on its way here is lost. */
  break(): void {
    if (this.isClosed) return;
    this.#end();
    this.user?.broken();
  }

  #end(): void {
    this.isClosed = true;
    this.#inbound.length = 0;
    this.#arrivalsMs.length = 0;
    this.#first = 0;
    this.owner.endpoints.delete(this);
    this.#network.forget(this);
  }

  #arrive(message: unknown): void {
    if (this.isClosed) return;
    const { nowMs } = this.clock;
    const dueMs = nowMs + this.#network.latencyMs(this.owner.machine, this.#peerMachine);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, dueMs);
    this.#inbound.push(message);
    this.#arrivalsMs.push(this.#lastArrivalMs);
    this.#appoint();
  }

  #appoint(): void {
    if (this.#isAppointed || this.#first === this.#inbound.length) return;
    this.#isAppointed = true;
    const dueMs = Math.max(this.#arrivalsMs[this.#first], this.stalledUntilMs, this.clock.nowMs);
    this.clock.at(dueMs, this, 0);
  }

  wake(): void {
    this.#isAppointed = false;
    this.deliver();
  }

  /** Hands over what has arrived, if its process runs and the network lets it through. */
  deliver(): void {
    if (this.isClosed || this.owner.state !== "running") return;
    const { nowMs } = this.clock;
    if (this.#network.isSeparated(this.owner.machine, this.#peerMachine)) return;
    while (
      nowMs >= this.stalledUntilMs &&
      this.#first < this.#inbound.length &&
      this.#arrivalsMs[this.#first] <= nowMs
    ) {
      const message = this.#inbound[this.#first++];
      if (message === fin) {
        this.break();
        return;
      }
      this.#network.delivered++;
      this.user?.received(message);
      if (this.isClosed || this.owner.state !== "running") return;
    }
    if (this.#first === this.#inbound.length || this.#first > 1_000) {
      this.#inbound.splice(0, this.#first);
      this.#arrivalsMs.splice(0, this.#first);
      this.#first = 0;
    }
    this.#appoint();
  }
}

export interface Dialler extends EndpointUser {
  established(endpoint: Endpoint): void;
}

export interface Listener {
  readonly process: Process;
  accepted(endpoint: Endpoint): EndpointUser;
}

export class Network {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: NetworkLimits;
  #listener: Listener | undefined;
  /** Machines that nobody outside of this set can reach. */
  readonly #separated = new Set<number>();
  readonly #endpoints = new Set<Endpoint>();
  delivered = 0;

  constructor(clock: Clock, random: Random, limits: NetworkLimits) {
    this.#clock = clock;
    this.#random = random;
    this.#limits = limits;
  }

  latencyMs(one: number, other: number): number {
    const { low, high } = this.#limits.latencyMs;
    return one === other ? low / 10 : this.#random.between(low, high);
  }

  isSeparated(one: number, other: number): boolean {
    if (this.#separated.size === 0) return false;
    return this.#separated.has(one) !== this.#separated.has(other);
  }

  listen(listener: Listener): void {
    this.#listener = listener;
  }

  /** Connects to the listener: tells `user` by `established`, or by `broken` where nobody answers. */
  dial(owner: Process, user: Dialler): void {
    const near = new Endpoint(owner, this);
    near.user = user;
    this.#endpoints.add(near);
    const attempt = new Dial(this, near, user);
    const latencyMs = this.latencyMs(owner.machine, 0);
    this.#clock.after(2 * latencyMs, attempt, 0);
    this.#clock.after(this.#limits.dialTimeoutMs, attempt, 1);
  }

  /** The listener's end for a dial, undefined where it is dead. */
  answer(near: Endpoint): Endpoint | undefined {
    const listener = this.#listener;
    if (listener === undefined || listener.process.state === "dead") return undefined;
    const far = new Endpoint(listener.process, this);
    this.#endpoints.add(far);
    far.peer = near;
    near.peer = far;
    far.user = listener.accepted(far);
    return far;
  }

  forget(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint);
  }

  /** Separates machines from all others; what is sent meanwhile arrives when they are joined again. */
  separate(machines: Iterable<number>): void {
    for (const machine of machines) this.#separated.add(machine);
  }

  join(machines: Iterable<number>): void {
    for (const machine of machines) this.#separated.delete(machine);
    for (const endpoint of [...this.#endpoints]) {
      if (endpoint.peer !== undefined) endpoint.deliver();
    }
  }

  endpoints(): Endpoint[] {
    return [...this.#endpoints].filter((endpoint) => endpoint.peer !== undefined);
  }

  /** Breaks a connection: each end that `learns` is told, the other one never. What was on its way is lost. */
  cut(near: Endpoint, nearLearns: boolean, farLearns: boolean): void {
    const far = near.peer;
    if (far === undefined) return;
    near.isDeaf = true;
    far.isDeaf = true;
    if (nearLearns) this.#clock.after(this.latencyMs(near.owner.machine, -1), new Break(near), 0);
    if (farLearns) this.#clock.after(this.latencyMs(far.owner.machine, -1), new Break(far), 0);
  }

  /** A machine lost its power or its cable: nobody is told of the end of its connections. */
  vanish(process: Process): void {
    for (const endpoint of process.endpoints) {
      endpoint.isDeaf = true;
      endpoint.peer?.orphan();
    }
  }

  /** Ends all stalls. */
  mend(): void {
    for (const endpoint of [...this.#endpoints]) {
      endpoint.stalledUntilMs = 0;
      endpoint.deliver();
    }
  }

  stall(endpoint: Endpoint, forMs: number): void {
    endpoint.stalledUntilMs = Math.max(endpoint.stalledUntilMs, this.#clock.nowMs + forMs);
    // What is due already waits with what comes later: the appointment that is made finds the stall and makes another.
  }
}

class Break implements Sleeper {
  readonly #endpoint: Endpoint;
  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }
  wake(): void {
    if (this.#endpoint.owner.state === "paused") {
      this.#endpoint.owner.clock.after(100, this, 0);
      return;
    }
    this.#endpoint.break();
  }
}

class Dial implements Sleeper {
  readonly #network: Network;
  readonly #near: Endpoint;
  readonly #user: Dialler;
  #isOver = false;

  constructor(network: Network, near: Endpoint, user: Dialler) {
    this.#network = network;
    this.#near = near;
    this.#user = user;
  }

  wake(code: number): void {
    if (this.#isOver || this.#near.isClosed) return;
    const { owner } = this.#near;
    const isReachable = !this.#network.isSeparated(owner.machine, 0);
    if (code === 0 && !isReachable) return;
    if (owner.state === "paused") {
      owner.clock.after(100, this, code);
      return;
    }
    this.#isOver = true;
    if (code === 0 && this.#network.answer(this.#near) !== undefined) {
      this.#user.established(this.#near);
      return;
    }
    this.#near.isDeaf = true;
    this.#near.break();
  }
}
