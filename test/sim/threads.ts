/** The threads of a simulated host: they draw chunks from boards, take their time, die, and are started again. */
import { FairShare, type Range, RangeSet } from "@fascicle/core";
import { Board } from "./board.ts";
import { areRivals } from "./fairness.ts";
import type { JobPlan } from "./plan.ts";

/** What a thread must die of before its chunk is run where it can hurt nothing. */
const deathsBeforeCare = 2;

/** Starting a process to run a chunk carefully takes this long. */
const carefulStartMs = 50;

/** What the threads have of one job. */
export class ThreadJob {
  readonly plan: JobPlan;
  slots: number;
  readonly priority: number;
  readonly board = new Board();
  busySlots = 0;
  /** Fitted and not reported. */
  readonly fresh: number[] = [];
  /** Fitted here, and not forgotten. */
  readonly fitted = new RangeSet();
  readonly deaths = new Map<number, number>();
  /** Chunks that were fitted here, and their time. */
  readonly spent = { chunks: 0, ms: 0 };
  isClosed = false;

  /** Of its host. */
  readonly speed: number;

  constructor(plan: JobPlan, slots: number, priority: number, speed: number) {
    this.plan = plan;
    this.speed = speed;
    this.slots = slots;
    this.priority = priority;
  }

  /** Chunks that keep all its slots busy for this long. */
  chunksAhead(aheadMs: number): number {
    const { chunks, ms } = this.spent;
    const each = chunks === 0 ? 1 : Math.ceil(aheadMs / (ms / chunks));
    return this.slots * Math.min(Math.max(1, each), this.plan.chunkCount);
  }
}

export interface ThreadsUser {
  readonly speed: number;
  /** Wakes these threads by `done(slot, generation)` or `carefulDone(generation)` after this time. */
  appointSlot(delayMs: number, slot: number, generation: number): void;
  appointCareful(delayMs: number, generation: number): void;
  /** Chunks wait to be reported, or a thread became idle. */
  reportSoon(): void;
  reportNow(): void;
  began(job: ThreadJob): void;
  /** `hadChoice` where two equals had enough for the thread when it began. */
  ended(job: ThreadJob, slotMs: number, hadChoice: boolean): void;
  /** Not all jobs have enough for all threads. */
  rivalryEnded(): void;
  /** A chunk took the whole process with it. */
  processKilled(): void;
}

export class Threads {
  readonly #user: ThreadsUser;
  readonly #slotJobs: (ThreadJob | undefined)[];
  readonly #slotChunks: Int32Array;
  readonly #slotBegunMs: Float64Array;
  readonly #generations: Int32Array;
  /** 1 where the thread had the choice between two equals. */
  readonly #slotChoices: Uint8Array;
  /** Each thread shares its own time. */
  readonly #shares: FairShare[];
  readonly #idle: number[] = [];
  readonly #jobs: ThreadJob[] = [];
  readonly #careful: { readonly job: ThreadJob; readonly chunk: number }[] = [];
  #isCarefulBusy = false;
  #carefulGeneration = 0;
  /** Slots that actors have to themselves. */
  reservedSlots = 0;
  nowMs: () => number;

  constructor(slots: number, user: ThreadsUser, nowMs: () => number) {
    this.#user = user;
    this.nowMs = nowMs;
    this.#slotJobs = new Array(slots).fill(undefined);
    this.#slotChunks = new Int32Array(slots);
    this.#slotBegunMs = new Float64Array(slots);
    this.#generations = new Int32Array(slots);
    this.#slotChoices = new Uint8Array(slots);
    this.#shares = Array.from({ length: slots }, () => new FairShare());
    for (let slot = slots - 1; slot >= 0; slot--) this.#idle.push(slot);
  }

  get busySlots(): number {
    return this.#slotJobs.length - this.#idle.length;
  }

  jobs(): readonly ThreadJob[] {
    return this.#jobs;
  }

  open(job: ThreadJob): void {
    // Nobody asks whose turn it is while there is one job: now it matters how much time that has had.
    const [only, ...others] = this.#jobs;
    for (const share of this.#shares) {
      if (only !== undefined && others.length === 0) share.next([only.plan.id]);
      share.add(job.plan.id, job.priority);
    }
    this.#jobs.push(job);
    this.#user.rivalryEnded();
  }

  /** Its chunks are abandoned, begun or not; the threads are free at once. */
  close(job: ThreadJob): void {
    job.isClosed = true;
    const at = this.#jobs.indexOf(job);
    if (at >= 0) this.#jobs.splice(at, 1);
    for (const share of this.#shares) share.remove(job.plan.id);
    this.#user.rivalryEnded();
    for (let slot = 0; slot < this.#slotJobs.length; slot++) {
      if (this.#slotJobs[slot] === job) this.#free(slot);
    }
    const others = this.#careful.filter((entry) => entry.job !== job);
    if (this.#isCarefulBusy && this.#careful[0]?.job === job) this.#carefulGeneration++;
    if (others.length < this.#careful.length) {
      const isFirstKept = others[0] === this.#careful[0];
      this.#careful.splice(0, this.#careful.length, ...others);
      if (!isFirstKept) {
        this.#isCarefulBusy = false;
        this.#beginCareful();
      }
    }
    this.go();
  }

  ready(job: ThreadJob, chunks: Range): void {
    job.board.add(chunks);
    this.go();
  }

  runCarefully(job: ThreadJob, { start, end }: Range): void {
    for (let chunk = start; chunk < end; chunk++) this.#careful.push({ job, chunk });
    this.#beginCareful();
  }

  /** Gives every idle thread something to do, as far as there is. */
  go(): void {
    while (this.#idle.length > this.reservedSlots && this.#beginNext()) {}
  }

  done(slot: number, generation: number): void {
    const job = this.#slotJobs[slot];
    if (this.#generations[slot] !== generation || job === undefined) return;
    const chunk = this.#slotChunks[slot];
    const fate = job.plan.fates.size === 0 ? "fitted" : (job.plan.fates.get(chunk) ?? "fitted");
    if (fate === "killsProcess") {
      this.#user.processKilled();
      return;
    }
    if (fate === "killsThread") {
      this.crash(slot);
      return;
    }
    job.fresh.push(chunk);
    job.spent.chunks++;
    job.spent.ms += this.nowMs() - this.#slotBegunMs[slot];
    this.#free(slot);
    const hasNext = this.#idle.length > this.reservedSlots && this.#beginNext();
    if (hasNext) this.#user.reportSoon();
    else this.#user.reportNow();
  }

  /** The thread of a slot dies; what it ran is tried again, and carefully if that was there before. False where it ran nothing. */
  crash(slot: number): boolean {
    const job = this.#slotJobs[slot];
    if (job === undefined) return false;
    const chunk = this.#slotChunks[slot];
    this.#free(slot);
    const deaths = (job.deaths.get(chunk) ?? 0) + 1;
    job.deaths.set(chunk, deaths);
    const range = { start: chunk, end: chunk + 1 };
    if (deaths < deathsBeforeCare) job.board.add(range);
    else this.runCarefully(job, range);
    this.go();
    return true;
  }

  carefulDone(generation: number): void {
    if (generation !== this.#carefulGeneration || !this.#isCarefulBusy) return;
    const { job, chunk } = this.#careful.shift()!;
    this.#isCarefulBusy = false;
    job.fresh.push(chunk);
    this.#user.ended(job, 0, false);
    this.#beginCareful();
    this.#user.reportNow();
  }

  #free(slot: number): void {
    const job = this.#slotJobs[slot]!;
    const slotMs = this.nowMs() - this.#slotBegunMs[slot];
    job.busySlots--;
    this.#shares[slot].charge(job.plan.id, slotMs);
    this.#slotJobs[slot] = undefined;
    this.#generations[slot]++;
    this.#idle.push(slot);
    this.#user.ended(job, slotMs, this.#slotChoices[slot] === 1);
  }

  /** Gives something to do to the thread that is idle last; false where there is nothing. */
  #beginNext(): boolean {
    const slot = this.#idle[this.#idle.length - 1];
    const job = this.#choose(slot);
    if (job === undefined) return false;
    this.#idle.pop();
    this.#begin(slot, job);
    return true;
  }

  #choose(slot: number): ThreadJob | undefined {
    const jobs = this.#jobs;
    if (jobs.length === 1) return isReady(jobs[0]) ? jobs[0] : undefined;
    const ready = jobs.filter(isReady);
    if (ready.length === 0) return undefined;
    const chosen = this.#shares[slot].next(ready.map(({ plan }) => plan.id));
    return ready.find(({ plan }) => plan.id === chosen);
  }

  #begin(slot: number, job: ThreadJob): void {
    const areEqual = areRivals(this.#jobs);
    this.#slotChoices[slot] = areEqual ? 1 : 0;
    if (!areEqual && this.#jobs.length > 1) this.#user.rivalryEnded();
    const chunk = job.board.draw();
    this.#slotJobs[slot] = job;
    this.#slotChunks[slot] = chunk;
    this.#slotBegunMs[slot] = this.nowMs();
    job.busySlots++;
    this.#user.began(job);
    const delayMs = job.plan.chunkMs(chunk) / this.#user.speed;
    this.#user.appointSlot(delayMs, slot, this.#generations[slot]);
  }

  #beginCareful(): void {
    const next = this.#careful[0];
    if (this.#isCarefulBusy || next === undefined) return;
    this.#isCarefulBusy = true;
    const delayMs = carefulStartMs + next.job.plan.chunkMs(next.chunk) / this.#user.speed;
    this.#user.appointCareful(delayMs, ++this.#carefulGeneration);
  }
}

const isReady = (job: ThreadJob): boolean => job.board.size > 0 && job.busySlots < job.slots;
