/**
 * Whether the holder of a claim lives that cannot be seen from here, in another container or on another host: it
 * touches its claim while it lives. What is compared are times of one clock only, as hosts' clocks differ.
 */
import { open, utimes } from "node:fs/promises";
import { claimBeatMs, claimLookMs, longSilenceMs, silentClaimMs } from "./limits.ts";

/** What was last seen of a claim, and since when nothing else was (`performance.now()`). */
interface Sight {
  readonly touchedMs: number;
  readonly sinceMs: number;
}

export class ClaimWatch {
  readonly #sights = new Map<string, Sight>();

  /** Whether its holder is heard of. That it is not takes as long as a living one may be silent, the first time. */
  async isHeard(file: string): Promise<boolean> {
    for (;;) {
      const touchedMs = await touchedAtMs(file);
      if (touchedMs === undefined || Date.now() - touchedMs > longSilenceMs) return false;
      const last = this.#sights.get(file);
      if (last !== undefined && last.touchedMs !== touchedMs) {
        this.#sights.delete(file);
        return true;
      }
      const nowMs = performance.now();
      if (last === undefined) this.#sights.set(file, { touchedMs, sinceMs: nowMs });
      else if (nowMs - last.sinceMs > silentClaimMs) return false;
      await new Promise((resolve) => setTimeout(resolve, claimLookMs));
    }
  }
}

/** Undefined where it is gone. It is opened, because a network file system answers from memory else. */
async function touchedAtMs(file: string): Promise<number | undefined> {
  try {
    const handle = await open(file);
    try {
      return (await handle.stat()).mtimeMs;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

/** Touches a claim of this process until the returned function is called. */
export function keepTouching(file: string): () => void {
  const timer = setInterval(() => {
    const now = new Date();
    void utimes(file, now, now).catch(() => {});
  }, claimBeatMs).unref();
  return () => clearInterval(timer);
}
