/** Threads that stay warm from fit to fit. One thread is one slot. */
import { setTimeout as sleep } from "node:timers/promises";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { Slab } from "@fascicle/object-store";
import { kernelHeapMebibytes, letGoMs, letGoPollMs, startAgainMs } from "./limits.ts";
import { PoolJob, type PoolJobHandlers, type ThreadEnd } from "./poolJob.ts";
import type { SlabNews } from "./slabBook.ts";
import { type FromThread, reasonOf, type ThreadJob, type ToThread } from "./threadMessages.ts";

interface Slot {
  /** Undefined where a thread was ended and no job needs another. */
  worker: Worker | undefined;
  /** Where its thread reads of new slabs, also in the midst of a chunk. */
  news: MessagePort | undefined;
  /** Why its thread will have ended, if it does. */
  end: ThreadEnd;
  /** Its thread was told to end; who asks again waits for the same end. */
  ending: Promise<unknown> | undefined;
  /** Asks again for a thread that the system did not give. */
  again: NodeJS.Timeout | undefined;
  /** Jobs of which this thread found nothing left to draw. */
  readonly idle: Set<string>;
}

export class ThreadPool {
  readonly #slots: Slot[] = [];
  readonly #jobs = new Map<string, PoolJob>();
  readonly #closing = new Set<string>();
  /** Slabs that pages of any job may lie in. */
  readonly #slabs = new Map<number, SharedArrayBuffer>();

  /** Threads that exist. */
  get size(): number {
    return this.#slots.filter(({ worker }) => worker !== undefined).length;
  }

  /** Tells all threads of a slab, before any page lies in it; again is once. */
  addSlab({ id: name, buffer }: Slab): void {
    if (this.#slabs.has(name)) return;
    this.#slabs.set(name, buffer);
    this.#announce({ type: "slab", name, buffer });
  }

  /** Nothing will lie in this slab any more. */
  dropSlab(name: number): void {
    if (this.#slabs.delete(name)) this.#announce({ type: "gone", name });
  }

  /** The memory of a slab that was announced. */
  bufferOf(name: number): SharedArrayBuffer {
    const buffer = this.#slabs.get(name);
    if (buffer === undefined) throw new Error(`slab ${name} is not known`);
    return buffer;
  }

  /** Opens a job on `slots` threads (started where there are too few); they draw at once. */
  open(spec: ThreadJob, slots: number, handlers: PoolJobHandlers): void {
    const job = new PoolJob(
      spec,
      slots,
      (name) => this.bufferOf(name),
      handlers,
      (slot) => void this.#stop(slot, "timedOut"),
    );
    this.#jobs.set(spec.job, job);
    for (let slot = 0; slot < slots; slot++) {
      this.#slots[slot] ??= {
        worker: undefined,
        news: undefined,
        end: "died",
        ending: undefined,
        again: undefined,
        idle: new Set(),
      };
      this.#slots[slot].worker ??= this.#start(slot);
      this.#openIn(slot, job);
    }
    this.#keepAlive();
  }

  /** Tells the idle threads of a job that there are new chunks on its board. */
  go(job: string): void {
    for (const [slot, { idle }] of this.#slots.entries()) {
      if (idle.delete(job)) this.#tell(slot, { type: "go", job });
    }
  }

  /**
   * Runs a chunk that is leased and not begun (ready on the board, or not yet there) in a process of its own, voxel by
   * voxel; it ends in a receipt like any other. False where a thread has it already.
   */
  runCarefully(job: string, chunk: number): boolean {
    return this.#jobs.get(job)?.runCarefully(chunk) ?? false;
  }

  /** Threads that have something of this job to do. */
  busySlots(job: string): number {
    const open = this.#jobs.get(job);
    if (open === undefined) return 0;
    return this.#slots.slice(0, open.slots).filter(({ idle }) => !idle.has(job)).length;
  }

  /** Chunks of the job that were begun again, because their thread was lost or their kernel threw. */
  retriedOf(job: string): number {
    return this.#jobs.get(job)?.retried ?? 0;
  }

  /** Voxels of the job that were given up because the kernel crashed on them. */
  crashedVoxelsOf(job: string): number {
    return this.#jobs.get(job)?.crashedVoxels ?? 0;
  }

  /** Voxels of the job that were given up because they took too long. */
  timedOutVoxelsOf(job: string): number {
    return this.#jobs.get(job)?.timedOutVoxels ?? 0;
  }

  /** Ends a job, whatever its kernel is doing; resolves when nothing can touch its memory any more. */
  async close(id: string): Promise<void> {
    const job = this.#jobs.get(id);
    if (job === undefined || this.#closing.has(id)) return;
    this.#closing.add(id);
    const careful = job.end();
    for (let slot = 0; slot < job.slots; slot++) this.#tell(slot, { type: "close", job: id });
    await Promise.all([careful, this.#letGo(job)]);
    this.#jobs.delete(id);
    this.#closing.delete(id);
    for (const { idle } of this.#slots) idle.delete(id);
    this.#keepAlive();
  }

  /** Ends all threads. */
  async end(): Promise<void> {
    const slots = this.#slots.splice(0);
    for (const { again, news } of slots) {
      clearTimeout(again);
      news?.close();
    }
    const jobs = [...this.#jobs.values()];
    await Promise.all([
      ...jobs.map((job) => job.end()),
      ...slots.map(({ worker, ending }) => ending ?? worker?.terminate()),
    ]);
  }

  /** Undefined where the system has no more threads to give: it is asked again. */
  #start(slot: number): Worker | undefined {
    let worker: Worker;
    const { port1: news, port2 } = new MessageChannel();
    try {
      worker = new Worker(new URL("./threadMain.js", import.meta.url), {
        workerData: { slot, news: port2 },
        transferList: [port2],
        resourceLimits: { maxOldGenerationSizeMb: kernelHeapMebibytes },
      });
    } catch (error) {
      news.close();
      const asked = this.#slots[slot];
      asked.again ??= setTimeout(() => this.#notStarted(slot, reasonOf(error)), startAgainMs);
      return undefined;
    }
    worker.on("message", (message: FromThread) => this.#received(slot, message));
    let reason = "it ended by itself";
    worker.on("error", (error) => {
      reason = error.message;
    });
    worker.on("exit", () => this.#ended(slot, worker, reason));
    // Only words go this way: it keeps no process alive.
    news.unref();
    for (const [name, buffer] of this.#slabs) news.postMessage({ type: "slab", name, buffer });
    this.#slots[slot].news = news;
    this.#slots[slot].end = "died";
    this.#slots[slot].ending = undefined;
    return worker;
  }

  #announce(news: SlabNews): void {
    for (const slot of this.#slots) slot.news?.postMessage(news);
  }

  #tell(slot: number, message: ToThread): void {
    this.#slots[slot].worker?.postMessage(message);
  }

  #openIn(slot: number, { spec, words }: PoolJob): void {
    this.#tell(slot, { type: "open", job: spec, slots: words.memory });
  }

  #received(slot: number, message: FromThread): void {
    const job = this.#jobs.get(message.job);
    if (job === undefined || job.hasEnded) return;
    switch (message.type) {
      case "receipt":
        job.receipt(message.ranges, message.computeSeconds);
        return;
      case "idle":
        this.#slots[slot].idle.add(message.job);
        job.idle();
        // Chunks that were added after its search are not forgotten.
        if (message.generation !== job.board.generation) this.go(message.job);
        return;
      case "threw":
        job.threw(message.chunk, slot);
        return;
      case "failed":
        job.fail(-1, message.reason);
    }
  }

  /** Resolves when no thread is at a job that has ended; those that do not leave it in time are ended. */
  async #letGo(job: PoolJob): Promise<void> {
    const busySlots = () => [...this.#slots.keys()].filter((slot) => this.#isAt(slot, job));
    const untilMs = performance.now() + letGoMs;
    while (busySlots().length > 0 && performance.now() < untilMs) await sleep(letGoPollMs);
    await Promise.all(busySlots().map((slot) => this.#stop(slot, "stopped")));
  }

  #isAt(slot: number, job: PoolJob): boolean {
    return slot < job.slots && this.#slots[slot].worker !== undefined && job.isBusy(slot);
  }

  /** Ends a thread, whatever it is doing; resolves when it is gone. */
  async #stop(slot: number, end: ThreadEnd): Promise<void> {
    const asked = this.#slots[slot];
    if (asked.worker === undefined) return;
    if (asked.ending === undefined) {
      asked.end = end;
      asked.ending = asked.worker.terminate();
    }
    await asked.ending;
  }

  /** A thread is gone: the jobs that need it go on with a new one. */
  #ended(index: number, worker: Worker, reason: string): void {
    const slot = this.#slots[index];
    if (slot?.worker !== worker) return;
    slot.worker = undefined;
    slot.news?.close();
    slot.news = undefined;
    slot.idle.clear();
    const jobs = [...this.#jobs.values()].filter((job) => index < job.slots);
    if (slot.end === "died") this.#blameForNothing(index, jobs, reason);
    for (const job of jobs) job.threadGone(index, slot.end);
    this.#startAgain(index);
  }

  /** The job goes on with the threads that it has; where there are none at all, that cannot last. */
  #notStarted(index: number, reason: string): void {
    const slot = this.#slots[index];
    // The pool may have ended.
    if (slot === undefined) return;
    slot.again = undefined;
    // Another job may have had better luck meanwhile.
    if (slot.worker !== undefined) return;
    if (this.size === 0) {
      const jobs = [...this.#jobs.values()].filter((job) => index < job.slots);
      for (const job of jobs) job.diedBeforeBegin(reason);
    }
    this.#startAgain(index);
  }

  /** Gives a slot a new thread, if a job needs it. */
  #startAgain(index: number): void {
    const open = [...this.#jobs.values()].filter((job) => index < job.slots && !job.hasEnded);
    if (open.length > 0) this.#slots[index].worker = this.#start(index);
    for (const job of open) {
      this.#openIn(index, job);
      this.go(job.spec.job);
    }
    this.#keepAlive();
  }

  /** A thread died: if it was at no chunk, this is laid to the job it was at, or to all if it was at none. */
  #blameForNothing(slot: number, jobs: readonly PoolJob[], reason: string): void {
    if (jobs.some((job) => job.hasChunk(slot))) return;
    const at = jobs.filter((job) => job.isBusy(slot));
    for (const job of at.length > 0 ? at : jobs) job.diedBeforeBegin(reason);
  }

  /** Idle threads do not keep the process from ending. */
  #keepAlive(): void {
    for (const { worker } of this.#slots) {
      if (this.#jobs.size > 0) worker?.ref();
      else worker?.unref();
    }
  }
}
