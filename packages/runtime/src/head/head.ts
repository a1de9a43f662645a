/**
 * The head: turns what workers and drivers say into events of the scheduler, and its effects into messages and
 * records of the journal. Signals and results pass through it from socket to socket; it keeps none.
 */
import { hostname } from "node:os";
import {
  emptyHeadState,
  type HeadEffect,
  type HeadEvent,
  type Range,
  stepHead,
} from "@fascicle/core";
import {
  type ClusterStatus,
  type FromClient,
  headStopsReason,
  listen,
  newToken,
  type Role,
  resultWindowBytes,
  resultWindowsBytes,
  type Server,
  type Session,
  type ToAgent,
  type ToClient,
} from "@fascicle/transport";
import type { HeadJournal, JournalledJob } from "../ledger/headJournal.ts";
import { version } from "../version.ts";
import { AgentPeer } from "./agentPeer.ts";
import { ClientPeer } from "./clientPeer.ts";
import type { Desk, Untimed } from "./desk.ts";
import { explanations, WorkerNames } from "./explain.ts";
import { HeadJob, requestOf } from "./jobs.ts";
import { type AgentRecord, clusterStatus, workersOf } from "./status.ts";
import { Transfers } from "./transfers.ts";

/** The scheduler is told of the time this often. */
const tickMs = 250;

/** Workers of the head before this one are back within this time: a fit is not given up for the first of them. */
const workersReturnMs = 10_000;

export interface HeadOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  /** Where fits are remembered beyond the head's death, and those that are. */
  readonly journal?: HeadJournal;
  readonly jobs?: readonly JournalledJob[];
  log(sentence: string): void;
}

export class Head implements Desk {
  readonly state = emptyHeadState();
  readonly agents = new Map<string, AgentRecord>();
  readonly jobs = new Map<string, HeadJob>();
  readonly #options: HeadOptions;
  readonly #sessions = new Set<Session>();
  #clients = 0;
  readonly names = new WorkerNames();
  readonly transfers = new Transfers(this);
  readonly #startedMs = Date.now();
  readonly #ticker: NodeJS.Timeout;
  #server: Server | undefined;

  private constructor(options: HeadOptions) {
    this.#options = options;
    this.#ticker = setInterval(() => this.apply({ type: "Tick" }), tickMs);
    for (const journalled of options.jobs ?? []) this.#restore(journalled);
  }

  /** Opens the door; rejects where the address cannot be had. */
  static async start(options: HeadOptions): Promise<Head> {
    const head = new Head(options);
    try {
      head.#server = await listen({
        ...options,
        onSession: (session, role, remote) => head.#connected(session, role, remote),
        onRefused: (remote, reason) => options.log(`refused a peer at ${remote}: ${reason}`),
      });
    } catch (error) {
      clearInterval(head.#ticker);
      throw error;
    }
    return head;
  }

  get port(): number {
    return this.#server?.port ?? this.#options.port;
  }

  /** Tells everybody goodbye and closes the door; drivers keep what they have. */
  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    for (const session of this.#sessions) session.close(headStopsReason);
    await this.#server?.close();
    await this.#options.journal?.close();
  }

  /** A fit of the head before this one waits for its driver; workers bring what they hold. */
  #restore({ spec, parameters, settled, details }: JournalledJob): void {
    const key = (details as { key?: string } | undefined)?.key ?? newToken();
    this.jobs.set(spec.job, new HeadJob(spec, parameters, key, undefined));
    this.log(`fit ${spec.job} of the last head waits for its driver`);
    const request = { ...requestOf(spec, [...settled.ranges()]), patienceMs: workersReturnMs };
    this.apply({ type: "JobSubmitted", request });
    this.apply({ type: "DriverAway", job: spec.job });
  }

  #connected(session: Session, role: Role, remote: string): void {
    this.#sessions.add(session);
    const onClosed = () => this.#sessions.delete(session);
    if (role === "agent") new AgentPeer(this, session, remote, onClosed);
    else new ClientPeer(this, session, ++this.#clients, this, onClosed);
  }

  /** Remembers a fit, and what its driver had of it already. */
  submitted({ spec, parameters, key }: HeadJob, settled: readonly Range[]): void {
    this.#options.journal?.submitted(spec, parameters, { key }, settled);
  }

  answer(
    message: Extract<FromClient, { type: "status" | "why" }>,
    session: { send(reply: ToClient): void },
  ): void {
    const { request } = message;
    if (message.type === "status") {
      session.send({ type: "statusReply", request, status: this.status() });
      return;
    }
    const nowMs = performance.now();
    const clock = { nowMs, epochMs: Date.now() - nowMs };
    const told = explanations(this.state, this.jobs, this.agents, this.names, clock, message.name);
    session.send({ type: "whyReply", request, explanations: told });
  }

  log = (sentence: string): void => {
    this.#options.log(sentence);
  };

  apply = (event: Untimed<HeadEvent>): void => {
    const effects: HeadEffect[] = [];
    stepHead(this.state, { ...event, nowMs: performance.now() }, effects);
    for (const effect of effects) this.#perform(effect);
    // Some open by themselves: a host that is back, or has rested.
    if (effects.some(({ type }) => type === "OpenJob")) this.tellWorkers();
  };

  #perform(effect: HeadEffect): void {
    // Objects and actors have no surface yet.
    if (!("job" in effect)) return;
    const job = this.jobs.get(effect.job);
    if (job === undefined) {
      if (effect.type === "CloseJob") this.toAgent(effect.agent, { ...effect, type: "close" });
      return;
    }
    switch (effect.type) {
      case "OpenJob":
        this.#open(effect, job);
        return;
      case "AdoptJob":
        this.toAgent(effect.agent, { ...effect, type: "adopt" });
        return;
      case "Lease":
        this.toAgent(effect.agent, { ...effect, type: "lease" });
        return;
      case "Recall":
        this.toAgent(effect.agent, { ...effect, type: "recall" });
        return;
      case "CloseJob":
        this.agents.get(effect.agent)?.busySlots.delete(effect.job);
        job.agentLeft(effect.agent);
        this.transfers.partEnded(effect.agent, effect.job);
        this.agents.get(effect.agent)?.session.dropBulk(effect.job);
        this.toAgent(effect.agent, { ...effect, type: "close" });
        return;
      case "ConfirmSettled":
        this.toAgent(effect.agent, { ...effect, type: "settled" });
        return;
      case "RecordSettled":
        this.#options.journal?.settled(effect.job, effect.chunks);
        return;
      case "CompleteJob": {
        const seconds = ((Date.now() - job.submittedMs) / 1000).toFixed(1);
        this.log(`fit ${effect.job} is complete after ${seconds} s`);
        const { counts } = effect;
        this.#ended(job, { type: "complete", job: effect.job, counts });
        return;
      }
      case "FailJob":
        this.log(`fit ${effect.job} has failed: ${effect.reason}`);
        this.#ended(job, { ...effect, type: "jobFailed" });
    }
  }

  #open(effect: Extract<HeadEffect, { type: "OpenJob" }>, job: HeadJob): void {
    const { spec, parameters } = job;
    const share = Math.ceil(resultWindowsBytes / this.agents.size);
    const windowBytes = Math.min(resultWindowBytes, share);
    job.windows.grant(effect.agent, windowBytes);
    // Pieces of blocks that an earlier opening asked for.
    this.agents.get(effect.agent)?.session.dropBulk(effect.job);
    this.toAgent(effect.agent, { ...effect, type: "open", spec, windowBytes }, parameters);
  }

  #ended(job: HeadJob, message: ToClient): void {
    this.jobs.delete(job.spec.job);
    this.transfers.jobEnded(job.spec.job);
    this.#options.journal?.ended(job.spec.job);
    this.toClient(job, message);
    this.tellWorkers();
  }

  /** Leases and the like do not wait behind signals. */
  toAgent = (agent: string, message: ToAgent, payload?: Uint8Array): void => {
    const session = this.agents.get(agent)?.session;
    if (message.type === "block" && payload !== undefined) {
      session?.sendBulk(message, payload, message.job);
    } else session?.send(message, payload);
  };

  /** What is wanted of a driver, and the like, does not wait behind results. */
  toClient = (job: HeadJob, message: ToClient, payload?: Uint8Array): void => {
    if (message.type === "result" && payload !== undefined) {
      job.client?.sendBulk(message, payload, message.job);
    } else job.client?.send(message, payload);
  };

  tellWorkers = (): void => {
    for (const [id, job] of this.jobs) {
      const state = this.state.jobs.get(id);
      if (state === undefined) continue;
      const workers = workersOf(state, (agent) => this.agents.get(agent)?.host);
      if (job.isNews(workers)) this.toClient(job, { type: "workers", job: id, ...workers });
    }
  };

  /** What `runtime status` shows. */
  status(): ClusterStatus {
    const head = {
      version,
      pid: process.pid,
      hostName: hostname(),
      port: this.port,
      uptimeSeconds: (Date.now() - this.#startedMs) / 1000,
    };
    return clusterStatus(head, [...this.agents.values()], this.jobs, this.state);
  }
}
