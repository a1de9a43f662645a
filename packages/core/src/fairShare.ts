/**
 * Whose turn it is among the jobs of one executor: the highest priority first and, within one priority, the job
 * that has had the least time for its weight. Whoever owns a clock says how long each turn took.
 */

interface Share {
  readonly priority: number;
  readonly weight: number;
  /** Milliseconds of weight 1 that it has had, or counts as having had. */
  virtualMs: number;
}

export class FairShare {
  readonly #shares = new Map<string, Share>();
  /** By priority: the time of the job chosen last. None that was ready then has had less. */
  readonly #levelMs = new Map<number, number>();

  /** Takes in a job. `weight` is how much of the time it gets beside one of weight 1. */
  add(job: string, priority = 0, weight = 1): void {
    this.#shares.set(job, { priority, weight, virtualMs: 0 });
  }

  remove(job: string): void {
    this.#shares.delete(job);
  }

  /** Counts a turn of `ms` milliseconds against a job. */
  charge(job: string, ms: number): void {
    const share = this.#shares.get(job);
    if (share !== undefined) share.virtualMs += ms / share.weight;
  }

  /**
   * The job to run next of those that are ready; undefined where there is none. Equals go in the order in which they
   * came. A job that is new, or had nothing to do, starts level with the others: it is not repaid for its absence.
   */
  next(ready: Iterable<string>): string | undefined {
    const candidates = this.#highest(ready);
    let chosen: readonly [string, Share] | undefined;
    for (const entry of candidates) {
      const [, share] = entry;
      share.virtualMs = Math.max(share.virtualMs, this.#levelMs.get(share.priority) ?? 0);
      if (chosen === undefined || share.virtualMs < chosen[1].virtualMs) chosen = entry;
    }
    if (chosen === undefined) return undefined;
    const [job, { priority, virtualMs }] = chosen;
    this.#levelMs.set(priority, virtualMs);
    return job;
  }

  /** The ready jobs of the highest priority among them, in the order in which they came. */
  #highest(ready: Iterable<string>): (readonly [string, Share])[] {
    const names = new Set(ready);
    const present = [...this.#shares].filter(([job]) => names.has(job));
    const highest = present.reduce(
      (most, [, { priority }]) => Math.max(most, priority),
      Number.NEGATIVE_INFINITY,
    );
    return present.filter(([, { priority }]) => priority === highest);
  }
}
