/** For tests: what befalls one end of a session. */
import type { Session } from "../session.ts";

export interface Received {
  readonly index: number;
  readonly payload: Uint8Array;
}

/** One end of a session, and all that befell it. */
export class Witness {
  readonly session: Session;
  readonly received: Received[] = [];
  readonly log: string[] = [];
  reason: string | undefined;
  readonly closed: Promise<string>;

  constructor(session: Session) {
    this.session = session;
    this.closed = new Promise((resolve) =>
      session.start({
        onMessage: (message, payload) => {
          const { index } = message as { index: number };
          this.received.push({ index, payload });
        },
        onClose: (reason) => {
          this.log.push("closed");
          this.reason = reason;
          resolve(reason);
        },
        onAway: () => this.log.push("away"),
        onBack: () => this.log.push("back"),
      }),
    );
  }
}

export async function until<T>(condition: () => T | undefined | false, what: string): Promise<T> {
  const limitMs = performance.now() + 20_000;
  for (;;) {
    const value = condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > limitMs) throw new Error(`waited in vain for ${what}`);
    await sleep(5);
  }
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
