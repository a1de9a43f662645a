/** Long work in pieces: others get the event loop in between. */
import { setImmediate as nextTurn } from "node:timers/promises";

/** Work goes on for this long at most before others get their turn. */
const pieceMs = 5;

export class Turns {
  #begunMs = performance.now();

  /** To be called often. Gives back a promise to await where it is the others' turn. */
  pause(): Promise<void> | undefined {
    if (performance.now() - this.#begunMs < pieceMs) return undefined;
    return nextTurn().then(() => this.begin());
  }

  /** Work begins now, for example behind a wait for the disk. */
  begin(): void {
    this.#begunMs = performance.now();
  }
}
