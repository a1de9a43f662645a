/**
 * Checks that do not believe the machines: what drivers get, in what order and how often, and what hosts are asked to
 * do, is held against what was asked for. It knows the whole simulated world, and keeps its own books.
 */
import type { FailureClass, HeadEffect, HeadState, Range, RangeSet } from "@fascicle/core";
import { FairnessBook } from "./fairness.ts";
import type { JobPlan } from "./plan.ts";
import type { ThreadJob } from "./threads.ts";

/** Something that must never happen has happened. */
export class Violation extends Error {
  override readonly name = "Violation";
}

interface JobBook {
  readonly plan: JobPlan;
  /** 1 where the driver has the chunk's right bytes. */
  readonly stored: Uint8Array;
  storedCount: number;
  isCancelled: boolean;
  ending: "complete" | "failed" | undefined;
  readonly failures: Map<FailureClass, number>;
}

interface ActorBook {
  /** The place of the last call that began, by incarnation. */
  readonly lastCalls: Map<number, number>;
  /** How often each call began. */
  readonly begins: Map<number, number>;
  incarnation: number;
}

export class Referee {
  readonly fairness = new FairnessBook();
  readonly #jobs = new Map<string, JobBook>();
  readonly #actors = new Map<string, ActorBook>();
  /** Objects: the agents that made them, by the head's books of who is there; `kept` by their driver. */
  readonly #kept = new Set<string>();
  readonly #made = new Map<string, Set<string>>();
  /** Jobs that had chunks for anybody before the present step. */
  readonly #pendingBefore = new Set<string>();
  /** Jobs with hosts on which the present step opens them, as far as they are not open yet. */
  readonly #openedLater = new Set<string>();
  /** Faults that excuse what they may cause. */
  hostDeaths = 0;
  driversLost = 0;
  headDeaths = 0;
  readonly outcomes = { complete: 0, failed: 0 };
  lastCompleteMs = 0;
  chunksBegun = 0;
  chunksStored = 0;

  violated(what: string): never {
    throw new Violation(what);
  }

  planOf(job: string): JobPlan {
    return this.#book(job).plan;
  }

  submitted(plan: JobPlan, settled: readonly Range[]): void {
    const stored = new Uint8Array(plan.chunkCount);
    let storedCount = 0;
    for (const { start, end } of settled) {
      stored.fill(1, start, end);
      storedCount += end - start;
    }
    const book: JobBook = {
      plan,
      stored,
      storedCount,
      isCancelled: false,
      ending: undefined,
      failures: new Map(),
    };
    this.#jobs.set(plan.id, book);
  }

  cancelled(job: string): void {
    this.#book(job).isCancelled = true;
  }

  /** The driver of a job is gone, and nobody waits for it any more. */
  abandoned(job: string): void {
    this.#book(job).isCancelled = true;
  }

  chunkFailed(job: string, failure: FailureClass): void {
    const { failures } = this.#book(job);
    failures.set(failure, (failures.get(failure) ?? 0) + 1);
  }

  hostDied(host: string): void {
    this.hostDeaths++;
    this.fairness.interrupted(host);
  }

  /** A driver got bytes for these chunks. */
  stored(plan: JobPlan, chunks: Range, digest: number): void {
    const book = this.#book(plan.id);
    const { start, end } = chunks;
    if (!(start >= 0 && start < end && end <= plan.chunkCount)) {
      this.violated(`${plan.id} got a result of chunks [${start}, ${end}), which it does not have`);
    }
    if (plan.digestOf(chunks) !== digest) {
      this.violated(`${plan.id} got wrong bytes for chunks [${start}, ${end})`);
    }
    for (let chunk = start; chunk < end; chunk++) {
      if (book.stored[chunk] === 1) continue;
      book.stored[chunk] = 1;
      book.storedCount++;
      this.chunksStored++;
    }
  }

  /** A new head read this in its journal. */
  restored(job: string, settled: RangeSet): void {
    for (const range of settled.ranges()) this.#mustBeStored(job, range, "its journal says");
  }

  #mustBeStored(job: string, { start, end }: Range, who: string): void {
    const { stored } = this.#book(job);
    for (let chunk = start; chunk < end; chunk++) {
      if (stored[chunk] === 0) {
        this.violated(`chunk ${chunk} of ${job} is settled, ${who}, and its driver has no bytes`);
      }
    }
  }

  /** The head is about to take a step. */
  headSteps(state: HeadState): void {
    this.#pendingBefore.clear();
    if (state.jobs.size < 2) return;
    for (const [job, { pending }] of state.jobs) if (pending.size > 0) this.#pendingBefore.add(job);
  }

  /** The head took a step; its state is as it is after it. */
  headStepped(effects: readonly HeadEffect[], state: HeadState): void {
    for (const effect of effects) {
      if (isOpening(effect)) this.#openedLater.add(`${effect.job} ${effect.agent}`);
    }
    for (const effect of effects) {
      if (isOpening(effect)) this.#openedLater.delete(`${effect.job} ${effect.agent}`);
      this.#headDid(effect, state);
    }
  }

  #headDid(effect: HeadEffect, state: HeadState): void {
    switch (effect.type) {
      case "RecordSettled":
        this.#mustBeStored(effect.job, effect.chunks, "the head says");
        return;
      case "Lease":
        this.#leased(effect, state);
        return;
      case "CompleteJob": {
        const { plan, storedCount } = this.#book(effect.job);
        if (storedCount !== plan.chunkCount) {
          this.violated(
            `${effect.job} is complete with ${storedCount} of ${plan.chunkCount} chunks`,
          );
        }
        return;
      }
      case "FailJob":
        this.#mayFail(effect.job, effect.reason, state);
        return;
      case "OpenJob": {
        const needed = this.#book(effect.job).plan.request.memoryBytes ?? 0;
        if (needed > (state.agents.get(effect.agent)?.memoryBytes ?? 0)) {
          this.violated(`${effect.job} was opened on ${effect.agent}, which is too small for it`);
        }
      }
    }
  }

  #leased({ agent, job, chunks }: Extract<HeadEffect, { type: "Lease" }>, state: HeadState): void {
    const { plan } = this.#book(job);
    if (state.jobs.get(job)?.settled.intersects(chunks) === true) {
      this.violated(`chunks of ${job} were leased to ${agent} that are settled`);
    }
    for (const object of plan.request.needs ?? []) {
      const holders = [...(this.#made.get(object) ?? [])];
      if (this.#kept.has(object) || holders.some((holder) => state.agents.has(holder))) continue;
      this.violated(`${job} was leased to ${agent} while object ${object} was nowhere`);
    }
    const priority = plan.request.priority ?? 0;
    if (plan.request.actor !== undefined || state.jobs.size === 1) return;
    for (const other of state.jobs.values()) {
      if ((other.request.priority ?? 0) <= priority || other.pending.size === 0) continue;
      // What became pending in this very step may have done so after the lease.
      if (!this.#pendingBefore.has(other.request.job)) continue;
      if (this.#openedLater.has(`${other.request.job} ${agent}`)) continue;
      if (!other.assignments.has(agent) || other.request.actor !== undefined) continue;
      this.violated(`${job} was leased to ${agent} before ${other.request.job}, which goes first`);
    }
  }

  #mayFail(job: string, reason: string, state: HeadState): void {
    const { plan, isCancelled, failures, ending } = this.#book(job);
    const timesOf = (failure: FailureClass) => failures.get(failure) ?? 0;
    const { request, fates } = plan;
    const isOf = (beginning: string) => reason.startsWith(beginning);
    const tooLarge = [...state.agents.values()].every(
      ({ memoryBytes }) => memoryBytes < (request.memoryBytes ?? 0),
    );
    const isExcused =
      isCancelled ||
      // A head that came back from an old journal may believe that it goes on.
      (isOf("its driver was away") && (this.driversLost > 0 || ending !== undefined)) ||
      (isOf("no worker can run") &&
        (tooLarge ||
          timesOf("executor") + timesOf("application") > 0 ||
          timesOf("outOfMemory") > 5)) ||
      (isOf("outOfMemory") && request.actor !== undefined) ||
      (isOf("application") && timesOf("application") > 0) ||
      (reason.includes("workers, one after the other") &&
        (this.hostDeaths >= 20 || [...fates.values()].includes("killsProcess"))) ||
      (isOf("actor") && request.actor !== undefined) ||
      (isOf("object") && (request.needs ?? []).length > 0);
    if (!isExcused) this.violated(`${job} failed without cause: ${reason}`);
  }

  /** The head does not know a job that its driver waits for. */
  unknown(job: string): void {
    if (this.driversLost + this.headDeaths === 0) {
      this.violated(`the head does not know ${job}, and neither it nor the driver was lost`);
    }
  }

  completed(job: string, nowMs: number): void {
    const book = this.#book(job);
    this.#end(book, "complete");
    this.lastCompleteMs = nowMs;
    if (book.storedCount !== book.plan.chunkCount) {
      this.violated(
        `the driver of ${job} has ${book.storedCount} of ${book.plan.chunkCount} chunks`,
      );
    }
  }

  failed(job: string): void {
    this.#end(this.#book(job), "failed");
  }

  #end(book: JobBook, ending: "complete" | "failed"): void {
    if (book.ending !== undefined) this.violated(`${book.plan.id} ended twice`);
    book.ending = ending;
    this.outcomes[ending]++;
  }

  /** A thread of a host begins a chunk; `jobs` are all that the host's threads have. */
  began(host: string, job: ThreadJob, jobs: readonly ThreadJob[]): void {
    this.chunksBegun++;
    if (jobs.length < 2) return;
    for (const other of jobs) {
      const hasMore = other.board.size > 0 && other.busySlots < other.slots;
      if (hasMore && other.priority > job.priority) {
        this.violated(`${host} ran ${job.plan.id} before ${other.plan.id}, which goes first`);
      }
    }
  }

  /** A thread was this long with a job that it had preferred to an equal. */
  shared(host: string, job: ThreadJob, jobs: readonly ThreadJob[], slotMs: number): void {
    if (jobs.length === 2) this.fairness.spent(host, job, jobs, slotMs);
  }

  memoryUsed(host: string, usedBytes: number, limitBytes: number): void {
    if (usedBytes > limitBytes) {
      this.violated(`${host} uses ${usedBytes} of ${limitBytes} bytes of object memory`);
    }
  }

  /** Bytes of results that a host has sent and has no word of. */
  underWay(host: string, plan: JobPlan, bytes: number, windowBytes: number): void {
    const limit = windowBytes + plan.chunksPerRunIn(windowBytes) * plan.bytesPerChunk;
    if (bytes > limit) this.violated(`${host} has ${bytes} bytes of ${plan.id} under way`);
  }

  objectPut(object: string): void {
    this.#kept.add(object);
  }

  objectMade(object: string, agent: string): void {
    const agents = this.#made.get(object) ?? new Set();
    agents.add(agent);
    this.#made.set(object, agents);
  }

  objectReleased(object: string): void {
    this.#kept.delete(object);
    this.#made.delete(object);
  }

  actorStarted(actor: string, incarnation: number): void {
    const book = this.#actors.get(actor) ?? {
      lastCalls: new Map(),
      begins: new Map(),
      incarnation: 0,
    };
    this.#actors.set(actor, book);
    book.incarnation = Math.max(book.incarnation, incarnation);
  }

  /** A call runs on an actor: in order, and not more often than was asked for. */
  callBegan(actor: string, incarnation: number, plan: JobPlan): void {
    const book = this.#actors.get(actor);
    if (book === undefined) this.violated(`actor ${actor} was called and never started`);
    const last = book.lastCalls.get(incarnation) ?? -1;
    if (plan.index <= last) this.violated(`call ${plan.id} of ${actor} came after a later one`);
    book.lastCalls.set(incarnation, plan.index);
    const begins = (book.begins.get(plan.index) ?? 0) + 1;
    book.begins.set(plan.index, begins);
    const { retries = 0 } = plan.request;
    if (begins > 1 + retries) this.violated(`call ${plan.id} of ${actor} was made ${begins} times`);
  }

  /** Jobs that ended neither way; the first few by name. */
  open(): string[] {
    const open = [...this.#jobs.values()].filter(
      ({ ending, isCancelled }) => ending === undefined && !isCancelled,
    );
    const named = open
      .slice(0, 5)
      .map(
        ({ plan, storedCount }) => `${plan.id} with ${storedCount} of ${plan.chunkCount} chunks`,
      );
    return open.length > named.length ? [...named, `${open.length} in all`] : named;
  }

  #book(job: string): JobBook {
    const book = this.#jobs.get(job);
    if (book === undefined) this.violated(`nobody submitted ${job}`);
    return book;
  }
}

const isOpening = (
  effect: HeadEffect,
): effect is Extract<HeadEffect, { type: "OpenJob" | "AdoptJob" }> =>
  effect.type === "OpenJob" || effect.type === "AdoptJob";
