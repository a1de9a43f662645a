/** The head's desk: the real scheduler, what goes between hosts and drivers, and what is journalled of it. */
import {
  checkHeadInvariants,
  emptyHeadState,
  explain,
  type HeadEffect,
  type HeadEvent,
  type HeadState,
  type Range,
  RangeSet,
  stepHead,
} from "@fascicle/core";
import { resultWindowsBytes } from "@fascicle/transport";
import type { Journal } from "./journal.ts";
import type { FromDriver, FromHost, ToDriver, ToHost } from "./messages.ts";
import type { JobPlan } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Session } from "./session.ts";
import type { World } from "./world.ts";

type Untimed<E> = E extends HeadEvent ? Omit<E, "nowMs"> : never;

/** What hosts say of jobs. */
type HostWord = Extract<Untimed<HeadEvent>, { readonly agent: string; readonly job: string }>;

const explainEverySteps = 200;

/** So many words are kept to be heard again. */
const rememberedWords = 64;

interface RelayedJob {
  readonly plan: JobPlan;
  /** Its driver's; undefined while it cannot be reached. */
  driver: Session | undefined;
  /** Signals that hosts asked for and have not got. */
  readonly wanted: Map<string, RangeSet>;
}

/** What the desk asks of the process that it stands in. */
export interface Post {
  readonly name: string;
  toHost(agent: string, message: ToHost): void;
  /** To all drivers that there are. */
  toDrivers(message: ToDriver): void;
  /** Something was given to the journal. */
  writeSoon(): void;
}

export class HeadDesk {
  readonly #post: Post;
  readonly #world: World;
  readonly #journal: Journal;
  readonly state: HeadState = emptyHeadState();
  /** By driver: its latest session that was heard. */
  readonly #latest = new Map<string, Session>();
  readonly #jobs = new Map<string, RelayedJob>();
  readonly #remembered: HostWord[] = [];
  #steps = 0;

  constructor(post: Post, world: World, journal: Journal) {
    this.#post = post;
    this.#world = world;
    this.#journal = journal;
  }

  /** What is left of jobs here, for the end of a run. */
  residue(): string[] {
    const left = [...this.state.jobs.keys()].map((job) => `job ${job}`);
    for (const job of this.#jobs.keys()) left.push(`relay of ${job}`);
    for (const actor of this.state.actors.keys()) left.push(`actor ${actor}`);
    for (const { agent, actors } of this.state.agents.values()) {
      for (const actor of actors) left.push(`slot of ${actor} on ${agent}`);
    }
    return left;
  }

  /** Words that come twice, or late: one that was heard before is heard again, if it may be by what it says of itself. */
  repeatStale(random: Random): void {
    if (this.#remembered.length === 0) return;
    const event = random.pick(this.#remembered);
    const epoch = this.state.jobs.get(event.job)?.assignments.get(event.agent)?.epoch;
    // A session brings each word once: what is not marked as stale cannot come twice.
    if (event.type !== "RangeSettled" && event.epoch === epoch) return;
    this.#world.trace.note(this.#post.name, "hears again", event.type);
    this.apply(event);
  }

  /** A fit that an earlier head was given and that had not ended. */
  restore(job: string, settled: RangeSet): void {
    const plan = this.#world.referee.planOf(job);
    this.#world.referee.restored(job, settled);
    this.#jobs.set(job, { plan, driver: undefined, wanted: new Map() });
    const request = { ...plan.request, settled: [...settled.ranges()] };
    this.apply({ type: "JobSubmitted", request });
    this.apply({ type: "DriverAway", job });
  }

  /** A driver's session is over: it may come back in another. */
  driverLost(session: Session): void {
    for (const [id, job] of [...this.#jobs]) {
      if (job.driver !== session) continue;
      job.driver = undefined;
      this.apply({ type: "DriverAway", job: id });
    }
  }

  /** A host's session is over. */
  hostLost(agent: string): void {
    for (const { wanted } of this.#jobs.values()) wanted.delete(agent);
  }

  fromHost(agent: string, message: Exclude<FromHost, { type: "hello" }>): void {
    switch (message.type) {
      case "draining":
        this.apply({ type: "AgentDraining", agent });
        return;
      case "actorStarted":
        this.apply({ ...message, type: "ActorStarted", agent });
        return;
      case "actorCrashed":
        this.apply({ ...message, type: "ActorCrashed", agent });
        return;
    }
    const job = this.#jobs.get(message.job);
    if (job === undefined) return;
    switch (message.type) {
      case "workWanted":
        this.apply({ ...message, type: "WorkWanted", agent });
        return;
      case "signalsWanted": {
        const wanted = job.wanted.get(agent) ?? new RangeSet();
        wanted.add(message.chunks);
        job.wanted.set(agent, wanted);
        tell(job.driver, { ...message, agent });
        return;
      }
      case "result":
        this.#relay(agent, job, message);
        return;
      case "returned":
        this.apply({ ...message, type: "RangesReturned", agent });
        return;
      case "failed":
        this.apply({ ...message, type: "RangeFailed", agent });
        return;
      case "deferred":
        this.apply({ ...message, type: "JobDeferred", agent });
        return;
      case "refused":
        this.apply({ ...message, type: "JobRefused", agent });
    }
  }

  #relay(agent: string, job: RelayedJob, message: Extract<FromHost, { type: "result" }>): void {
    const { job: id, epoch, chunks, bytes } = message;
    const state = this.state.jobs.get(id);
    const assignment = state?.assignments.get(agent);
    // Of an opening that is over: it counts for nothing, and is sent again if it is still wanted.
    if (state === undefined || assignment?.epoch !== message.epoch) return;
    const leased = assignment.leased.overlap(chunks);
    if (leased + state.settled.overlap(chunks) < chunks.end - chunks.start) {
      this.#world.referee.violated(`${agent} sent results of ${id} that it was not leased`);
    }
    if (leased === 0) {
      this.#post.toHost(agent, { type: "credit", job: id, epoch, creditBytes: bytes });
      return;
    }
    if (!job.plan.needsSignals) {
      // The result of a task stays where it was made; its receipt is enough.
      const { makes } = job.plan.request;
      this.#world.referee.stored(job.plan, chunks, message.digest);
      if (makes !== undefined) this.#world.referee.objectMade(makes, agent);
      this.#post.toHost(agent, { type: "credit", job: id, epoch, creditBytes: bytes });
      this.apply({ type: "RangeSettled", agent, job: id, chunks });
      return;
    }
    // Without a driver it is dropped: the host sends it again when the driver is back.
    tell(job.driver, { ...message, agent });
  }

  fromDriver(session: Session, message: FromDriver): void {
    if (this.#isSuperseded(session, message)) return;
    switch (message.type) {
      case "submit":
        this.#submit(session, message.plan, message.settled);
        return;
      case "attach":
        this.#attach(session, message.job, message.settled);
        return;
      case "putObject":
        this.#world.referee.objectPut(message.object);
        this.apply({ type: "ObjectPut", object: message.object, holder: undefined });
        return;
      case "releaseObject":
        this.#world.referee.objectReleased(message.object);
        this.apply({ type: "ObjectReleased", object: message.object });
        return;
      case "requestActor":
        if (!this.state.actors.has(message.actor)) {
          this.apply({ ...message, type: "ActorRequested" });
        }
        return;
      case "releaseActor":
        this.apply({ ...message, type: "ActorReleased", reason: "it is not wanted any more" });
        return;
    }
    const job = this.#jobs.get(message.job);
    if (job?.driver !== session) return;
    switch (message.type) {
      case "signals": {
        const { agent, chunks } = message;
        job.wanted.get(agent)?.remove(chunks);
        this.#post.toHost(agent, { type: "signals", job: message.job, chunks });
        return;
      }
      case "stored": {
        const { agent, job: id, epoch, chunks, storedBytes } = message;
        this.#post.toHost(agent, { type: "credit", job: id, epoch, creditBytes: storedBytes });
        this.apply({ type: "RangeSettled", agent, job: id, chunks });
        return;
      }
      case "cancel":
        this.apply({ type: "JobCancelled", job: message.job, reason: message.reason });
    }
  }

  /**
   * Objects, actors and tasks belong to a driver, and it has said later what it wants of them: what an older session
   * still brings would undo that. A map has a driver of its own, whom `submit` compares.
   */
  #isSuperseded(session: Session, message: FromDriver): boolean {
    const { object, actor, job, plan } = message as {
      readonly [name in "object" | "actor" | "job"]?: string;
    } & { readonly plan?: JobPlan };
    if (plan?.needsSignals) return false;
    const [driver] = (object ?? actor ?? job ?? plan!.id).split(".");
    const latest = this.#latest.get(driver);
    if (latest !== undefined && isLater(latest, session)) return true;
    this.#latest.set(driver, session);
    return false;
  }

  #submit(session: Session, plan: JobPlan, settled: readonly Range[]): void {
    const known = this.#jobs.get(plan.id);
    if (known !== undefined) {
      // Its first submission was on the way in an older session when it asked in a later one, and was not known.
      if (known.driver === undefined || isLater(session, known.driver)) {
        this.#attach(session, plan.id, settled);
      }
      return;
    }
    this.#jobs.set(plan.id, { plan, driver: session, wanted: new Map() });
    if (plan.needsSignals) this.#journal.submitted(plan.id, settled);
    this.#post.writeSoon();
    this.apply({ type: "JobSubmitted", request: { ...plan.request, settled } });
  }

  #attach(session: Session, id: string, settled: readonly Range[]): void {
    const job = this.#jobs.get(id);
    if (job === undefined) {
      tell(session, { type: "unknown", job: id });
      return;
    }
    job.driver = session;
    this.apply({ type: "DriverBack", job: id, settled });
    for (const [agent, wanted] of job.wanted) {
      for (const chunks of wanted.ranges()) {
        tell(session, { type: "signalsWanted", agent, job: id, chunks });
      }
    }
  }

  apply(event: Untimed<HeadEvent>): void {
    const effects: HeadEffect[] = [];
    const { steps, checks, referee, clock } = this.#world;
    steps.head++;
    if ("agent" in event && "job" in event) this.#remember(event);
    referee.headSteps(this.state);
    stepHead(this.state, { ...event, nowMs: clock.nowMs }, effects);
    if (checks.whole > 0 && ++this.#steps % checks.whole === 0) this.#check();
    referee.headStepped(effects, this.state);
    const { tamper } = this.#world;
    for (const effect of effects) {
      const wanted = tamper === undefined ? effect : tamper(effect);
      if (wanted !== undefined) this.#perform(wanted);
    }
  }

  #check(): void {
    checkHeadInvariants(this.state);
    if (this.#steps % explainEverySteps !== 0) return;
    // One can always ask what it is waiting for.
    for (const { id, sentence } of explain(this.state, this.#world.clock.nowMs)) {
      if (!/^[A-Z].+\.$/.test(sentence))
        this.#world.referee.violated(`nobody says why ${id} waits`);
    }
  }

  #remember(event: HostWord): void {
    if (this.#remembered.length < rememberedWords) this.#remembered.push(event);
    else this.#remembered[this.#world.steps.head % rememberedWords] = event;
  }

  #perform(effect: HeadEffect): void {
    switch (effect.type) {
      case "DropObject":
        this.#post.toHost(effect.agent, { ...effect, type: "dropObject" });
        return;
      case "StartActor":
        this.#post.toHost(effect.agent, { ...effect, type: "startActor" });
        return;
      case "StopActor":
        this.#post.toHost(effect.agent, { ...effect, type: "stopActor" });
        return;
      case "ActorDied":
        this.#post.toDrivers({ ...effect, type: "actorDied" });
        return;
      case "CloseJob":
        // Also of a job that this head never knew: a host may come back with one of an earlier head's.
        this.#jobs.get(effect.job)?.wanted.delete(effect.agent);
        this.#post.toHost(effect.agent, { type: "close", job: effect.job });
        return;
    }
    const job = this.#jobs.get(effect.job) ?? this.#begunAgain(effect.job);
    if (job === undefined) return;
    switch (effect.type) {
      case "OpenJob": {
        const { plan } = job;
        const share = Math.ceil(resultWindowsBytes / this.state.agents.size);
        const windowBytes = Math.min(plan.windowBytes, share);
        this.#post.toHost(effect.agent, { ...effect, type: "open", plan, windowBytes });
        return;
      }
      case "AdoptJob":
        this.#post.toHost(effect.agent, { ...effect, type: "adopt" });
        return;
      case "Lease":
        this.#post.toHost(effect.agent, { ...effect, type: "lease" });
        return;
      case "Recall":
        this.#post.toHost(effect.agent, { ...effect, type: "recall" });
        return;
      case "ConfirmSettled":
        this.#post.toHost(effect.agent, {
          type: "settled",
          job: effect.job,
          chunks: effect.chunks,
        });
        return;
      case "RecordSettled":
        if (!job.plan.needsSignals) return;
        this.#journal.settled(effect.job, effect.chunks);
        this.#post.writeSoon();
        return;
      case "CompleteJob":
        this.#end(effect.job, job, { ...effect, type: "complete" });
        return;
      case "FailJob":
        this.#end(effect.job, job, { ...effect, type: "jobFailed" });
    }
  }

  /** A task that had ended is run again by the scheduler itself, because the object that it made is lost. */
  #begunAgain(id: string): RelayedJob | undefined {
    if (!this.state.jobs.has(id)) return undefined;
    const plan = this.#world.referee.planOf(id);
    const job = { plan, driver: undefined, wanted: new Map() };
    this.#jobs.set(id, job);
    return job;
  }

  #end(id: string, job: RelayedJob, message: ToDriver): void {
    this.#jobs.delete(id);
    this.#journal.ended(id);
    this.#post.writeSoon();
    job.driver?.send(message);
  }
}

function tell(driver: Session | undefined, message: ToDriver): void {
  driver?.send(message);
}

/** Sessions are numbered as they come. */
function isLater(session: Session, other: Session): boolean {
  const numberOf = ({ state }: Session) => Number(state.session!.split(".")[1]);
  return numberOf(session) > numberOf(other);
}
