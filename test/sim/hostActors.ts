/** The actors of a simulated host: each has a slot to itself and runs one call at a time. */
import type { HostProcess } from "./host.ts";
import type { JobPlan } from "./plan.ts";
import type { Threads } from "./threads.ts";
import type { World } from "./world.ts";

const startMs = { low: 5, high: 80 };

interface LocalActor {
  readonly actor: string;
  readonly incarnation: number;
  readonly number: number;
  isAlive: boolean;
  /** The first one runs. */
  readonly calls: ActorCall[];
}

interface ActorCall {
  readonly plan: JobPlan;
  readonly done: () => void;
  /** Its job was closed: what it still does counts for nothing. */
  isAbandoned: boolean;
}

export class HostActors {
  readonly #host: HostProcess;
  readonly #world: World;
  readonly #threads: Threads;
  readonly #appoint: (delayMs: number, code: number) => void;
  readonly #actors = new Map<string, LocalActor>();
  /** What is appointed: an actor's start, or the end of its call. */
  readonly #appointed = new Map<number, () => void>();
  readonly #draws;
  #numbered = 0;

  constructor(
    host: HostProcess,
    world: World,
    threads: Threads,
    appoint: (delayMs: number, code: number) => void,
  ) {
    this.#host = host;
    this.#world = world;
    this.#threads = threads;
    this.#appoint = appoint;
    this.#draws = world.random(`actors of ${host.name}`);
  }

  names(): string[] {
    return [...this.#actors.keys()];
  }

  wake(code: number): void {
    const action = this.#appointed.get(code);
    this.#appointed.delete(code);
    action?.();
  }

  start(actor: string, incarnation: number): void {
    const local: LocalActor = {
      actor,
      incarnation,
      number: ++this.#numbered,
      isAlive: false,
      calls: [],
    };
    this.#actors.set(actor, local);
    this.#reserve();
    this.#after(this.#draws.between(startMs.low, startMs.high), () => {
      if (this.#actors.get(actor) !== local) return;
      local.isAlive = true;
      this.#world.referee.actorStarted(actor, incarnation);
      this.#host.say({ type: "actorStarted", actor, incarnation });
    });
  }

  stop(actor: string, incarnation: number): void {
    if (this.#actors.get(actor)?.incarnation === incarnation) this.#remove(actor);
  }

  /** An actor's thread dies. */
  crash(actor: string): void {
    const local = this.#actors.get(actor);
    if (local === undefined || !local.isAlive) return;
    this.#remove(actor);
    const { incarnation } = local;
    const reason = "its thread died";
    this.#host.say({ type: "actorCrashed", actor, incarnation, reason });
  }

  /** Which life of an actor is lived here; undefined where none is. */
  incarnationOf(actor: string | undefined): number | undefined {
    const local = this.#actors.get(actor ?? "");
    return local?.isAlive === true ? local.incarnation : undefined;
  }

  call(plan: JobPlan, incarnation: number | undefined, done: () => void): void {
    const local = this.#actors.get(plan.request.actor!);
    // It died while the call was under way; the head will hear of that.
    if (local === undefined || local.incarnation !== incarnation) return;
    local.calls.push({ plan, done, isAbandoned: false });
    if (local.calls.length === 1) this.#run(local);
  }

  abandon(job: string): void {
    for (const { calls } of this.#actors.values()) {
      for (const call of calls) if (call.plan.id === job) call.isAbandoned = true;
    }
  }

  #run(local: LocalActor): void {
    const [call] = local.calls;
    if (call === undefined) return;
    if (call.isAbandoned) {
      local.calls.shift();
      this.#run(local);
      return;
    }
    this.#world.referee.callBegan(local.actor, local.incarnation, call.plan);
    this.#after(call.plan.chunkMs(0) / this.#host.speed, () => {
      if (this.#actors.get(local.actor) !== local) return;
      local.calls.shift();
      if (!call.isAbandoned) call.done();
      this.#run(local);
    });
  }

  /** Without a head they have no owner: a new one starts them again. */
  headLost(): void {
    for (const actor of [...this.#actors.keys()]) this.#remove(actor);
  }

  died(): void {
    this.#actors.clear();
  }

  #remove(actor: string): void {
    this.#actors.delete(actor);
    this.#reserve();
    this.#threads.go();
  }

  #reserve(): void {
    this.#threads.reservedSlots = this.#actors.size;
  }

  #after(delayMs: number, action: () => void): void {
    const code = ++this.#numbered;
    this.#appointed.set(code, action);
    this.#appoint(delayMs, code);
  }
}
