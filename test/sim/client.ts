/** A process that keeps a session with the head: a host's agent, or a driver. */
import {
  type DetectorEffect,
  type DetectorEvent,
  defaultDetectorLimits,
  newDetector,
  type Range,
  stepDetector,
} from "@fascicle/core";
import type { Named } from "./messages.ts";
import { Process } from "./process.ts";
import { type Body, ClientSession } from "./session.ts";
import type { World } from "./world.ts";

/** Wake codes of clients are even numbers below 8; those of their children are odd or above. */
const tickCode = 0;
const redialCode = 2;
const reconnectCode = 4;

/** A process that lost its head looks for it again after this. */
export const reconnectMs = 300;

const head = "head";

export abstract class ClientProcess extends Process {
  readonly world: World;
  readonly #detector = newDetector();
  /** Its clock differs from the true time by this, and is set now and then. */
  wallOffsetMs = 0;
  session!: ClientSession;
  #hasHeard = false;

  constructor(name: string, machine: number, world: World) {
    super(name, machine, world.clock);
    this.world = world;
  }

  /** Looks for the head. */
  begin(): void {
    this.#connect();
    this.clock.after(defaultDetectorLimits.tickIntervalMs, this, tickCode);
  }

  /** A new session was made: says who it is. */
  protected abstract introduce(): void;
  protected abstract received(message: Body): void;
  /** The session is over for good. */
  protected abstract sessionLost(reason: string): void;
  /** Appointments of its own: code is neither 0, 2 nor 4. */
  protected abstract runOwn(code: number): void;

  send(body: Body): void {
    this.#note("says", body);
    this.session.send(body);
  }

  #note(how: string, body: Body): void {
    const { job, object, actor } = body as Named;
    const { start, end } = (body as { readonly chunks?: Range }).chunks ?? { start: 0, end: 0 };
    this.world.trace.note(this.name, how, body.type, job ?? object ?? actor, start, end);
  }

  protected run(code: number): void {
    switch (code) {
      case tickCode:
        this.#tick();
        return;
      case redialCode:
        this.session.redial();
        return;
      case reconnectCode:
        this.#connect();
        return;
      default:
        this.runOwn(code);
    }
  }

  #connect(): void {
    const session = new ClientSession(
      this,
      this.world.network,
      this.world.sessions,
      () => this.#heard(),
      (delayMs) => this.clock.after(delayMs, this, redialCode),
    );
    this.session = session;
    session.start({
      received: (message) => {
        this.#note("hears", message);
        this.received(message);
      },
      away: () => this.#detect({ type: "Disconnected", peer: head }),
      back: () => this.#detect({ type: "Connected", peer: head }),
      closed: (reason) => {
        if (this.session !== session) return;
        this.world.trace.note(this.name, "lost the head", reason);
        this.#detect({ type: "Removed", peer: head });
        this.#hasHeard = false;
        this.sessionLost(reason);
        this.clock.after(reconnectMs, this, reconnectCode);
      },
    });
    this.introduce();
    session.redial();
  }

  #heard(): void {
    if (this.#hasHeard) return;
    this.#hasHeard = true;
    this.#detect({ type: "Connected", peer: head });
  }

  #tick(): void {
    this.clock.after(defaultDetectorLimits.tickIntervalMs, this, tickCode);
    this.session.tick();
    this.session.tickDial();
    this.#detect({ type: "Ticked", nowMs: this.clock.nowMs + this.wallOffsetMs });
    this.#hasHeard = false;
  }

  #detect(event: DetectorEvent): void {
    const effects: DetectorEffect[] = [];
    this.world.steps.detectors++;
    stepDetector(this.#detector, event, effects);
    for (const effect of effects) {
      if (effect.type === "Dead") this.session.giveUp(effect.reason);
    }
  }
}
