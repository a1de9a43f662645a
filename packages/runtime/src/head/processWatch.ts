/** Looks whether the process behind a broken session still lives, where it is one of this machine. */
import { type Owner, stateOfOwner } from "@fascicle/object-store";
import type { Session } from "@fascicle/transport";

/** While a peer cannot be reached, its process is looked for this often. */
const lookMs = 100;

export class ProcessWatch {
  readonly #session: Session;
  #owner: Owner | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isDead = false;

  constructor(session: Session) {
    this.#session = session;
  }

  /** The process that the peer says it is. */
  set owner(owner: Owner) {
    this.#owner = owner;
  }

  /** It was found dead, and need not be waited for. */
  get isDead(): boolean {
    return this.#isDead;
  }

  away(): void {
    this.#timer ??= setInterval(() => this.#look(), lookMs);
    this.#look();
  }

  /** The peer is back, or the session is over. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    if (this.#isDead || this.#owner === undefined || stateOfOwner(this.#owner) !== "dead") return;
    this.#isDead = true;
    this.stop();
    this.#session.terminate("its process died");
  }
}
