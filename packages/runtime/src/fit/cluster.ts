/** The cluster engine: a head leases the chunks to workers; signals go out in blocks, results come into place. */
import { crc32 } from "node:zlib";
import { type Range, RangeSet, voxelsOfChunks } from "@fascicle/core";
import { blockVoxelsFor, currentOwner, outputRowBytes, rowPieces } from "@fascicle/object-store";
import {
  bulkFrameBytes,
  encodeKernelPayload,
  type JobSpec,
  newToken,
  type ToClient,
} from "@fascicle/transport";
import { v7 as newId } from "uuid";
import { type Cluster, connect } from "../client/connect.ts";
import { abortReason, FitError, sentence } from "../errors.ts";
import { wholeChunks } from "../ledger/wholeChunks.ts";
import { chunksToFit, type EngineReport, type EngineTask } from "./engine.ts";

/** A fit without any worker is given up after this long, unless told otherwise. */
export const defaultWaitSeconds = 30;

/** The head hears this soon that results wait for room on disk, or do not any more. */
const diskLookMs = 500;

type JobMessage = Exclude<ToClient, { type: "statusReply" | "whyReply" }>;
type ResultMessage = Extract<JobMessage, { type: "result" }>;

/** Runs on `cluster`, or connects for the time of the fit. */
export async function clusterEngine(
  task: EngineTask,
  cluster: Cluster | undefined,
  waitSeconds = defaultWaitSeconds,
): Promise<EngineReport> {
  const connected = cluster ?? (await connect(undefined, task.signal));
  try {
    const endTurn = await connected.turn(task.signal);
    try {
      return await new ClusterFit(task, connected, waitSeconds).run();
    } finally {
      endTurn();
    }
  } finally {
    if (cluster === undefined) await connected.close();
  }
}

class ClusterFit {
  readonly #task: EngineTask;
  readonly #cluster: Cluster;
  readonly #waitSeconds: number;
  readonly #spec: JobSpec;
  /** Only we can take the fit up again: its name is no secret. */
  readonly #driver = { key: newToken(), owner: currentOwner() };
  /** Voxels whose values are in place. */
  readonly #stored = new RangeSet();
  /** Chunks that the task was not told of. */
  readonly #untold: RangeSet;
  readonly #blocksWanted: { agent: string; block: number; offset: number }[] = [];
  #isServing = false;
  /** What the head was told of it. */
  #toldDiskWait: string | undefined;
  #ended = false;
  #workers = { slots: 0, agents: 0, deferred: 0, physicalCores: 0 };
  #mostSlots = 0;
  #mostCores = 0;
  /** Whom it waits for, and not for ever. */
  #wait: { readonly whom: "head" | "worker"; readonly timer: NodeJS.Timeout } | undefined;
  #seconds = { compute: 0, copy: 0 };
  #retried = 0;
  #beganMs = 0;
  #firstMs = 0;
  #lastResultMs = 0;
  #counts = { lost: 0, stolen: 0, backups: 0 };
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(task: EngineTask, cluster: Cluster, waitSeconds: number) {
    this.#task = task;
    this.#cluster = cluster;
    this.#waitSeconds = waitSeconds;
    this.#spec = jobSpec(task);
    const { voxelCount, chunkCount } = this.#spec;
    this.#untold = chunksToFit(task);
    for (const chunks of task.settled.ranges()) {
      this.#stored.add(voxelsOfChunks(voxelCount, chunkCount, chunks));
    }
  }

  async run(): Promise<EngineReport> {
    const { signal, model, progress } = this.#task;
    const { job } = this.#spec;
    if (signal?.aborted) throw abortReason(signal);
    this.#beganMs = performance.now();
    const onAbort = () => {
      this.#cluster.send({ type: "cancel", job, reason: "the driver stopped it" });
      this.#reject(abortReason(signal!));
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    const finished = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const stopListening = this.#cluster.listen(job, {
      onMessage: (message, payload) => this.#received(message, payload),
      onAway: (reason) => this.#headAway(reason),
      onBack: () => this.#attach(),
      onLost: (reason) => this.#headLost(reason),
    });
    const looker = setInterval(() => this.#tellDiskWait(), diskLookMs);
    try {
      this.#submit();
      // A head that is away is waited for first.
      if (this.#wait === undefined) this.#waitForWorkers();
      await finished;
      progress.update(model.signals.voxelCount, this.#workers.slots);
      return this.#report();
    } finally {
      this.#ended = true;
      clearInterval(looker);
      this.#waitFor(undefined);
      signal?.removeEventListener("abort", onAbort);
      stopListening();
    }
  }

  #submit(): void {
    const settled = this.#settledChunks();
    const { kernel, signals } = this.#task.model;
    const payload = encodeKernelPayload({ parameters: kernel.parameters, origin: signals.origin });
    this.#cluster.send({ type: "submit", spec: this.#spec, settled, ...this.#driver }, payload);
  }

  #attach(): void {
    const settled = this.#settledChunks();
    this.#cluster.send({ type: "attach", job: this.#spec.job, settled, ...this.#driver });
  }

  /** Those who ask the head why a fit stands still should hear of it. */
  #tellDiskWait(): void {
    const reason = this.#task.diskWait();
    if (reason === this.#toldDiskWait) return;
    this.#toldDiskWait = reason;
    this.#cluster.send({ type: "diskWait", job: this.#spec.job, reason });
  }

  /** Chunks all of whose voxels are in place. */
  #settledChunks(): readonly Range[] {
    const { voxelCount, chunkCount } = this.#spec;
    return wholeChunks(voxelCount, chunkCount, this.#stored).ranges();
  }

  /** The head may be started again: what is in place stays, and the fit goes on with it. */
  #headAway(reason: string): void {
    this.#toldDiskWait = undefined;
    this.#blocksWanted.length = 0;
    this.#workers = { ...this.#workers, slots: 0, agents: 0, deferred: 0 };
    this.#task.progress.waitsFor = "head";
    this.#task.progress.update(this.#stored.size, 0);
    this.#waitFor("head", () => this.#headLost(reason));
  }

  /** Begins to wait, unless it waits for the same already; `giveUp` is called when it has waited long enough. */
  #waitFor(whom: "head" | "worker" | undefined, giveUp: () => void = () => {}): void {
    if (this.#wait?.whom === whom) return;
    clearTimeout(this.#wait?.timer);
    const timeoutMs = this.#waitSeconds * 1000;
    this.#wait = whom && { whom, timer: setTimeout(giveUp, timeoutMs) };
  }

  #headLost(reason: string): void {
    this.#reject(
      new FitError(`The head was lost during the fit (${reason}); nothing was written.`, {
        keepsLedger: true,
      }),
    );
  }

  #report(): EngineReport {
    const fitted = this.#spec.chunkCount - this.#task.settled.size;
    const { lost, backups } = this.#counts;
    const retried = this.#retried;
    const attempts = { run: fitted + lost + backups + retried, lost, retried };
    return {
      workers: this.#mostSlots,
      physicalCores: this.#mostCores,
      computeSeconds: this.#seconds.compute,
      copySeconds: this.#seconds.copy,
      queueSeconds: (this.#firstMs - this.#beganMs) / 1000,
      tailSeconds: (performance.now() - this.#lastResultMs) / 1000,
      attempts,
    };
  }

  #received(message: JobMessage, payload: Uint8Array): void {
    switch (message.type) {
      case "workers":
        this.#workers = message;
        this.#task.progress.waitsFor = "worker";
        this.#mostSlots = Math.max(this.#mostSlots, message.slots);
        this.#mostCores = Math.max(this.#mostCores, message.physicalCores);
        this.#waitForWorkers();
        this.#task.progress.update(this.#stored.size, message.slots);
        return;
      case "blockWanted":
        this.#blocksWanted.push(message);
        void this.#serveBlocks();
        return;
      case "result":
        void this.#store(message, payload).catch((error: Error) => this.#reject(error));
        return;
      case "progress":
        this.#firstMs ||= performance.now();
        this.#task.progress.update(message.voxels, this.#workers.slots);
        return;
      case "complete":
        this.#counts = message.counts;
        this.#resolve();
        return;
      case "unknown":
        // Another head, or one that lost its journal: it gets the fit anew, with what is in place.
        this.#submit();
        return;
      case "jobFailed":
        this.#reject(
          new FitError(`The ${this.#spec.model} fit failed: ${sentence(message.reason)}`, {
            keepsLedger: !message.isOfKernel && this.#mostSlots > 0,
          }),
        );
    }
  }

  /** Gives up when nobody has worked for the fit for too long. */
  #waitForWorkers(): void {
    if (this.#ended) return;
    const hasSome = this.#workers.agents + this.#workers.deferred > 0;
    this.#waitFor(hasSome ? undefined : "worker", () => this.#noWorkerCame());
  }

  #noWorkerCame(): void {
    this.#cluster.send({ type: "cancel", job: this.#spec.job, reason: "no worker came" });
    const what =
      this.#mostSlots === 0
        ? `No worker has joined the head within ${this.#waitSeconds} s`
        : `The last worker of this fit was lost and none has come within ${this.#waitSeconds} s`;
    this.#reject(
      new FitError(
        `${what}: start one with \`runtime join\`, or wait longer with --wait SECONDS.`,
        { keepsLedger: this.#mostSlots > 0 },
      ),
    );
  }

  async #serveBlocks(): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    for (;;) {
      const wanted = this.#blocksWanted.shift();
      if (wanted === undefined || this.#ended) break;
      try {
        await this.#sendBlock(wanted.agent, wanted.block, wanted.offset);
      } catch (error) {
        this.#reject(error as Error);
      }
    }
    this.#isServing = false;
  }

  async #sendBlock(agent: string, block: number, from: number): Promise<void> {
    const { signals } = this.#task.model;
    const { job } = this.#spec;
    const start = block * this.#spec.signals.blockVoxels;
    const end = Math.min(signals.voxelCount, start + this.#spec.signals.blockVoxels);
    let offset = 0;
    for (const piece of await rowPieces(signals, start, end)) {
      for (let at = 0; at < piece.length && !this.#ended; at += bulkFrameBytes) {
        const part = piece.subarray(at, at + bulkFrameBytes);
        if (offset >= from) {
          const crc = crc32(part);
          this.#cluster.send({ type: "block", agent, job, block, offset, crc }, part);
        }
        offset += part.length;
        await this.#cluster.writable();
      }
    }
  }

  async #store(message: ResultMessage, payload: Uint8Array): Promise<void> {
    const { agent, job, epoch, voxels, completes, timings } = message;
    const begunMs = performance.now();
    this.#firstMs ||= begunMs;
    this.#seconds.compute += timings.computeSeconds;
    this.#retried += timings.retried;
    if (crc32(payload) !== message.crc) {
      this.#cluster.send({ type: "damaged", agent, job });
      return;
    }
    let offset = 0;
    const parts = this.#task.model.outputs.map((field) => {
      const first = offset;
      offset += (voxels.end - voxels.start) * outputRowBytes(field);
      return payload.subarray(first, offset);
    });
    // In memory they are in place at once, and what came next must not come first.
    const storing = this.#task.results.store(voxels, parts);
    if (storing !== undefined) await storing;
    if (this.#ended) return;
    this.#stored.add(voxels);
    this.#lastResultMs = performance.now();
    this.#seconds.copy += timings.copySeconds + (this.#lastResultMs - begunMs) / 1000;
    const bytes = payload.length;
    // A piece of the run that came damaged keeps the run from being settled.
    const settled = completes !== undefined && this.#isWhole(completes) ? completes : undefined;
    if (settled !== undefined) this.#settled(settled);
    this.#cluster.send({ type: "stored", agent, job, epoch, bytes, settled });
    this.#task.progress.update(this.#stored.size, this.#workers.slots);
  }

  /** Says once of each chunk that it is final. */
  #settled(chunks: Range): void {
    for (const range of this.#untold.remove(chunks)) this.#task.onSettled(range);
  }

  /** Whether every voxel of these chunks is in place. */
  #isWhole(chunks: Range): boolean {
    const { voxelCount, chunkCount } = this.#spec;
    return this.#stored.covers(voxelsOfChunks(voxelCount, chunkCount, chunks));
  }
}

function jobSpec({ model, chunkCount, workers, voxelTimeoutMs, priority }: EngineTask): JobSpec {
  const { signals, outputs, kernel } = model;
  const { width, dtype, voxelCount } = signals;
  const blockVoxels = blockVoxelsFor(signals);
  return {
    job: newId(),
    model: model.name,
    voxelCount,
    chunkCount,
    signals: { width, dtype, blockVoxels },
    outputs: outputs.map((field) => ({
      name: field.name,
      width: field.width,
      dtype: field.dtype,
      units: field.units,
    })),
    kernel: { module: kernel.module, name: kernel.name, hash: kernel.hash },
    slotLimit: workers,
    priority,
    voxelTimeoutMs,
  };
}
