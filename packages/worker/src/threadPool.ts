/** Threads that stay warm from fit to fit. One thread is one slot. */
import { Worker } from "node:worker_threads";
import { ChunkBoard } from "./chunkBoard.ts";
import type { FromThread, ThreadJob, ToThread } from "./threadMessages.ts";

/** A chunk that has cost this many threads is not tried again; nor is a job whose threads die this often before any chunk. */
const crashLimit = 3;

export interface PoolJobHandlers {
  /** Chunks are done; `ranges` holds pairs of start and end. */
  onReceipt(ranges: readonly number[], computeSeconds: number): void;
  /** A thread found nothing to draw. */
  onIdle(): void;
  /** The job cannot go on; nothing more is called. */
  onFailed(chunk: number, reason: string): void;
}

interface Slot {
  worker: Worker;
  /** Jobs of which this thread found nothing left to draw. */
  readonly idle: Set<string>;
}

interface PoolJob {
  readonly spec: ThreadJob;
  readonly board: ChunkBoard;
  readonly slots: number;
  readonly handlers: PoolJobHandlers;
  readonly crashes: Map<number, number>;
  /** Chunks begun again after their thread died. */
  retried: number;
  /** Threads that died for it while they held no chunk. */
  idleDeaths: number;
  /** Slots whose thread has not answered the close. */
  readonly closing: Set<number>;
  closed: (() => void) | undefined;
}

export class ThreadPool {
  readonly #slots: Slot[] = [];
  readonly #jobs = new Map<string, PoolJob>();

  /** Threads that exist. */
  get size(): number {
    return this.#slots.length;
  }

  /** Opens a job on `slots` threads (started where there are too few); they draw at once. */
  open(spec: ThreadJob, slots: number, handlers: PoolJobHandlers): void {
    const board = new ChunkBoard(spec.board);
    const crashes = new Map<number, number>();
    const closing = new Set<number>();
    this.#jobs.set(spec.job, {
      spec,
      board,
      slots,
      handlers,
      crashes,
      retried: 0,
      idleDeaths: 0,
      closing,
      closed: undefined,
    });
    while (this.#slots.length < slots) this.#slots.push(this.#start(this.#slots.length));
    for (let slot = 0; slot < slots; slot++) this.#tell(slot, { type: "open", job: spec });
    this.#keepAlive();
  }

  /** Tells the idle threads of a job that there are new chunks on its board. */
  go(job: string): void {
    for (const [slot, { idle }] of this.#slots.entries()) {
      if (idle.delete(job)) this.#tell(slot, { type: "go", job });
    }
  }

  /** Threads that have something of this job to do. */
  busySlots(job: string): number {
    const open = this.#jobs.get(job);
    if (open === undefined) return 0;
    return this.#slots.slice(0, open.slots).filter(({ idle }) => !idle.has(job)).length;
  }

  /** Chunks of the job that were begun again because their thread died. */
  retriedOf(job: string): number {
    return this.#jobs.get(job)?.retried ?? 0;
  }

  /** Ends a job; resolves when no thread can touch its memory any more. */
  async close(id: string): Promise<void> {
    const job = this.#jobs.get(id);
    if (job === undefined || job.closed !== undefined) return;
    job.board.cancel();
    await new Promise<void>((resolve) => {
      job.closed = resolve;
      for (let slot = 0; slot < job.slots; slot++) {
        job.closing.add(slot);
        this.#tell(slot, { type: "close", job: id });
      }
    });
    this.#jobs.delete(id);
    for (const { idle } of this.#slots) idle.delete(id);
    this.#keepAlive();
  }

  /** Ends all threads. */
  async end(): Promise<void> {
    const slots = this.#slots.splice(0);
    await Promise.all(slots.map(({ worker }) => worker.terminate()));
  }

  #start(slot: number): Slot {
    const worker = new Worker(new URL("./threadMain.js", import.meta.url), {
      workerData: { slot },
    });
    worker.on("message", (message: FromThread) => this.#received(slot, message));
    let reason = "it ended by itself";
    worker.on("error", (error) => {
      reason = error.message;
    });
    worker.on("exit", () => this.#died(slot, worker, reason));
    return { worker, idle: new Set() };
  }

  #tell(slot: number, message: ToThread): void {
    this.#slots[slot].worker.postMessage(message);
  }

  #received(slot: number, message: FromThread): void {
    const job = this.#jobs.get(message.job);
    if (job === undefined) return;
    switch (message.type) {
      case "receipt":
        job.handlers.onReceipt(message.ranges, message.computeSeconds);
        return;
      case "idle":
        this.#slots[slot].idle.add(message.job);
        job.handlers.onIdle();
        // A thread that searched while chunks were added may have missed them.
        if (!job.board.isCancelled && job.board.hasReady()) {
          job.board.rewindTo(0);
          this.go(message.job);
        }
        return;
      case "failed":
        job.board.cancel();
        job.handlers.onFailed(message.chunk, message.reason);
        return;
      case "closed":
        this.#slotClosed(job, slot);
    }
  }

  #slotClosed(job: PoolJob, slot: number): void {
    job.closing.delete(slot);
    if (job.closing.size === 0) job.closed?.();
  }

  /** A thread is gone: its jobs go on with a new one, and what it had claimed is drawn again. */
  #died(slot: number, worker: Worker, reason: string): void {
    if (this.#slots[slot]?.worker !== worker) return;
    if (this.#jobs.size === 0) {
      // Nobody needs it now: it is started again with the next job.
      for (const idle of this.#slots.splice(slot)) void idle.worker.terminate();
      return;
    }
    this.#slots[slot] = this.#start(slot);
    for (const [id, job] of this.#jobs) {
      if (slot >= job.slots) continue;
      if (job.closed !== undefined) {
        this.#slotClosed(job, slot);
        continue;
      }
      const reasonToStop = this.#blame(job, slot, reason);
      if (reasonToStop !== undefined) {
        job.board.cancel();
        job.handlers.onFailed(reasonToStop.chunk, reasonToStop.reason);
        continue;
      }
      this.#accountDone(job);
      this.#tell(slot, { type: "open", job: job.spec });
      this.go(id);
    }
    this.#keepAlive();
  }

  /** Makes what a dead thread had claimed ready again; gives a reason where that has been done often enough. */
  #blame(
    job: PoolJob,
    slot: number,
    reason: string,
  ): { chunk: number; reason: string } | undefined {
    const claimed = job.board.claimedBy(slot);
    if (claimed.length === 0 && ++job.idleDeaths >= crashLimit * job.slots) {
      return { chunk: -1, reason: `its threads die before they begin (${reason})` };
    }
    for (const chunk of claimed) {
      const crashes = (job.crashes.get(chunk) ?? 0) + 1;
      job.crashes.set(chunk, crashes);
      if (crashes >= crashLimit) {
        return { chunk, reason: `its thread died ${crashes} times (${reason})` };
      }
      job.retried++;
      job.board.makeReady(chunk, chunk + 1);
    }
    return undefined;
  }

  /** Chunks that a dead thread had finished and not yet reported: their bytes are in place, so they count. */
  #accountDone(job: PoolJob): void {
    const ranges: number[] = [];
    for (let chunk = 0; chunk < job.board.chunkCount; chunk++) {
      if (job.board.isDone(chunk)) ranges.push(chunk, chunk + 1);
    }
    job.handlers.onReceipt(ranges, 0);
  }

  /** Idle threads do not keep the process from ending. */
  #keepAlive(): void {
    for (const { worker } of this.#slots) {
      if (this.#jobs.size > 0) worker.ref();
      else worker.unref();
    }
  }
}
