import {
  type DetectorEvent,
  defaultDetectorLimits,
  newDetector,
  stepDetector,
} from "@fascicle/core";
import { pingIntervalMs } from "./limits.ts";
import type { Session } from "./session.ts";

const { tickIntervalMs } = defaultDetectorLimits;
const ticksPerPing = Math.round(pingIntervalMs / tickIntervalMs);

/** Pings the peers of sessions, and ends the sessions of those that are gone. */
export class Watch {
  readonly #detector = newDetector();
  readonly #sessions = new Map<string, Session>();
  readonly #onSuspect: (session: Session) => void;
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;

  /** `onSuspect` hears of sessions whose peer is silent, or whose connection broke. */
  constructor(onSuspect: (session: Session) => void) {
    this.#onSuspect = onSuspect;
  }

  connected(session: Session): void {
    if (session.id === undefined) return;
    this.#sessions.set(session.id, session);
    this.#timer ??= setInterval(() => this.#tick(), tickIntervalMs);
    this.#step({ type: "Connected", peer: session.id });
  }

  away(session: Session): void {
    if (session.id !== undefined) this.#step({ type: "Disconnected", peer: session.id });
  }

  ended(session: Session): void {
    if (session.id === undefined) return;
    this.#sessions.delete(session.id);
    this.#step({ type: "Removed", peer: session.id });
    if (this.#sessions.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  isSuspect(session: Session): boolean {
    return this.#detector.peers.get(session.id ?? "")?.isSuspect ?? false;
  }

  #tick(): void {
    this.#ticks++;
    for (const [peer, session] of this.#sessions) {
      if (session.takeHeard()) this.#step({ type: "Heard", peer });
      if (this.#ticks % ticksPerPing === 0) session.ping();
    }
    // A clock that nobody sets, and that stands still while the machine sleeps.
    this.#step({ type: "Ticked", nowMs: performance.now() });
  }

  #step(event: DetectorEvent): void {
    const effects: Parameters<typeof stepDetector>[2] = [];
    stepDetector(this.#detector, event, effects);
    for (const effect of effects) {
      const session = this.#sessions.get(effect.peer);
      if (session === undefined) continue;
      if (effect.type === "Dead") session.terminate(effect.reason);
      else if (effect.type === "Suspect") this.#onSuspect(session);
    }
  }
}
