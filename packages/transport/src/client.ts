/** A client's session with a head: dialled, and dialled again when its connection breaks. */
import type { SessionEnd } from "@fascicle/core";
import { ConnectError, shakeHands } from "./handshake.ts";
import type { JoinString } from "./joinString.ts";
import { redialDelayLimitMs, redialDelayMs } from "./limits.ts";
import type { Role } from "./proof.ts";
import { Session, type SessionOwner } from "./session.ts";
import { Watch } from "./watch.ts";

/**
 * Opens a session with a head. Throws `ConnectError` where no head is reached or it refuses. From then on a broken
 * connection is dialled again until it stands, the head says that it does not know the session, or the time for
 * it is over (`defaultDetectorLimits` in core); then the session closes.
 */
export async function dial(join: JoinString, role: Role): Promise<Session> {
  const dialler = new Dialler(join, role);
  await dialler.connect();
  return dialler.session;
}

class Dialler implements SessionOwner {
  readonly session: Session;
  readonly #join: JoinString;
  readonly #role: Role;
  readonly #watch = new Watch(() => void this.#redial());
  readonly #over = new AbortController();
  #connectedMs = 0;
  #isDialling = false;

  constructor(join: JoinString, role: Role) {
    this.#join = join;
    this.#role = role;
    this.session = new Session(this);
  }

  async connect(): Promise<void> {
    const { session } = this;
    const hands = await shakeHands(this.#join, this.#role, session.hello(), this.#over.signal);
    session.attach(hands.connection, hands.hello);
  }

  onConnected(session: Session): void {
    this.#connectedMs = performance.now();
    this.#watch.connected(session);
  }

  onAway(session: Session): void {
    this.#watch.away(session);
  }

  onEnded(session: Session, _end: SessionEnd, _reason: string): void {
    this.#watch.ended(session);
    this.#over.abort();
  }

  /**
   * Tries for as long as the head is not trusted. Where it is only silent, the old connection stays until a new
   * one stands: whichever is alive first counts.
   */
  async #redial(): Promise<void> {
    if (this.#isDialling) return;
    this.#isDialling = true;
    // A connection that breaks as soon as it stands must not be dialled without a pause.
    const isFlapping = performance.now() - this.#connectedMs < redialDelayLimitMs;
    let waitMs = isFlapping ? redialDelayMs : 0;
    while (this.session.isOpen && this.#watch.isSuspect(this.session)) {
      await this.#pause(waitMs);
      waitMs = Math.min(redialDelayLimitMs, Math.max(redialDelayMs, 2 * waitMs));
      if (!this.session.isOpen || !this.#watch.isSuspect(this.session)) break;
      try {
        await this.connect();
      } catch (error) {
        if (error instanceof ConnectError && error.isTransient) continue;
        this.session.forgotten((error as Error).message);
      }
    }
    this.#isDialling = false;
  }

  /** Waits so long, or until the session is over. */
  async #pause(waitMs: number): Promise<void> {
    if (waitMs === 0) return;
    const { signal } = this.#over;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
