/** A host's part in a cluster: carries the pure agent machine's wishes to threads and to a head, and tells it what happens. */
import { crc32 } from "node:zlib";
import {
  type AgentEffect,
  type AgentEvent,
  counted,
  emptyAgentState,
  emptyStoreState,
  heldJobs,
  type KernelModule,
  type ScratchSpace,
  type StoreEffect,
  type StoreEvent,
  stepAgent,
  stepStore,
} from "@fascicle/core";
import { currentOwner, type SlabPool, SystemMemoryError } from "@fascicle/object-store";
import {
  decodeKernelPayload,
  type FromAgent,
  type HostInfo,
  type JobSpec,
  newToken,
  readToAgent,
  type Session,
  type SpillUse,
  type ToAgent,
} from "@fascicle/transport";
import { AgentJob, chunksPerFrame, memoryNeeded, objectMemoryError } from "./agentJob.ts";
import { DataLink } from "./dataLink.ts";
import { memoryReport } from "./memoryReport.ts";
import { PageHost } from "./pageHost.ts";
import { peerBlocks } from "./peerBlocks.ts";
import { SharedFiles } from "./sharedFiles.ts";
import { ThreadPool } from "./threadPool.ts";

const progressIntervalMs = 500;

/** Results wait this long for neighbours, so that runs of small chunks travel together. It is also what a killed worker's results may be lost of. */
const gatherMs = 200;

/** What a worker says of itself, but for the name that it has with this head. */
export type AgentHost = Omit<HostInfo, "agent">;

export interface AgentOptions {
  readonly host: AgentHost;
  readonly memory: SlabPool;
  /** Opens the doors of other workers and this one's: without it blocks come by way of the head only. */
  readonly token?: string | undefined;
  /** Where other workers find it; by default the system chooses. */
  readonly dataPort?: number | undefined;
  /** Where blocks go that must leave memory before they are done with. */
  readonly spill?: ScratchSpace | undefined;
  /** How much is there, for those who ask. */
  readonly spillUse?: (() => SpillUse) | undefined;
  /** The kernel modules that this worker runs, by the name that models give: name to URL. Others are refused. */
  readonly kernelModules: ReadonlyMap<string, string>;
  /** Likewise the modules that read volumes which this host shares with the driver. */
  readonly volumeModules?: ReadonlyMap<string, string> | undefined;
  log(sentence: string): void;
}

type OpenMessage = Extract<ToAgent, { type: "open" }>;

/** A job that is being opened: what the head says about it meanwhile waits. */
interface Opening {
  readonly message: OpenMessage;
  readonly payload: Uint8Array;
  moduleUrl: string;
  readonly queue: { readonly message: ToAgent; readonly payload: Uint8Array }[];
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #pool = new ThreadPool();
  readonly #state = emptyAgentState();
  readonly #store;
  readonly #pages: PageHost;
  readonly #jobs = new Map<string, AgentJob>();
  readonly #opening = new Map<string, Opening>();
  /** Jobs whose threads are being stopped: the same job cannot be opened meanwhile. */
  readonly #closing = new Map<string, Promise<void>>();
  readonly #reporter: NodeJS.Timeout;
  readonly #data: DataLink | undefined;
  readonly #files: SharedFiles | undefined;
  #connection: Session | undefined;
  #name: string | undefined;
  readonly #key = newToken();
  #lastReport = "";

  constructor(options: AgentOptions) {
    this.#options = options;
    const { memory, spill, log } = options;
    this.#store = emptyStoreState(memory.limitBytes);
    memory.onDrop((slab) => this.#pool.dropSlab(slab));
    this.#pages = new PageHost({ slabs: memory, pool: this.#pool, spill, log });
    const say = (words: FromAgent) => this.#say(words);
    const hooks = peerBlocks((job) => this.#jobs.get(job), say, log);
    const { token, dataPort, volumeModules: modules } = options;
    if (modules !== undefined && spill !== undefined) {
      const objectMemoryBytes = memory.limitBytes;
      this.#files = new SharedFiles({ modules, scratch: spill, objectMemoryBytes, log });
    }
    this.#data = token === undefined ? undefined : new DataLink(token, hooks, dataPort);
    this.#reporter = setInterval(() => this.#report(), progressIntervalMs);
  }

  /**
   * Works for the head at the other end, under a name that no other worker has ever had; resolves with the reason
   * when the connection is over. What is in hand stays in hand: the next head is told of it.
   */
  async attach(connection: Session, name: string): Promise<string> {
    await this.listen(connection);
    const replaces = this.#name;
    this.#name = name;
    this.#connection = connection;
    return new Promise((resolve) => {
      connection.start({
        onMessage: (message, payload) => this.#received(message, payload),
        onClose: (reason) => {
          this.#headLost();
          resolve(reason);
        },
      });
      const host = { ...this.#options.host, agent: name };
      const holds = heldJobs(this.#state);
      const self = { host, owner: currentOwner(), key: this.#key, replaces };
      this.#say({ type: "hello", ...self, holds, dataAddress: this.#data?.address });
    });
  }

  /** Opens the data port where it reaches the head from. Throws `DataPortError` where the port that was asked for cannot be had. */
  async listen({ localAddress }: Session): Promise<void> {
    if (localAddress !== undefined) await this.#data?.listen(localAddress);
  }

  /** Takes no new work, finishes what is begun (at most `timeoutMs`), and says goodbye. */
  async drain(timeoutMs: number): Promise<void> {
    this.#say({ type: "draining" });
    this.#step({ type: "Draining" });
    const untilMs = performance.now() + timeoutMs;
    const isBusy = () => [...this.#state.jobs.values()].some(({ leased }) => leased.size > 0);
    while (isBusy() && this.#connection?.isOpen && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#connection?.close("the worker leaves");
  }

  /** Ends all threads and gives all memory back. */
  async stop(): Promise<void> {
    clearInterval(this.#reporter);
    this.#connection?.close("the worker leaves");
    await this.#data?.close();
    const jobs = [...this.#jobs.values()];
    this.#jobs.clear();
    await Promise.all(jobs.map((job) => job.close()));
    await this.#pool.end();
  }

  #say(message: FromAgent, payload?: Uint8Array): void {
    this.#connection?.send(message, payload);
  }

  #headLost(): void {
    this.#connection = undefined;
    this.#data?.forget();
    for (const id of [...this.#opening.keys()]) this.#forgetOpening(id);
    for (const job of this.#jobs.values()) job.headLost();
    this.#step({ type: "HeadLost" });
  }

  #received(raw: unknown, payload: Uint8Array): void {
    const message = readToAgent(raw);
    if (message.type === "open") {
      void this.#open(message, payload);
      return;
    }
    const opening = this.#opening.get(message.job);
    if (opening !== undefined && message.type !== "close") {
      opening.queue.push({ message, payload });
      return;
    }
    try {
      this.#handle(message, payload);
    } catch (error) {
      // A fit that is not in order harms no other fit: it alone is given up here.
      const reason = reasonOf(error);
      this.#options.log(`gives up fit ${message.job}: ${reason}`);
      const epoch = this.#state.jobs.get(message.job)?.epoch ?? 0;
      this.#say({ type: "refused", job: message.job, epoch, reason });
      this.#step({ type: "JobClosed", job: message.job });
    }
  }

  #handle(message: Exclude<ToAgent, { type: "open" }>, payload: Uint8Array): void {
    const { job } = message;
    switch (message.type) {
      case "adopt":
        this.#step({ ...message, type: "JobAdopted" });
        this.#jobs.get(job)?.headBack();
        return;
      case "lease":
        this.#step({ ...message, type: "Leased" });
        return;
      case "recall":
        this.#step({ ...message, type: "Recalled" });
        return;
      case "block":
        if (crc32(payload) !== message.crc) throw new Error("its signals came damaged");
        this.#jobs.get(job)?.storeBlock(message.block, message.offset, payload);
        return;
      case "blockAt":
      case "blockLost":
        this.#data?.handle(message);
        return;
      case "settled":
        this.#step({ type: "Settled", job, chunks: message.chunks });
        return;
      case "credit":
        this.#step({ ...message, type: "Credited" });
        return;
      case "close":
        this.#forgetOpening(job);
        this.#step({ type: "JobClosed", job });
    }
  }

  /** Sees whether the job can run here, then whether there is room for it now. */
  async #open(message: OpenMessage, payload: Uint8Array): Promise<void> {
    const { spec, epoch } = message;
    const opening: Opening = { message, payload, moduleUrl: "", queue: [] };
    this.#opening.set(spec.job, opening);
    try {
      opening.moduleUrl = await this.#resolveKernel(spec);
      await this.#closing.get(spec.job);
      if (this.#opening.get(spec.job) !== opening) return;
      const bytes = memoryNeeded(spec);
      this.#stepStore({ type: "RoomWanted", job: roomOf(spec.job, epoch), bytes });
    } catch (error) {
      if (this.#opening.get(spec.job) === opening) this.#refuse(opening, reasonOf(error));
    }
  }

  #forgetOpening(job: string): void {
    const opening = this.#opening.get(job);
    if (opening === undefined) return;
    this.#opening.delete(job);
    this.#stepStore({ type: "JobGone", job: roomOf(job, opening.message.epoch) });
  }

  #refuse(opening: Opening, reason: string): void {
    const { job } = opening.message.spec;
    this.#opening.delete(job);
    this.#options.log(`refuses fit ${job}: ${reason}`);
    this.#say({ type: "refused", job, epoch: presentEpoch(opening), reason });
  }

  /** Others took what this host could have had: the head tries it again later. */
  #ranOutOfMemory(opening: Opening, reason: string): void {
    const { job } = opening.message.spec;
    const epoch = presentEpoch(opening);
    this.#opening.delete(job);
    this.#options.log(`has no memory for fit ${job}: ${reason}`);
    const chunks = { start: 0, end: 1 };
    this.#say({ type: "failed", job, epoch, chunks, failure: "outOfMemory", reason });
  }

  #stepStore(event: StoreEvent): void {
    const effects: StoreEffect[] = [];
    stepStore(this.#store, event, effects);
    for (const effect of effects) {
      const opening = [...this.#opening.values()].find(
        ({ message }) => roomOf(message.spec.job, message.epoch) === effect.job,
      );
      if (opening === undefined) this.#stepStore({ type: "JobGone", job: effect.job });
      else this.#roomDecided(opening, effect.type);
    }
  }

  #roomDecided(opening: Opening, decision: StoreEffect["type"]): void {
    const { spec } = opening.message;
    if (decision === "GrantRoom") {
      this.#begin(opening);
    } else if (decision === "RefuseJob") {
      this.#refuse(opening, objectMemoryError(spec, this.#store.limitBytes).message);
    } else {
      this.#opening.delete(spec.job);
      this.#options.log(`has no room for fit ${spec.job} beside the others; it waits`);
      this.#say({ type: "deferred", job: spec.job, epoch: presentEpoch(opening) });
    }
  }

  #begin(opening: Opening): void {
    const { message, payload, moduleUrl, queue } = opening;
    const { spec, epoch, slots } = message;
    const id = spec.job;
    try {
      const { parameters, origin } = decodeKernelPayload(payload);
      const job = new AgentJob(message, parameters, {
        pool: this.#pool,
        pages: this.#pages,
        owner: roomOf(id, epoch),
        moduleUrl,
        openFile: () => this.#files?.open(id, origin),
        log: this.#options.log,
        say: (words, bytes) => this.#say(words, bytes),
        writable: async () => this.#connection?.writable(),
        step: (event) => this.#step(event),
        onClosed: () => {
          this.#jobs.delete(id);
          this.#closing.delete(id);
          this.#stepStore({ type: "JobGone", job: roomOf(id, epoch) });
        },
      });
      this.#jobs.set(id, job);
    } catch (error) {
      this.#stepStore({ type: "JobGone", job: roomOf(id, epoch) });
      if (error instanceof SystemMemoryError) this.#ranOutOfMemory(opening, error.message);
      else this.#refuse(opening, reasonOf(error));
      return;
    }
    this.#opening.delete(id);
    this.#options.log(`takes part in ${spec.model} fit ${id} with ${counted(slots, "thread")}`);
    const { windowBytes } = message;
    const chunksPerRun = chunksPerFrame(spec, windowBytes);
    this.#step({ type: "JobOpened", job: id, epoch, slots, chunksPerRun, windowBytes });
    for (const waiting of queue) this.#received(waiting.message, waiting.payload);
  }

  /** Steps the machine and carries out what it wants; what that leads to at once is stepped next. */
  #step(event: AgentEvent): void {
    const effects: AgentEffect[] = [];
    stepAgent(this.#state, event, effects);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: AgentEffect): void {
    const { job } = effect;
    switch (effect.type) {
      case "AskForWork":
        this.#say({ ...effect, type: "workWanted" });
        return;
      case "ReturnRanges":
        this.#say({ ...effect, type: "returned" });
        return;
      case "DeferJob":
        this.#say({ ...effect, type: "deferred" });
        return;
      case "ReportFailure":
        this.#say({ ...effect, type: "failed", reason: effect.reason.slice(0, 1_000) });
        return;
      case "Gather":
        setTimeout(() => this.#step({ type: "SendDue", job }), gatherMs);
        return;
      case "ReleaseJob": {
        const closing = this.#jobs.get(job);
        if (closing === undefined) return;
        this.#stepStore({ type: "JobLeaving", job: roomOf(job, closing.epoch) });
        this.#data?.forget(job);
        this.#closing.set(job, closing.close());
        return;
      }
      default:
        this.#jobs.get(job)?.perform(effect);
    }
  }

  /** The URL of the fit's kernels, if this worker has the same ones. */
  async #resolveKernel({ kernel }: JobSpec): Promise<string> {
    const url = this.#options.kernelModules.get(kernel.module);
    const { hostName } = this.#options.host;
    if (url === undefined) {
      throw new Error(`the worker on ${hostName} does not run kernels of ${kernel.module}`);
    }
    const module = (await import(url)) as KernelModule;
    const ours = module.kernelHash();
    if (ours !== kernel.hash) {
      throw new Error(
        `the worker on ${hostName} has other kernels (${ours}) than the fit (${kernel.hash}): install the same version of Fascicle on both`,
      );
    }
    return url;
  }

  /** Says how far the fits are, if that has changed. */
  #report(): void {
    for (const job of this.#jobs.values()) job.report();
    if (this.#connection === undefined) return;
    const { memory, spillUse } = this.#options;
    const told = memoryReport(memory, this.#pages, jobOf, spillUse?.());
    const report = JSON.stringify([this.#name, told]);
    if (report === this.#lastReport) return;
    this.#lastReport = report;
    this.#say({ type: "memory", ...told });
  }
}

/** Of a job that is being opened: the head may have taken it for open, and given it another, meanwhile. */
function presentEpoch({ message, queue }: Opening): number {
  let { epoch } = message;
  for (const { message: words } of queue) if (words.type === "adopt") ({ epoch } = words);
  return epoch;
}

/** Room is granted to one opening of a job: the next may be asked for while the last is being cleared. */
const roomOf = (job: string, epoch: number) => `${job}/${epoch}`;
const jobOf = (room: string) => room.slice(0, room.lastIndexOf("/"));

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
}
