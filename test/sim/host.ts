/** A host of the simulated cluster: the real agent machine and memory planner, with simulated threads under them. */
import {
  type AgentEffect,
  type AgentEvent,
  type AgentMachineState,
  checkAgentInvariants,
  emptyAgentState,
  type FailureClass,
  heldJobs,
  type Range,
  RangeSet,
  stepAgent,
} from "@fascicle/core";
import { ClientProcess } from "./client.ts";
import { HostActors } from "./hostActors.ts";
import { type HostJob, HostRooms, type RoomKeeper } from "./hostRooms.ts";
import type { FromHost, ToHost } from "./messages.ts";
import type { Body } from "./session.ts";
import { type ThreadJob, Threads, type ThreadsUser } from "./threads.ts";
import type { World } from "./world.ts";

/** Receipts of threads come this often, however many chunks that was. */
const receiptMs = 200;
/** Results wait this long for neighbours to travel with. */
const gatherMs = 200;
/** More is asked for this long before the threads run dry. */
const askAheadMs = 200;

/** Wake codes: kind + 16 * number. Kinds are odd or at least 8: the others are the client's. */
const kinds = { slot: 8, careful: 10, report: 12, open: 14, gather: 9, release: 11, actor: 13 };
const kindCount = 16;
const slotCount = 256;

export class HostProcess extends ClientProcess implements ThreadsUser, RoomKeeper {
  readonly slots: number;
  readonly memoryBytes: number;
  readonly speed: number;
  readonly #machine: AgentMachineState = emptyAgentState();
  readonly #rooms: HostRooms;
  readonly #threads: Threads;
  readonly #actors: HostActors;
  readonly #events: AgentEvent[] = [];
  readonly #objects = new Set<string>();
  readonly #draws;
  readonly #onDeath: () => void;
  #isStepping = false;
  #isReportAppointed = false;
  #sessions = 0;
  #steps = 0;
  agent = "";
  isDraining = false;

  constructor(
    name: string,
    machine: number,
    world: World,
    size: { readonly slots: number; readonly memoryBytes: number; readonly speed: number },
    onDeath: () => void,
  ) {
    super(name, machine, world);
    this.slots = size.slots;
    this.memoryBytes = size.memoryBytes;
    this.speed = size.speed;
    this.#onDeath = onDeath;
    this.#threads = new Threads(size.slots, this, () => world.clock.nowMs);
    this.#draws = world.random(`host ${name}`);
    this.#rooms = new HostRooms(this, world, size.memoryBytes, this.#draws);
    this.#actors = new HostActors(this, world, this.#threads, (delayMs, code) =>
      this.clock.after(delayMs, this, kinds.actor + kindCount * code),
    );
  }

  get objects(): ReadonlySet<string> {
    return this.#objects;
  }

  get actors(): HostActors {
    return this.#actors;
  }

  /** What is left of jobs here, for the end of a run. */
  residue(): string[] {
    const left = this.#rooms.residue();
    for (const job of this.#machine.jobs.keys()) left.push(`chunks of ${job}`);
    for (const { plan } of this.#threads.jobs()) left.push(`threads on ${plan.id}`);
    if (this.#threads.busySlots > 0) left.push(`${this.#threads.busySlots} busy threads`);
    return left;
  }

  checkAll(): void {
    checkAgentInvariants(this.#machine);
    this.#rooms.check();
  }

  /** Takes no new work, hands back what is not begun. The process goes when it has nothing more. */
  drain(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    this.say({ type: "draining" });
    this.#apply({ type: "Draining" });
  }

  /** What it has of each job; undefined while it is still making up its mind about one. */
  held(): ReadonlyMap<string, RangeSet> | undefined {
    const held = new Map<string, RangeSet>();
    for (const job of this.#rooms.all()) if (!job.isOpen) return undefined;
    for (const { job, leased } of this.#machine.jobs.values()) held.set(job, leased);
    return held;
  }

  /** A message or an effect is being dealt with. */
  get isHandling(): boolean {
    return this.#isStepping;
  }

  get isIdle(): boolean {
    return [...this.#machine.jobs.values()].every(({ leased }) => leased.size === 0);
  }

  crashThread(): void {
    for (let tries = 0; tries < 4; tries++) {
      const slot = this.#draws.whole(0, this.slots - 1);
      if (this.#threads.crash(slot)) return;
    }
  }

  /** A chunk that no thread has begun cannot be fitted here, or anywhere. */
  failChunk(failure: FailureClass): void {
    for (const job of this.#rooms.all()) {
      const { plan, threads } = job;
      const chunk = job.isOpen ? threads.board.takeBack() : -1;
      if (chunk < 0) continue;
      this.world.referee.chunkFailed(plan.id, failure);
      const chunks = { start: chunk, end: chunk + 1 };
      const reason = `${failure} in the simulation`;
      this.#apply({ type: "ExecutionFailed", job: plan.id, chunks, failure, reason });
      return;
    }
  }

  override pause(): void {
    super.pause();
    this.world.referee.fairness.paused(this.name);
  }

  override kill(): void {
    if (this.state === "dead") return;
    super.kill();
    this.#actors.died();
    this.world.referee.hostDied(this.name);
    this.#onDeath();
  }

  rivalryEnded(): void {
    this.world.referee.fairness.interrupted(this.name);
  }

  processKilled(): void {
    this.kill();
  }

  say(message: FromHost): void {
    this.send(message);
  }

  protected introduce(): void {
    const replaces = this.agent === "" ? undefined : this.agent;
    this.agent = `${this.name}.${++this.#sessions}`;
    const { agent, slots, memoryBytes } = this;
    const holds = heldJobs(this.#machine);
    this.say({ type: "hello", agent, slots, memoryBytes, replaces, holds });
    if (this.isDraining) this.say({ type: "draining" });
  }

  protected sessionLost(): void {
    this.#actors.headLost();
    // The head counts them as lost with the session, and has them made again.
    this.#objects.clear();
    // What is being opened is not known to the next head.
    for (const job of [...this.#rooms.all()]) if (!job.isOpen) this.#rooms.forget(job);
    this.#apply({ type: "HeadLost" });
  }

  protected received(body: Body): void {
    const message = body as ToHost;
    switch (message.type) {
      case "open":
        this.#rooms.open(message, this.#actors.incarnationOf(message.plan.request.actor));
        return;
      case "dropObject":
        this.#objects.delete(message.object);
        return;
      case "startActor":
        this.#actors.start(message.actor, message.incarnation);
        return;
      case "stopActor":
        this.#actors.stop(message.actor, message.incarnation);
        return;
    }
    const job = this.#rooms.get(message.job);
    if (job === undefined) {
      if (message.type === "adopt") this.#apply({ ...message, type: "JobAdopted" });
      return;
    }
    if (job.isOpen) this.#handle(job, message);
    else if (message.type === "close") this.#rooms.forget(job);
    else job.early.push(message);
  }

  #handle(
    job: HostJob,
    message: Exclude<ToHost, { type: "open" | "dropObject" | "startActor" | "stopActor" }>,
  ): void {
    switch (message.type) {
      case "lease":
        this.#apply({ ...message, type: "Leased" });
        return;
      case "recall":
        this.#apply({ ...message, type: "Recalled" });
        return;
      case "adopt":
        job.underWayBytes = 0;
        job.underWayEpoch = message.epoch;
        this.#apply({ ...message, type: "JobAdopted" });
        return;
      case "signals":
        this.#apply({ type: "SignalsHere", job: message.job, chunks: message.chunks });
        return;
      case "settled":
        job.isSettled = true;
        this.#apply({ type: "Settled", job: message.job, chunks: message.chunks });
        job.threads.fitted.remove(message.chunks);
        return;
      case "credit":
        if (message.epoch === job.underWayEpoch) job.underWayBytes -= message.creditBytes;
        this.#apply({ ...message, type: "Credited", bytes: message.creditBytes });
        return;
      case "close":
        this.#apply({ type: "JobClosed", job: message.job });
    }
  }

  #opened(number: number): void {
    const job = this.#rooms.numbered(number);
    if (job === undefined) return;
    job.isOpen = true;
    const { plan, epoch, threads, windowBytes } = job;
    if (plan.request.actor === undefined) this.#threads.open(threads);
    const chunksPerRun = plan.chunksPerRunIn(windowBytes);
    const { slots } = threads;
    this.#apply({ type: "JobOpened", job: plan.id, epoch, slots, chunksPerRun, windowBytes });
    for (const message of job.early.splice(0)) {
      if (this.#rooms.get(plan.id) === job) this.#handle(job, message as never);
    }
  }

  protected runOwn(code: number): void {
    const kind = code % kindCount;
    const number = (code - kind) / kindCount;
    switch (kind) {
      case kinds.slot:
        this.#threads.done(number % slotCount, Math.floor(number / slotCount));
        return;
      case kinds.careful:
        this.#threads.carefulDone(number);
        return;
      case kinds.report:
        this.#isReportAppointed = false;
        this.reportNow();
        return;
      case kinds.open:
        this.#opened(number);
        return;
      case kinds.gather: {
        const job = this.#rooms.numbered(number);
        if (job !== undefined) this.#apply({ type: "SendDue", job: job.plan.id });
        return;
      }
      case kinds.release:
        this.#rooms.cleared(number);
        return;
      case kinds.actor:
        this.#actors.wake(number);
    }
  }

  appointSlot(delayMs: number, slot: number, generation: number): void {
    const number = generation * slotCount + slot;
    this.clock.after(delayMs, this, kinds.slot + kindCount * number);
  }

  appointCareful(delayMs: number, generation: number): void {
    this.clock.after(delayMs, this, kinds.careful + kindCount * generation);
  }

  appointOpening(delayMs: number, number: number): void {
    this.clock.after(delayMs, this, kinds.open + kindCount * number);
  }

  appointClearing(delayMs: number, number: number): void {
    this.clock.after(delayMs, this, kinds.release + kindCount * number);
  }

  began(job: ThreadJob): void {
    this.world.referee.began(this.name, job, this.#threads.jobs());
  }

  ended(job: ThreadJob, slotMs: number, hadChoice: boolean): void {
    if (hadChoice) this.world.referee.shared(this.name, job, this.#threads.jobs(), slotMs);
  }

  reportSoon(): void {
    if (this.#isReportAppointed) return;
    this.#isReportAppointed = true;
    this.clock.after(receiptMs, this, kinds.report);
  }

  reportNow(): void {
    for (const job of [...this.#rooms.all()]) {
      const { fresh, fitted, busySlots } = job.threads;
      if (fresh.length === 0) continue;
      const ranges = rangesOf(fresh);
      fresh.length = 0;
      for (const range of ranges) fitted.add(range);
      const chunksAhead = job.threads.chunksAhead(askAheadMs);
      this.#apply({ type: "ChunksFitted", job: job.plan.id, ranges, busySlots, chunksAhead });
    }
  }

  /** Machine events are handled one after the other, also those that effects bring about. */
  #apply(event: AgentEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const effects: AgentEffect[] = [];
      this.world.steps.agents++;
      stepAgent(this.#machine, next, effects);
      const { local } = this.world.checks;
      if (local > 0 && ++this.#steps % local === 0) checkAgentInvariants(this.#machine);
      const { tamper } = this.world;
      for (const effect of effects) {
        const wanted = tamper === undefined ? effect : tamper(effect);
        if (wanted !== undefined) this.#perform(wanted);
      }
      if (this.state === "dead") break;
    }
    this.#events.length = 0;
    this.#isStepping = false;
  }

  #perform(effect: AgentEffect): void {
    if (effect.type === "DeferJob") {
      this.say({ ...effect, type: "deferred" });
      return;
    }
    const job = this.#rooms.get(effect.job);
    if (job === undefined) return;
    const id = effect.job;
    switch (effect.type) {
      case "FetchSignals":
        if (job.plan.needsSignals) {
          this.say({ type: "signalsWanted", job: id, chunks: effect.chunks });
        } else this.#events.push({ type: "SignalsHere", job: id, chunks: effect.chunks });
        return;
      case "MakeReady":
        if (job.plan.request.actor === undefined) this.#threads.ready(job.threads, effect.chunks);
        else this.#actors.call(job.plan, job.incarnation, () => this.#calledActor(job));
        return;
      case "RunCarefully":
        this.#threads.runCarefully(job.threads, effect.chunks);
        return;
      case "Withdraw": {
        const ranges = job.threads.board.withdraw(effect.chunks);
        this.#events.push({ type: "Withdrawn", job: id, ranges, purpose: effect.purpose });
        return;
      }
      case "AskForWork":
        this.say({ type: "workWanted", job: id, epoch: effect.epoch });
        return;
      case "ReturnRanges":
        this.say({ ...effect, type: "returned" });
        return;
      case "Gather":
        this.clock.after(gatherMs, this, kinds.gather + kindCount * job.number);
        return;
      case "SendRun":
        this.#sendRun(job, effect.epoch, effect.chunks);
        return;
      case "ReportFailure":
        this.say({ ...effect, type: "failed" });
        return;
      case "ReleaseJob":
        this.#release(job);
    }
  }

  #sendRun(job: HostJob, epoch: number, chunks: Range): void {
    const { plan, threads } = job;
    const bytes = (chunks.end - chunks.start) * plan.bytesPerChunk;
    job.underWayBytes += bytes;
    this.world.referee.underWay(this.name, plan, job.underWayBytes, job.windowBytes);
    const digest = threads.fitted.covers(chunks) ? plan.digestOf(chunks) : 0;
    if (plan.request.makes !== undefined) this.#objects.add(plan.request.makes);
    this.say({ type: "result", job: plan.id, epoch, chunks, digest, bytes });
    this.#events.push({ type: "RunSent", job: plan.id, epoch, bytes });
  }

  #calledActor(job: HostJob): void {
    if (this.#rooms.get(job.plan.id) !== job) return;
    const ranges = [{ start: 0, end: 1 }];
    job.threads.fitted.add(ranges[0]);
    this.#apply({ type: "ChunksFitted", job: job.plan.id, ranges, busySlots: 0 });
  }

  #release(job: HostJob): void {
    this.#threads.close(job.threads);
    this.#actors.abandon(job.plan.id);
    // Nobody knows of an object whose task ended otherwise while its receipt was on the way.
    if (!job.isSettled) this.#objects.delete(job.plan.request.makes ?? "");
    this.#rooms.leave(job);
  }
}

/** Chunks that came in any order, as ranges. */
function rangesOf(chunks: number[]): Range[] {
  const set = new RangeSet();
  chunks.sort((a, b) => a - b);
  let start = chunks[0];
  let end = start + 1;
  for (let i = 1; i < chunks.length; i++) {
    if (chunks[i] > end) {
      set.add({ start, end });
      start = chunks[i];
    }
    end = Math.max(end, chunks[i] + 1);
  }
  set.add({ start, end });
  return [...set.ranges()];
}
