/** Slot time of jobs that share hosts as equals, while both have work there. */
import type { ThreadJob } from "./threads.ts";

/** How far the shares of two equals may lie apart. */
const toleratedDifference = 0.3;

/** Shares are judged when they are this many times what rounding to whole chunks can make of them. */
const roundingsNeeded = 5;

interface PairBook {
  readonly names: readonly [string, string];
  readonly ms: [number, number];
  /** Slots times the longest chunk, by host: what one may be ahead of the other there. */
  readonly roundingMs: Map<string, number>;
}

export class FairnessBook {
  readonly #pairs = new Map<string, PairBook>();

  /** A thread of a host was this long with one of two jobs. */
  spent(host: string, job: ThreadJob, jobs: readonly ThreadJob[], slotMs: number): void {
    const [one, other] = jobs;
    if (one.priority !== other.priority) return;
    // Where one has less to do, or may use fewer slots, the rest is the other's by right.
    if (one.board.size < one.slots || other.board.size < other.slots) return;
    if (one.slots !== other.slots) return;
    const isInOrder = one.plan.index < other.plan.index;
    const [first, second] = isInOrder ? [one, other] : [other, one];
    const key = `${first.plan.id} ${second.plan.id}`;
    let pair = this.#pairs.get(key);
    if (pair === undefined) {
      pair = { names: [first.plan.id, second.plan.id], ms: [0, 0], roundingMs: new Map() };
      this.#pairs.set(key, pair);
    }
    pair.ms[job === first ? 0 : 1] += slotMs;
    const longestMs = Math.max(one.plan.slowestMs, other.plan.slowestMs);
    pair.roundingMs.set(host, one.slots * longestMs);
  }

  /** Sentences about equals that did not share alike; `pairsJudged` of them had enough to share. */
  unfair(): { sentences: string[]; pairsJudged: number } {
    const sentences: string[] = [];
    let pairsJudged = 0;
    for (const { names, ms, roundingMs } of this.#pairs.values()) {
      let slackMs = 0;
      for (const hostMs of roundingMs.values()) slackMs += hostMs;
      const sumMs = ms[0] + ms[1];
      if (sumMs < roundingsNeeded * slackMs) continue;
      pairsJudged++;
      if (Math.abs(ms[0] - ms[1]) <= toleratedDifference * Math.max(ms[0], ms[1])) continue;
      const shares = ms.map((value) => `${Math.round((100 * value) / sumMs)} %`).join(" and ");
      sentences.push(`${names[0]} and ${names[1]} had ${shares} of the slot time they shared`);
    }
    return { sentences, pairsJudged };
  }
}
