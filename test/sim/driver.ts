/** A driver of the simulated cluster: it submits jobs, gives signals, stores results, and says so. */
import { type Range, RangeSet } from "@fascicle/core";
import { ClientProcess } from "./client.ts";
import type { FromDriver, ToDriver } from "./messages.ts";
import type { JobPlan } from "./plan.ts";
import type { Body } from "./session.ts";
import type { World } from "./world.ts";

/** Wake codes, beside those of all clients. */
const storeCode = 1;
const stepCode = 3;

type Result = Extract<ToDriver, { readonly type: "result" }>;

interface DriverJob {
  readonly plan: JobPlan;
  readonly stored: RangeSet;
}

/** Something that a driver does at a time of its own. */
export interface DriverStep {
  readonly atMs: number;
  readonly act: (driver: DriverProcess) => void;
}

export class DriverProcess extends ClientProcess {
  /** Jobs that it has submitted and that have not ended. */
  readonly jobs = new Map<string, DriverJob>();
  readonly #steps: DriverStep[];
  /** Results that wait for its disk. */
  readonly #waiting: Result[] = [];
  #isStoring = false;
  /** Its disk takes this long for a result; 0 is at once. */
  storeMs: number;
  /** Objects that it keeps itself, and all that it must release. */
  readonly #kept = new Set<string>();
  readonly #objects = new Set<string>();
  readonly #actors = new Map<string, number>();
  /** Also those that died: word of one's death may come after it was asked for again. */
  readonly #everAsked = new Set<string>();
  #sessions = 0;
  #isFinished = false;

  constructor(name: string, machine: number, world: World, steps: DriverStep[], storeMs: number) {
    super(name, machine, world);
    this.#steps = [...steps].sort((a, b) => a.atMs - b.atMs);
    this.storeMs = storeMs;
    for (const { atMs } of this.#steps)
      this.clock.at(Math.max(atMs, this.clock.nowMs), this, stepCode);
  }

  /** What it was still to do, for a process that takes its place. */
  get stepsLeft(): readonly DriverStep[] {
    return this.#steps;
  }

  get isDone(): boolean {
    return this.#steps.length === 0 && this.jobs.size === 0;
  }

  residue(): string[] {
    return [...this.jobs.keys()].map((job) => `job ${job}`);
  }

  /** `settled` chunks are in place already, from an earlier try. */
  submit(plan: JobPlan, settled: readonly Range[] = []): void {
    this.world.referee.submitted(plan, settled);
    this.jobs.set(plan.id, { plan, stored: new RangeSet(...settled) });
    if (plan.request.makes !== undefined) this.#objects.add(plan.request.makes);
    this.say({ type: "submit", plan, settled });
  }

  put(object: string): void {
    this.#kept.add(object);
    this.#objects.add(object);
    this.say({ type: "putObject", object });
  }

  request(actor: string, restarts: number): void {
    this.#actors.set(actor, restarts);
    this.#everAsked.add(actor);
    this.say({ type: "requestActor", actor, restarts });
  }

  cancel(job: string): void {
    if (!this.jobs.has(job)) return;
    this.world.referee.cancelled(job);
    this.say({ type: "cancel", job, reason: "it is not wanted any more" });
  }

  say(message: FromDriver): void {
    this.send(message);
  }

  protected introduce(): void {
    if (this.#sessions++ === 0) return;
    // The head may not have had the words of the session before.
    if (this.#isFinished) {
      this.#release();
      return;
    }
    for (const object of this.#kept) this.say({ type: "putObject", object });
    for (const [actor, restarts] of this.#actors) {
      this.say({ type: "requestActor", actor, restarts });
    }
    for (const { plan, stored } of this.jobs.values()) {
      this.say({ type: "attach", job: plan.id, settled: [...stored.ranges()] });
    }
  }

  protected sessionLost(): void {
    // What the lost session brought is taken up by the next one's `attach`, or not at all.
  }

  protected runOwn(code: number): void {
    if (code === storeCode) {
      this.#isStoring = false;
      const result = this.#waiting.shift();
      if (result !== undefined) this.#store(result);
      this.#storeNext();
      return;
    }
    while (this.#steps.length > 0 && this.#steps[0].atMs <= this.clock.nowMs) {
      this.#steps.shift()!.act(this);
    }
    this.#finish();
  }

  protected received(body: Body): void {
    const message = body as ToDriver;
    switch (message.type) {
      case "result":
        if (this.storeMs === 0) {
          this.#store(message);
          return;
        }
        this.#waiting.push(message);
        this.#storeNext();
        return;
      case "signalsWanted": {
        const { agent, job, chunks } = message;
        const plan = this.jobs.get(job)?.plan;
        if (plan === undefined) return;
        // Signals travel in small pieces, which the session's limit on bytes does not feel.
        this.say({ type: "signals", agent, job, chunks });
        return;
      }
      case "unknown": {
        // The head lost it, or never had it.
        const job = this.jobs.get(message.job);
        if (job === undefined) return;
        this.world.referee.unknown(message.job);
        if (job.plan.needsSignals) {
          this.say({ type: "submit", plan: job.plan, settled: [...job.stored.ranges()] });
          return;
        }
        // Nobody knows how far it came, and a call must not be made twice.
        this.world.referee.abandoned(message.job);
        this.#ended(message.job);
        return;
      }
      case "complete":
        this.world.referee.completed(message.job, this.clock.nowMs);
        this.#ended(message.job);
        return;
      case "jobFailed":
        this.world.referee.failed(message.job);
        this.#ended(message.job);
        return;
      case "actorDied":
        this.#actors.delete(message.actor);
    }
  }

  #ended(job: string): void {
    this.jobs.delete(job);
    this.#finish();
  }

  /** Lets go of objects and actors when nothing needs them any more. */
  #finish(): void {
    if (this.#isFinished || this.#steps.length > 0 || this.jobs.size > 0) return;
    this.#isFinished = true;
    this.#release();
  }

  #release(): void {
    for (const object of this.#objects) this.say({ type: "releaseObject", object });
    for (const actor of this.#everAsked) this.say({ type: "releaseActor", actor });
  }

  #storeNext(): void {
    if (this.#isStoring || this.#waiting.length === 0) return;
    this.#isStoring = true;
    this.clock.after(this.storeMs, this, storeCode);
  }

  #store({ agent, job: id, epoch, chunks, digest, bytes }: Result): void {
    const job = this.jobs.get(id);
    if (job === undefined) return;
    this.world.referee.stored(job.plan, chunks, digest);
    job.stored.add(chunks);
    this.say({ type: "stored", agent, job: id, epoch, chunks, storedBytes: bytes });
  }
}
