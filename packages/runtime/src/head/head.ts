/**
 * The head: turns what workers and drivers say into events of the scheduler, and its effects into messages.
 * Signals and results pass through it from socket to socket; it keeps none.
 */

import { hostname } from "node:os";
import {
  chunksOfVoxels,
  emptyHeadState,
  type HeadEffect,
  type HeadEvent,
  type Range,
  stepHead,
} from "@fascicle/core";
import { blockVoxelsFor, outputsRowBytes } from "@fascicle/object-store";
import {
  type ClusterStatus,
  type FromAgent,
  type FromClient,
  fitsPerClientLimit,
  type HostInfo,
  headStopsReason,
  type JobSpec,
  listen,
  type Role,
  readFromAgent,
  readFromClient,
  type Server,
  type Session,
  type ToAgent,
  type ToClient,
} from "@fascicle/transport";
import { memoryNeeded } from "@fascicle/worker";
import { version } from "../version.ts";
import { HeadJob } from "./jobs.ts";
import { type AgentRecord, clusterStatus, workersOf } from "./status.ts";

export interface HeadOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  log(sentence: string): void;
}

/** An event without its time. */
type Untimed<E> = E extends HeadEvent ? Omit<E, "nowMs"> : never;

export class Head {
  readonly #options: HeadOptions;
  readonly #state = emptyHeadState();
  readonly #agents = new Map<string, AgentRecord>();
  readonly #jobs = new Map<string, HeadJob>();
  readonly #connections = new Set<Session>();
  readonly #startedMs = Date.now();
  #server: Server | undefined;

  private constructor(options: HeadOptions) {
    this.#options = options;
  }

  /** Opens the door; rejects where the address cannot be had. */
  static async start(options: HeadOptions): Promise<Head> {
    const head = new Head(options);
    head.#server = await listen({
      ...options,
      onSession: (connection, role, remote) => head.#connected(connection, role, remote),
      onRefused: (remote, reason) => options.log(`refused a peer at ${remote}: ${reason}`),
    });
    return head;
  }

  get port(): number {
    return this.#server?.port ?? this.#options.port;
  }

  /** Tells everybody goodbye and closes the door. */
  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.close(headStopsReason);
    await this.#server?.close();
  }

  #connected(connection: Session, role: Role, remote: string): void {
    this.#connections.add(connection);
    if (role === "agent") this.#serveAgent(connection, remote);
    else this.#serveClient(connection);
  }

  #serveAgent(connection: Session, remote: string): void {
    let agent: string | undefined;
    connection.start({
      onMessage: (raw, payload) => {
        const message = readFromAgent(raw);
        if (message.type === "hello") {
          if (agent !== undefined || this.#agents.has(message.host.agent)) {
            throw new Error("a worker said hello twice");
          }
          agent = message.host.agent;
          this.#agentJoined(connection, message.host, remote);
        } else if (agent === undefined) {
          throw new Error("a worker must say hello first");
        } else {
          this.#fromAgent(agent, message, payload);
        }
      },
      onClose: (reason) => {
        this.#connections.delete(connection);
        if (agent !== undefined) this.#agentLeft(agent, reason);
      },
    });
  }

  #agentJoined(connection: Session, host: HostInfo, remote: string): void {
    this.#agents.set(host.agent, {
      connection,
      host,
      busySlots: new Map(),
      objectBytes: 0,
      objects: 0,
    });
    this.#options.log(`${host.hostName} (${remote}) joined with ${host.slots} slots`);
    const { agent, slots, objectMemoryBytes: memoryBytes } = host;
    this.#apply({ type: "AgentJoined", agent, slots, memoryBytes });
    this.#tellWorkers();
  }

  #agentLeft(agent: string, reason: string): void {
    const record = this.#agents.get(agent);
    this.#agents.delete(agent);
    for (const job of this.#jobs.values()) job.agentLeft(agent);
    this.#options.log(`${record?.host.hostName} left: ${reason}`);
    this.#apply({ type: "AgentLeft", agent, isDeath: true });
    this.#tellWorkers();
  }

  #fromAgent(
    agent: string,
    message: Exclude<FromAgent, { type: "hello" }>,
    payload: Uint8Array,
  ): void {
    const record = this.#agents.get(agent)!;
    switch (message.type) {
      case "draining":
        this.#apply({ type: "AgentDraining", agent });
        return;
      case "memory":
        record.objectBytes = message.objectBytes;
        record.objects = message.objects;
        return;
    }
    const job = this.#jobs.get(message.job);
    // Words about a fit that ended meanwhile.
    if (job === undefined) return;
    switch (message.type) {
      case "workWanted":
        this.#apply({ ...message, type: "WorkWanted", agent });
        return;
      case "blockWanted":
        if (!this.#takesPart(agent, message.job)) return;
        job.blocks.want(agent, message.block);
        this.#toClient(job, { ...message, agent });
        return;
      case "result":
        if (this.#isResultExpected(agent, message, payload.length)) {
          this.#toClient(job, { ...message, agent }, payload);
        }
        return;
      case "progress": {
        record.busySlots.set(message.job, message.busySlots);
        const voxels = job.progress(agent, message.voxels);
        this.#toClient(job, { type: "progress", job: message.job, voxels });
        return;
      }
      case "returned":
        this.#apply({ ...message, type: "RangesReturned", agent });
        return;
      case "failed":
        if (!this.#takesPart(agent, message.job)) return;
        this.#options.log(
          `fit ${message.job} failed on ${record.host.hostName}: ${message.reason}`,
        );
        this.#apply({
          ...message,
          type: "RangeFailed",
          agent,
          reason: `chunk ${message.chunks.start} failed on ${record.host.hostName}: ${message.reason}`,
        });
        return;
      case "deferred":
        job.agentLeft(agent);
        this.#apply({ ...message, type: "JobDeferred", agent });
        this.#tellWorkers();
        return;
      case "refused":
        job.agentLeft(agent);
        this.#options.log(message.reason);
        this.#apply({ ...message, type: "JobRefused", agent });
        this.#tellWorkers();
    }
  }

  #takesPart(agent: string, job: string): boolean {
    return this.#state.jobs.get(job)?.assignments.has(agent) ?? false;
  }

  /**
   * Whether a result is one of a lease that its sender holds. What is settled already (a lost worker's results
   * may come twice) is credited and dropped; what was never leased closes the connection.
   */
  #isResultExpected(
    agent: string,
    message: Extract<FromAgent, { type: "result" }>,
    payloadBytes: number,
  ): boolean {
    const spec = this.#jobs.get(message.job)!.spec;
    const state = this.#state.jobs.get(message.job);
    const assignment = state?.assignments.get(agent);
    if (state === undefined || assignment === undefined) return false;
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
    const isLeased = (range: Range) => assignment.leased.covers(range);
    if (isLeased(chunks) && (completes === undefined || isLeased(completes))) return true;
    if (!state.settled.intersects(chunks))
      throw new Error("a result of chunks that were not leased");
    this.#toAgent(agent, { type: "credit", job: message.job, bytes: payloadBytes });
    return false;
  }

  #serveClient(connection: Session): void {
    connection.start({
      onMessage: (raw, payload) => this.#fromClient(connection, readFromClient(raw), payload),
      onClose: (reason) => {
        this.#connections.delete(connection);
        for (const [id, job] of [...this.#jobs]) {
          if (job.client !== connection) continue;
          this.#options.log(`fit ${id} ends, its driver is gone: ${reason}`);
          this.#apply({ type: "JobCancelled", job: id, reason: "its driver is gone" });
        }
      },
    });
  }

  #fromClient(client: Session, message: FromClient, payload: Uint8Array): void {
    if (message.type === "submit") {
      this.#submit(client, message.spec, message.settled, payload);
      return;
    }
    if (message.type === "attach") {
      client.send({ type: "unknown", job: message.job } satisfies ToClient);
      return;
    }
    if (message.type === "status") {
      const reply: ToClient = {
        type: "statusReply",
        request: message.request,
        status: this.status(),
      };
      client.send(reply);
      return;
    }
    const job = this.#jobs.get(message.job);
    if (job === undefined) return;
    if (job.client !== client) throw new Error("a fit is its own driver's business");
    if (message.type === "cancel") {
      this.#options.log(`fit ${message.job} was cancelled: ${message.reason}`);
      this.#apply({ type: "JobCancelled", job: message.job, reason: message.reason });
      return;
    }
    if (message.type === "block") {
      const { agent, ...block } = message;
      if (job.blocks.deliver(agent, block.block, payload.length)) {
        this.#toAgent(agent, block, payload);
      }
      return;
    }
    if (message.type === "damaged") {
      const reason = "its results came damaged";
      this.#options.log(`fit ${message.job} wants no more of ${message.agent}: ${reason}`);
      this.#toAgent(message.agent, { type: "close", job: message.job });
      job.agentLeft(message.agent);
      const { agent, job: id } = message;
      const epoch = this.#state.jobs.get(id)?.assignments.get(agent)?.epoch ?? 0;
      this.#apply({ type: "JobRefused", agent, job: id, epoch, reason });
      this.#tellWorkers();
      return;
    }
    this.#toAgent(message.agent, { type: "credit", job: message.job, bytes: message.bytes });
    if (message.settled !== undefined) {
      const { agent, settled: chunks } = message;
      this.#apply({ type: "RangeSettled", agent, job: message.job, chunks });
    }
  }

  #submit(client: Session, spec: JobSpec, settled: readonly Range[], payload: Uint8Array): void {
    if (this.#jobs.has(spec.job)) throw new Error(`fit ${spec.job} was submitted twice`);
    if (spec.chunkCount > spec.voxelCount) throw new Error("a fit has more chunks than voxels");
    if (spec.signals.blockVoxels !== blockVoxelsFor(spec.signals.width, spec.signals.dtype)) {
      throw new Error("a fit cuts its signals into other blocks than ours");
    }
    const open = [...this.#jobs.values()].filter((job) => job.client === client);
    if (open.length >= fitsPerClientLimit) throw new Error("a driver has too many fits open");
    this.#jobs.set(spec.job, new HeadJob(spec, payload, client));
    this.#options.log(
      `fit ${spec.job}: ${spec.model}, ${spec.voxelCount} voxels in ${spec.chunkCount} chunks`,
    );
    const { job, chunkCount, slotLimit, priority } = spec;
    const memoryBytes = memoryNeeded(spec);
    this.#apply({
      type: "JobSubmitted",
      request: { job, chunkCount, slotLimit, priority, settled, memoryBytes },
    });
    this.#tellWorkers();
  }

  #apply(event: Untimed<HeadEvent>): void {
    const effects: HeadEffect[] = [];
    stepHead(this.#state, { ...event, nowMs: performance.now() }, effects);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: HeadEffect): void {
    // Objects and actors have no surface yet.
    if (!("job" in effect)) return;
    const job = this.#jobs.get(effect.job);
    if (job === undefined) return;
    switch (effect.type) {
      case "OpenJob":
        this.#toAgent(
          effect.agent,
          { type: "open", spec: job.spec, slots: effect.slots, epoch: effect.epoch },
          job.parameters,
        );
        return;
      case "Lease":
        this.#toAgent(effect.agent, { ...effect, type: "lease" });
        return;
      case "AdoptJob":
        this.#toAgent(effect.agent, { ...effect, type: "adopt" });
        return;
      case "Recall":
        this.#toAgent(effect.agent, { ...effect, type: "recall" });
        return;
      case "CloseJob":
        this.#agents.get(effect.agent)?.busySlots.delete(effect.job);
        this.#toAgent(effect.agent, { type: "close", job: effect.job });
        return;
      case "ConfirmSettled":
        this.#toAgent(effect.agent, { type: "settled", job: effect.job, chunks: effect.chunks });
        return;
      case "CompleteJob": {
        const seconds = ((Date.now() - job.submittedMs) / 1000).toFixed(1);
        this.#options.log(`fit ${effect.job} is complete after ${seconds} s`);
        this.#jobs.delete(effect.job);
        this.#toClient(job, { type: "complete", job: effect.job, counts: effect.counts });
        this.#tellWorkers();
        return;
      }
      case "FailJob":
        this.#jobs.delete(effect.job);
        this.#toClient(job, { type: "jobFailed", job: effect.job, reason: effect.reason });
        this.#tellWorkers();
    }
  }

  #toAgent(agent: string, message: ToAgent, payload?: Uint8Array): void {
    this.#agents.get(agent)?.connection.send(message, payload);
  }

  #toClient(job: HeadJob, message: ToClient, payload?: Uint8Array): void {
    job.client.send(message, payload);
  }

  /** Tells every driver what works for it now. */
  #tellWorkers(): void {
    for (const [id, job] of this.#jobs) {
      const state = this.#state.jobs.get(id);
      if (state === undefined) continue;
      const host = (agent: string) => this.#agents.get(agent)?.host;
      this.#toClient(job, { type: "workers", job: id, ...workersOf(state, host) });
    }
  }

  /** What `runtime status` shows. */
  status(): ClusterStatus {
    const head = {
      version,
      pid: process.pid,
      hostName: hostname(),
      port: this.port,
      uptimeSeconds: (Date.now() - this.#startedMs) / 1000,
    };
    return clusterStatus(head, [...this.#agents.values()], this.#jobs, this.#state);
  }
}
