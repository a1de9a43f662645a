/** The jobs that a simulated host has open, is opening or is clearing away, and the real planner of its memory. */
import {
  checkStoreInvariants,
  emptyStoreState,
  grantedBytes,
  type StoreEffect,
  type StoreEvent,
  type StoreState,
  stepStore,
} from "@fascicle/core";
import type { FromHost, ToHost } from "./messages.ts";
import type { JobPlan } from "./plan.ts";
import type { Random } from "./random.ts";
import { ThreadJob } from "./threads.ts";
import type { World } from "./world.ts";

/** Threads let go of a job's memory within this. */
const releaseMs = { low: 1, high: 250 };
const openMs = { low: 1, high: 30 };

/** One opening of a job here. */
export interface HostJob {
  readonly plan: JobPlan;
  readonly number: number;
  /** What the memory planner calls it: a job may be opened again while its last opening still has memory. */
  readonly room: string;
  readonly epoch: number;
  readonly windowBytes: number;
  readonly threads: ThreadJob;
  /** Of the actor that is called, when it was. */
  readonly incarnation: number | undefined;
  isOpen: boolean;
  /** The head has heard of something that it did: of a task, that its object is here. */
  isSettled: boolean;
  /** What came while it was being opened. */
  readonly early: ToHost[];
  /** Bytes sent and not credited, as the wire saw it. */
  underWayBytes: number;
  /** The name under which they are counted: that of its opening, or of its last adoption. */
  underWayEpoch: number;
}

/** What the rooms ask of their host. */
export interface RoomKeeper {
  readonly name: string;
  readonly speed: number;
  say(message: FromHost): void;
  /** Calls `opened` or `cleared` with this number after this time. */
  appointOpening(delayMs: number, number: number): void;
  appointClearing(delayMs: number, number: number): void;
}

export class HostRooms {
  readonly #keeper: RoomKeeper;
  readonly #world: World;
  readonly #draws: Random;
  readonly #store: StoreState;
  readonly #jobs = new Map<string, HostJob>();
  readonly #byNumber = new Map<number, HostJob>();
  #numbered = 0;

  constructor(keeper: RoomKeeper, world: World, memoryBytes: number, draws: Random) {
    this.#keeper = keeper;
    this.#world = world;
    this.#draws = draws;
    this.#store = emptyStoreState(memoryBytes);
  }

  get(job: string): HostJob | undefined {
    return this.#jobs.get(job);
  }

  numbered(number: number): HostJob | undefined {
    return this.#byNumber.get(number);
  }

  all(): Iterable<HostJob> {
    return this.#jobs.values();
  }

  get size(): number {
    return this.#jobs.size;
  }

  residue(): string[] {
    const left = [...this.#jobs.keys()].map((job) => `job ${job}`);
    for (const room of this.#store.granted.keys()) left.push(`memory of ${room}`);
    return left;
  }

  check(): void {
    checkStoreInvariants(this.#store);
  }

  open(message: Extract<ToHost, { type: "open" }>, incarnation: number | undefined): void {
    const { plan, epoch, slots, priority, windowBytes } = message;
    if (this.#jobs.has(plan.id)) {
      const { name } = this.#keeper;
      this.#world.referee.violated(`${name} was told to open ${plan.id}, which it has open`);
    }
    const number = ++this.#numbered;
    const room = `${plan.id}#${number}`;
    const job: HostJob = {
      plan,
      number,
      room,
      epoch,
      windowBytes,
      threads: new ThreadJob(plan, slots, priority, this.#keeper.speed),
      incarnation,
      isOpen: false,
      isSettled: false,
      early: [],
      underWayBytes: 0,
      underWayEpoch: epoch,
    };
    this.#jobs.set(plan.id, job);
    this.#byNumber.set(number, job);
    this.#step({ type: "RoomWanted", job: room, bytes: plan.request.memoryBytes ?? 0 });
  }

  /** Lets go of a job that never got as far as being open. */
  forget(job: HostJob): void {
    this.#jobs.delete(job.plan.id);
    this.#byNumber.delete(job.number);
    if (this.#store.granted.has(job.room) || this.#store.waiting.has(job.room)) {
      this.#step({ type: "JobGone", job: job.room });
    }
  }

  /** A job ended: its memory is free when its threads have let go. */
  leave(job: HostJob): void {
    this.#jobs.delete(job.plan.id);
    this.#step({ type: "JobLeaving", job: job.room });
    const delayMs = this.#draws.between(releaseMs.low, releaseMs.high);
    this.#keeper.appointClearing(delayMs, job.number);
  }

  cleared(number: number): void {
    const job = this.#byNumber.get(number);
    if (job === undefined) return;
    this.#byNumber.delete(number);
    this.#step({ type: "JobGone", job: job.room });
  }

  #step(event: StoreEvent): void {
    const effects: StoreEffect[] = [];
    this.#world.steps.stores++;
    stepStore(this.#store, event, effects);
    checkStoreInvariants(this.#store);
    const usedBytes = grantedBytes(this.#store);
    this.#world.referee.memoryUsed(this.#keeper.name, usedBytes, this.#store.limitBytes);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: StoreEffect): void {
    const number = Number(effect.job.slice(effect.job.lastIndexOf("#") + 1));
    const job = this.#byNumber.get(number)!;
    const epoch = presentEpoch(job);
    if (effect.type === "GrantRoom") {
      this.#keeper.appointOpening(this.#draws.between(openMs.low, openMs.high), number);
      return;
    }
    this.forget(job);
    const { id } = job.plan;
    if (effect.type === "DeferJob") this.#keeper.say({ type: "deferred", job: id, epoch });
    else this.#keeper.say({ type: "refused", job: id, epoch, reason: "it needs too much memory" });
  }
}

/** Of a job that is being opened: it may have been adopted meanwhile. */
function presentEpoch({ epoch, early }: HostJob): number {
  return early.reduce((last, message) => (message.type === "adopt" ? message.epoch : last), epoch);
}
