/** Slot time of jobs that share hosts as equals, while both have work there. */
import type { ThreadJob } from "./threads.ts";

/** How far apart the shares of two equals may lie, of the time of both, beside what rounding makes of them... */
const toleratedDifference = 0.05;

/** ...which is a chunk of each thread when its time begins, and one when it ends... */
const toleratedRoundings = 2;

/** ...and must be little of the time that is judged. */
const roundingsNeeded = 10;

/** Whether two jobs of a host want all that they may have, and have the same rights. */
export function areRivals(jobs: readonly ThreadJob[]): boolean {
  if (jobs.length !== 2) return false;
  const [one, other] = jobs;
  if (one.priority !== other.priority || one.slots !== other.slots) return false;
  return one.board.size >= one.slots && other.board.size >= other.slots;
}

/** Slot time of two jobs on one host, while both had enough for all its threads. */
interface Rivalry {
  readonly names: readonly [string, string];
  readonly ms: [number, number];
  /** What one may be ahead of the other because chunks are not divided. */
  readonly roundingMs: number;
}

export class FairnessBook {
  /** By host: as long as neither had too little. */
  readonly #open = new Map<string, Rivalry>();
  /** Hosts that stood still: a chunk of that time costs its job more than it was worth, and is made up for later. */
  readonly #unjudged = new Set<string>();
  readonly #judged: string[] = [];
  pairsJudged = 0;

  /** A thread of a host was this long with one of two jobs, and had had the choice when it began. */
  spent(host: string, job: ThreadJob, jobs: readonly ThreadJob[], slotMs: number): void {
    if (this.#unjudged.has(host)) return;
    const [one, other] = jobs;
    let rivalry = this.#open.get(host);
    if (rivalry === undefined) {
      const longestMs = Math.max(one.plan.slowestMs, other.plan.slowestMs);
      const roundingMs = (one.slots * longestMs) / job.speed;
      rivalry = { names: [one.plan.id, other.plan.id], ms: [0, 0], roundingMs };
      this.#open.set(host, rivalry);
    }
    rivalry.ms[rivalry.names.indexOf(job.plan.id)] += slotMs;
  }

  /** A host stands still. */
  paused(host: string): void {
    this.interrupted(host);
    this.#unjudged.add(host);
  }

  /** One of the jobs of a host ran out of chunks there, ended, or got a third beside it. */
  interrupted(host: string): void {
    const rivalry = this.#open.get(host);
    if (rivalry === undefined) return;
    this.#open.delete(host);
    const { names, ms, roundingMs } = rivalry;
    const sumMs = ms[0] + ms[1];
    if (sumMs < roundingsNeeded * roundingMs) return;
    this.pairsJudged++;
    const toleratedMs = toleratedDifference * sumMs + toleratedRoundings * roundingMs;
    if (Math.abs(ms[0] - ms[1]) <= toleratedMs) return;
    const shares = ms.map((value) => `${Math.round((100 * value) / sumMs)} %`).join(" and ");
    this.#judged.push(`${names[0]} and ${names[1]} had ${shares} of the slot time of ${host}`);
  }

  /** Sentences about equals that did not share alike. */
  unfair(): readonly string[] {
    for (const host of [...this.#open.keys()]) this.interrupted(host);
    return this.#judged;
  }
}
