/** A worker's session with the head. */
import { chunksOfVoxels, counted, type Range } from "@fascicle/core";
import { outputsRowBytes } from "@fascicle/object-store";
import { type FromAgent, readFromAgent, type Session } from "@fascicle/transport";
import type { Desk } from "./desk.ts";
import type { HeadJob } from "./jobs.ts";
import { ProcessWatch } from "./processWatch.ts";
import { nothingInMemory } from "./status.ts";

type Hello = Extract<FromAgent, { type: "hello" }>;
type Result = Extract<FromAgent, { type: "result" }>;

export class AgentPeer {
  readonly #desk: Desk;
  readonly #session: Session;
  readonly #remote: string;
  #hello: Hello | undefined;
  readonly #watch: ProcessWatch;

  /** `onClosed` is called when the session is over. */
  constructor(desk: Desk, session: Session, remote: string, onClosed: () => void) {
    this.#desk = desk;
    this.#session = session;
    this.#watch = new ProcessWatch(session);
    this.#remote = remote;
    session.start({
      onMessage: (raw, payload) => this.#received(readFromAgent(raw), payload),
      onAway: (reason) => this.#away(reason),
      onBack: () => this.#back(),
      onClose: (reason, isGoodbye) => {
        this.#watch.stop();
        this.#left(reason, isGoodbye);
        onClosed();
      },
    });
  }

  get #name(): string {
    return this.#desk.names.nameOf(this.#hello?.host.agent ?? "");
  }

  #received(message: FromAgent, payload: Uint8Array): void {
    if (message.type === "hello") this.#joined(message);
    else if (this.#hello === undefined) throw new Error("a worker must say hello first");
    else this.#heard(this.#hello.host.agent, message, payload);
  }

  #joined(hello: Hello): void {
    const { host, holds } = hello;
    const { agents, log } = this.#desk;
    const replaces = this.#earlierSelf(hello);
    if (this.#hello !== undefined || agents.has(host.agent)) {
      throw new Error("a worker said hello twice");
    }
    this.#hello = hello;
    this.#watch.owner = hello.owner;
    const record = {
      session: this.#session,
      host,
      key: hello.key,
      busySlots: new Map(),
      memory: nothingInMemory,
    };
    agents.set(host.agent, record);
    this.#desk.names.add(host.agent, host.hostName, host.pid);
    if (replaces !== undefined) this.#replace(replaces);
    this.#desk.transfers.joined(host.agent, this.#remote, hello.dataAddress);
    const news = hello.replaces === undefined ? "joined" : "is back";
    log(`${this.#name} at ${this.#remote} ${news} with ${counted(host.slots, "slot")}`);
    const { agent, slots, objectMemoryBytes: memoryBytes } = host;
    this.#desk.apply({ type: "AgentJoined", agent, slots, memoryBytes, replaces, holds });
    this.#desk.tellWorkers();
  }

  /** The name under which the head still has this process; a stranger's is not taken for it. */
  #earlierSelf({ replaces, key }: Hello): string | undefined {
    return this.#desk.agents.get(replaces ?? "")?.key === key ? replaces : undefined;
  }

  /** Its earlier self is forgotten without a word to the scheduler, which hears of both at once. */
  #replace(earlier: string): void {
    const { agents, jobs } = this.#desk;
    const session = agents.get(earlier)?.session;
    agents.delete(earlier);
    for (const job of jobs.values()) job.agentLeft(earlier);
    this.#desk.transfers.left(earlier);
    session?.terminate("the worker is back under another name");
  }

  #away(reason: string): void {
    if (this.#hello === undefined) return;
    const { agent } = this.#hello.host;
    this.#desk.log(`${this.#name} cannot be reached: ${reason}`);
    this.#desk.apply({ type: "AgentAway", agent });
    this.#watch.away();
  }

  #back(): void {
    this.#watch.stop();
    if (this.#hello === undefined) return;
    this.#desk.log(`${this.#name} is back; nothing was lost`);
    this.#desk.apply({ type: "AgentBack", agent: this.#hello.host.agent });
  }

  #left(reason: string, isGoodbye: boolean): void {
    const agent = this.#hello?.host.agent;
    const { agents, jobs, log } = this.#desk;
    // One that is back under another name has been dealt with.
    if (agent === undefined || agents.get(agent)?.session !== this.#session) return;
    agents.delete(agent);
    for (const job of jobs.values()) job.agentLeft(agent);
    this.#desk.transfers.left(agent);
    log(`${this.#name} left: ${reason}`);
    this.#desk.apply({ type: "AgentLeft", agent, isDeath: !isGoodbye });
    this.#desk.tellWorkers();
  }

  #heard(agent: string, message: Exclude<FromAgent, { type: "hello" }>, payload: Uint8Array): void {
    if (message.type === "draining") {
      this.#desk.apply({ type: "AgentDraining", agent });
      return;
    }
    if (message.type === "memory") {
      const { type: _, ...memory } = message;
      this.#desk.agents.get(agent)!.memory = memory;
      return;
    }
    const job = this.#desk.jobs.get(message.job);
    // Words about a fit that ended meanwhile.
    if (job !== undefined) this.#aboutJob(agent, job, message, payload);
  }

  #aboutJob(
    agent: string,
    job: HeadJob,
    message: Extract<FromAgent, { job: string }>,
    payload: Uint8Array,
  ): void {
    const { apply, toClient, log, tellWorkers } = this.#desk;
    const worker = this.#name;
    switch (message.type) {
      case "workWanted":
        apply({ ...message, type: "WorkWanted", agent });
        return;
      case "blockWanted":
        if (this.#epochOf(agent, message.job) === undefined) return;
        this.#desk.transfers.wanted(agent, job, message.block);
        return;
      case "blockHere":
      case "blockGone":
      case "blockMissed":
        if (this.#epochOf(agent, message.job) === undefined) return;
        this.#desk.transfers.heard(agent, job, message);
        return;
      case "result":
        if (this.#isResultExpected(agent, job, message, payload.length)) {
          toClient(job, { ...message, agent }, payload);
        }
        return;
      case "progress": {
        // It may not have heard yet that it has no part of the fit any more.
        if (this.#epochOf(agent, message.job) === undefined) return;
        this.#desk.agents.get(agent)?.busySlots.set(message.job, message.busySlots);
        const voxels = job.progress(agent, message.voxels);
        toClient(job, { type: "progress", job: message.job, voxels });
        return;
      }
      case "returned":
        apply({ ...message, type: "RangesReturned", agent });
        return;
      case "failed": {
        if (this.#epochOf(agent, message.job) !== message.epoch) return;
        this.#failed(agent, message);
        return;
      }
      case "deferred":
        job.agentLeft(agent);
        this.#desk.transfers.partEnded(agent, message.job);
        apply({ ...message, type: "JobDeferred", agent });
        tellWorkers();
        return;
      case "refused":
        log(`${worker}: ${message.reason}`);
        apply({ ...message, type: "JobRefused", agent });
        tellWorkers();
    }
  }

  #failed(agent: string, message: Extract<FromAgent, { type: "failed" }>): void {
    const { apply, log, tellWorkers } = this.#desk;
    const { job, failure, chunks } = message;
    const where = failure === "application" ? `chunk ${chunks.start} failed on` : "on";
    const reason = `${where} ${this.#name}: ${message.reason}`;
    log(`fit ${job}: ${reason}`);
    apply({ ...message, type: "RangeFailed", agent, reason });
    tellWorkers();
  }

  #epochOf(agent: string, job: string): number | undefined {
    return this.#desk.state.jobs.get(job)?.assignments.get(agent)?.epoch;
  }

  /**
   * Whether a result holds something that its sender was leased. What is settled already (somebody else was first)
   * is credited and dropped; what was never leased, or is more than its window, closes the session.
   */
  #isResultExpected(agent: string, job: HeadJob, message: Result, payloadBytes: number): boolean {
    const { spec } = job;
    const state = this.#desk.state.jobs.get(message.job);
    const assignment = state?.assignments.get(agent);
    if (state === undefined || assignment?.epoch !== message.epoch) return false;
    const { voxels, completes } = message;
    const rowBytes = outputsRowBytes(spec.outputs);
    if (
      voxels.end > spec.voxelCount ||
      payloadBytes !== (voxels.end - voxels.start) * rowBytes ||
      (completes !== undefined && completes.end > spec.chunkCount)
    ) {
      throw new Error("a result is not of the size that it says");
    }
    const chunks = chunksOfVoxels(spec.voxelCount, spec.chunkCount, voxels);
    let leased = 0;
    for (const range of completes === undefined ? [chunks] : [chunks, completes]) {
      const here = assignment.leased.overlap(range);
      if (here + state.settled.overlap(range) < sizeOf(range)) {
        throw new Error("a result of chunks that were not leased");
      }
      leased += here;
    }
    const { job: id, epoch } = message;
    if (leased > 0) {
      job.windows.relay(agent, epoch, payloadBytes);
      return true;
    }
    this.#desk.toAgent(agent, { type: "credit", job: id, epoch, bytes: payloadBytes });
    return false;
  }
}

const sizeOf = ({ start, end }: Range) => end - start;
