/** The head of the simulated cluster: the real scheduler, failure detector, sessions and journal records. It can be killed. */
import {
  checkDetectorInvariants,
  checkHeadInvariants,
  type DetectorEffect,
  type DetectorEvent,
  defaultDetectorLimits,
  type HeadState,
  newDetector,
  stepDetector,
} from "@fascicle/core";
import type { Disk } from "./disk.ts";
import { HeadDesk, type Post } from "./headDesk.ts";
import { batchMs, Journal } from "./journal.ts";
import type { FromDriver, FromHost, Named, ToDriver, ToHost } from "./messages.ts";
import type { Endpoint, EndpointUser } from "./network.ts";
import { Process } from "./process.ts";
import type { Random } from "./random.ts";
import { type Body, type Session, SessionServer } from "./session.ts";
import type { World } from "./world.ts";

/** The scheduler hears of time this often. */
const headTickMs = 250;

const codes = { tick: 0, detectorTick: 1, write: 2, synced: 3 };

export class HeadProcess extends Process implements Post {
  readonly #world: World;
  readonly #detector = newDetector();
  readonly #server: SessionServer;
  readonly #journal: Journal;
  readonly #desk: HeadDesk;
  readonly #disk: Disk;
  readonly #agents = new Map<string, Session>();
  readonly #agentOf = new Map<Session, string>();
  readonly #heard = new Set<Session>();
  #isWriteAppointed = false;
  #wallOffsetMs = 0;
  /** When it last stood still, or its clock was set; it began undisturbed. */
  disturbedMs = Number.NEGATIVE_INFINITY;

  constructor(name: string, world: World, disk: Disk) {
    super(name, 0, world.clock);
    this.#world = world;
    this.#disk = disk;
    this.#server = new SessionServer(
      name,
      world.sessions,
      (session) => this.#serve(session),
      (session) => this.#detect({ type: "Connected", peer: session.state.session! }),
      (session) => this.#hear(session),
    );
    const { journal, jobs } = Journal.open(disk);
    this.#journal = journal;
    world.network.listen({ process: this, accepted: (endpoint) => this.accepted(endpoint) });
    this.clock.after(headTickMs, this, codes.tick);
    this.clock.after(defaultDetectorLimits.tickIntervalMs, this, codes.detectorTick);
    this.#desk = new HeadDesk(this, world, journal);
    for (const [job, settled] of jobs) this.#desk.restore(job, settled);
  }

  get scheduler(): HeadState {
    return this.#desk.state;
  }

  sessionOf(agent: string): Session | undefined {
    return this.#agents.get(agent);
  }

  accepted(endpoint: Endpoint): EndpointUser {
    return this.#server.accepted(endpoint);
  }

  /** What is left of jobs here, for the end of a run. */
  residue(): string[] {
    return this.#desk.residue();
  }

  stepClock(byMs: number): void {
    this.#wallOffsetMs += byMs;
    this.disturbedMs = this.clock.nowMs;
  }

  override resume(): void {
    this.disturbedMs = this.clock.nowMs;
    super.resume();
  }

  checkAll(): void {
    checkHeadInvariants(this.#desk.state);
    checkDetectorInvariants(this.#detector);
  }

  repeatStale(random: Random): void {
    if (this.state === "running") this.#desk.repeatStale(random);
  }

  protected run(code: number): void {
    switch (code) {
      case codes.tick:
        this.clock.after(headTickMs, this, codes.tick);
        this.#desk.apply({ type: "Tick" });
        return;
      case codes.detectorTick:
        this.clock.after(defaultDetectorLimits.tickIntervalMs, this, codes.detectorTick);
        for (const session of [...this.#server.sessions()]) session.tick();
        this.#detect({ type: "Ticked", nowMs: this.clock.nowMs + this.#wallOffsetMs });
        checkDetectorInvariants(this.#detector);
        this.#heard.clear();
        return;
      case codes.write:
        this.#isWriteAppointed = false;
        this.#journal.write();
        this.clock.after(this.#disk.syncMs, this, codes.synced);
        return;
      case codes.synced:
        this.#journal.synced();
        this.writeSoon();
    }
  }

  writeSoon(): void {
    if (this.#isWriteAppointed || this.#journal.isSyncing || this.#journal.isEmpty) return;
    this.#isWriteAppointed = true;
    this.clock.after(batchMs, this, codes.write);
  }

  #hear(session: Session): void {
    if (this.#heard.has(session)) return;
    this.#heard.add(session);
    this.#detect({ type: "Heard", peer: session.state.session! });
  }

  #detect(event: DetectorEvent): void {
    const effects: DetectorEffect[] = [];
    this.#world.steps.detectors++;
    stepDetector(this.#detector, event, effects);
    for (const effect of effects) {
      if (effect.type !== "Dead") continue;
      for (const session of this.#server.sessions()) {
        if (session.state.session !== effect.peer) continue;
        session.giveUp(effect.reason);
        break;
      }
    }
  }

  #serve(session: Session): void {
    const peer = session.state.session!;
    session.start({
      received: (message) => this.#received(session, message),
      away: () => {
        this.#detect({ type: "Disconnected", peer });
        const agent = this.#agentOf.get(session);
        if (agent !== undefined) this.#desk.apply({ type: "AgentAway", agent });
      },
      back: () => {
        const agent = this.#agentOf.get(session);
        if (agent !== undefined) this.#desk.apply({ type: "AgentBack", agent });
      },
      closed: (reason) => this.#closed(session, reason),
    });
  }

  #closed(session: Session, reason: string): void {
    const agent = this.#agentOf.get(session);
    this.#world.trace.note(this.name, "session over", agent ?? reason);
    this.#detect({ type: "Removed", peer: session.state.session! });
    this.#server.forget(session);
    this.#agentOf.delete(session);
    if (agent !== undefined) {
      this.#agents.delete(agent);
      this.#desk.hostLost(agent);
      this.#desk.apply({ type: "AgentLeft", agent, isDeath: !session.saidGoodbye });
      return;
    }
    this.#desk.driverLost(session);
  }

  #received(session: Session, body: Body): void {
    const agent = this.#agentOf.get(session);
    if (body.type === "hello") this.#join(session, body as Extract<FromHost, { type: "hello" }>);
    else if (agent === undefined) this.#desk.fromDriver(session, body as FromDriver);
    else this.#desk.fromHost(agent, body as Exclude<FromHost, { type: "hello" }>);
  }

  #join(session: Session, hello: Extract<FromHost, { type: "hello" }>): void {
    const { agent, slots, memoryBytes, replaces, holds } = hello;
    const earlier = replaces === undefined ? undefined : this.#agents.get(replaces);
    if (replaces !== undefined && earlier !== undefined) {
      // The scheduler hears of its end by the word of its successor.
      this.#agents.delete(replaces);
      this.#agentOf.delete(earlier);
      this.#desk.hostLost(replaces);
      earlier.giveUp("a later session of the same process");
    }
    this.#agents.set(agent, session);
    this.#agentOf.set(session, agent);
    this.#desk.apply({ type: "AgentJoined", agent, slots, memoryBytes, replaces, holds });
  }

  toHost(agent: string, message: ToHost): void {
    const { job, object, actor } = message as Named;
    this.#world.trace.note(this.name, message.type, agent, job ?? object ?? actor);
    this.#agents.get(agent)?.send(message);
  }

  toDrivers(message: ToDriver): void {
    for (const session of this.#server.sessions()) {
      if (!this.#agentOf.has(session)) session.send(message);
    }
  }
}
