/** One fit on this host: its pages, its threads, and the bytes that come and go. What to do when is the machine's business. */
import { crc32 } from "node:zlib";
import {
  type AgentEffect,
  type AgentEvent,
  type OpenedRows,
  type Range,
  voxelsOfChunks,
} from "@fascicle/core";
import { ObjectMemoryError, outputsRowBytes } from "@fascicle/object-store";
import { bulkFrameBytes, type FromAgent, type JobSpec, type ToAgent } from "@fascicle/transport";
import { BlockLoader } from "./blockLoader.ts";
import { boardBytes, ChunkBoard } from "./chunkBoard.ts";
import { fitLayout, largestPortionBytes } from "./fitLayout.ts";
import { askAheadMs, filePatienceMs } from "./limits.ts";
import { PagedFit, pagedOutputs } from "./pagedFit.ts";
import { byPage, PagedOutputs } from "./pagedRows.ts";
import type { PageHost } from "./pageHost.ts";
import type { SharedFile } from "./sharedFiles.ts";
import type { ThreadPool } from "./threadPool.ts";

export interface AgentJobContext {
  readonly pool: ThreadPool;
  readonly pages: PageHost;
  /** Under which its pages are listed. */
  readonly owner: string;
  readonly moduleUrl: string;
  /** The signals' file, where this host can read it by itself; whoever asks for it closes it. */
  openFile(): SharedFile | undefined;
  say(message: FromAgent, payload?: Uint8Array): void;
  /** Resolves when the network has taken enough. */
  writable(): Promise<void>;
  step(event: AgentEvent): void;
  log(sentence: string): void;
  /** Its memory is given back. */
  onClosed(): void;
}

type JobEffect = Exclude<
  AgentEffect,
  { type: "AskForWork" | "ReturnRanges" | "ReportFailure" | "Gather" | "ReleaseJob" }
>;

/** Bytes of object memory that a fit needs on a host at least: what one of its chunks may touch. */
export function memoryNeeded(spec: JobSpec): number {
  const layout = fitLayout(spec, { signals: true, outputs: true });
  return largestPortionBytes(layout) + boardBytes(spec.chunkCount);
}

export function objectMemoryError(spec: JobSpec, limitBytes: number): ObjectMemoryError {
  return ObjectMemoryError.ofChunk(memoryNeeded(spec), limitBytes, spec);
}

/** Chunks whose results make about one frame, or half of a window that is smaller. */
export function chunksPerFrame(spec: JobSpec, windowBytes: number): number {
  const { voxelCount, chunkCount } = spec;
  const share = Math.min(1, windowBytes / 2 / bulkFrameBytes);
  const voxels = voxelsPerFrame(spec) * share;
  return Math.max(1, Math.floor(voxels / Math.ceil(voxelCount / chunkCount)));
}

function voxelsPerFrame(spec: JobSpec): number {
  return Math.max(1, Math.floor(bulkFrameBytes / outputsRowBytes(spec.outputs)));
}

export class AgentJob {
  readonly spec: JobSpec;
  /** Of the opening that it was made for; room is granted under it. */
  readonly epoch: number;
  readonly #context: AgentJobContext;
  readonly #pages: PagedFit;
  readonly #outputs: PagedOutputs;
  readonly #board: ChunkBoard;
  readonly #blocks: BlockLoader;
  readonly #file: SharedFile | undefined;
  /** Blocks that other workers may ask for, as the head knows. */
  readonly #offered = new Set<number>();
  readonly #slots: number;
  /** What the threads have done so far. */
  readonly #fitted = { chunks: 0, seconds: 0 };
  #timings = { computeSeconds: 0, copySeconds: 0, retried: 0 };
  #retriedReported = 0;
  #lastReport = "";
  /** It was told that a part of the file cannot be read. */
  #saidUnreadable = false;
  #isClosed = false;
  readonly #fileIsDueMs = performance.now() + filePatienceMs;

  constructor(
    message: Extract<ToAgent, { type: "open" }>,
    parameters: unknown,
    context: AgentJobContext,
  ) {
    const { spec, epoch, slots } = message;
    const { job } = spec;
    this.spec = spec;
    this.epoch = epoch;
    this.#slots = slots;
    this.#context = context;
    this.#blocks = new BlockLoader({
      ask: (block) => context.say({ type: "blockWanted", job, block }),
      here: (block) => this.#blockCame(block),
    });
    // Before the pages, which somebody must close once they are open: the system may not give it.
    const board = new SharedArrayBuffer(boardBytes(spec.chunkCount));
    this.#board = new ChunkBoard(board);
    this.#board.chunksAhead = this.#chunksAhead();
    this.#pages = new PagedFit(
      context.owner,
      spec,
      { signals: true, outputs: true },
      context.pages,
      {
        load: (start, end, into) => this.#load(start, end, into),
        ready: (chunks) => context.step({ type: "SignalsHere", job, chunks }),
        ended: ({ start, end }) => this.#board.clearDone(start, end),
        failed: (error) => this.#pagesFailed(error),
        gone: (block) => this.#blockGone(block),
      },
    );
    const { layout, tables } = this.#pages;
    const { voxelCount } = spec;
    const { width, dtype } = spec.signals;
    const outputPageVoxels = layout.outputs!.pageVoxels;
    const outputs = pagedOutputs(spec.outputs, outputPageVoxels, tables.outputs!);
    const bufferOf = (slab: number) => context.pool.bufferOf(slab);
    this.#outputs = new PagedOutputs(outputs, outputPageVoxels, voxelCount, bufferOf);
    context.pool.open(
      {
        job,
        moduleUrl: context.moduleUrl,
        kernelName: spec.kernel.name,
        parameters,
        voxelCount,
        signals: { width, dtype, pageVoxels: layout.signals!.pageVoxels, table: tables.signals! },
        outputs,
        outputPageVoxels,
        slabs: [],
        board,
        priority: spec.priority,
        voxelTimeoutMs: spec.voxelTimeoutMs,
      },
      slots,
      {
        onReceipt: (ranges, seconds, isCareful) => this.#receipt(ranges, seconds, isCareful),
        onIdle: () => this.#receipt([], 0, false),
        onFailed: (chunk, reason) => this.#failed(chunk, reason),
      },
    );
    // Last: where there is no memory for the rest, nobody would close it.
    this.#file = context.openFile();
  }

  /** Carries out what the machine wants of this job. */
  perform(effect: JobEffect): void {
    switch (effect.type) {
      case "FetchSignals":
        this.#pages.want(effect.chunks);
        return;
      case "ForgetChunks": {
        const { start, end } = effect.chunks;
        this.#pages.forget(effect.chunks, this.#board.begun(start, end));
        return;
      }
      case "RunCarefully":
        for (let chunk = effect.chunks.start; chunk < effect.chunks.end; chunk++) {
          this.#context.pool.runCarefully(this.spec.job, chunk);
        }
        return;
      case "MakeReady":
        this.#board.makeReady(effect.chunks.start, effect.chunks.end);
        this.#context.pool.go(this.spec.job);
        return;
      case "Withdraw":
        this.#withdraw(effect.chunks, effect.purpose);
        return;
      case "SendRun":
        void this.#sendRun(effect.chunks, effect.epoch);
    }
  }

  storeBlock(block: number, offset: number, piece: Uint8Array): void {
    this.#blocks.store(block, offset, piece);
  }

  /** What is known of a block: how much of it came, that it is here, or nothing where it is not wanted. */
  blockState(
    block: number,
  ): { readonly bytes: number; readonly offset: number } | "here" | undefined {
    if (this.#isClosed) return undefined;
    return this.#blocks.progress(block) ?? (this.#pages.hasPage(block) ? "here" : undefined);
  }

  /** A copy of a block, for another worker; undefined where it is not here. */
  async copyOfBlock(block: number): Promise<Uint8Array | undefined> {
    return this.#isClosed ? undefined : this.#pages.copyOf(block);
  }

  #blockCame(block: number): void {
    this.#offered.add(block);
    this.#context.say({ type: "blockHere", job: this.spec.job, block });
  }

  #blockGone(block: number): void {
    if (!this.#offered.delete(block) || this.#isClosed) return;
    this.#context.say({ type: "blockGone", job: this.spec.job, block });
  }

  /** Blocks that were on their way are not any more. */
  headLost(): void {
    this.#blocks.headLost();
    this.#lastReport = "";
  }

  /** A head has this opening again: blocks that are still wanted are asked for anew. */
  headBack(): void {
    const { job } = this.spec;
    for (const block of this.#offered) this.#context.say({ type: "blockHere", job, block });
    this.#blocks.headBack((block) => this.#pages.isWanted(block));
  }

  /** Says how far it is, if that has changed. */
  report(): void {
    const { job } = this.spec;
    const voxels = this.#board.voxelsDone;
    const busySlots = this.#context.pool.busySlots(job);
    const report = `${voxels} ${busySlots}`;
    if (report === this.#lastReport || this.#isClosed) return;
    this.#lastReport = report;
    this.#context.say({ type: "progress", job, voxels, busySlots });
  }

  /** Ends it; resolves when its memory is given back. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#blocks.close();
    await this.#context.pool.close(this.spec.job);
    await this.#pages.close();
    this.#file?.stop.abort();
    // Not waited for: its end holds back no memory.
    void this.#file?.rows.then(closeRows);
    this.#context.onClosed();
  }

  /** From the file, where this host shares it with the driver; else from the driver. */
  #load(start: number, end: number, into: Uint8Array): Promise<void> {
    const block = Math.floor(start / this.#pages.layout.signals!.pageVoxels);
    if (this.#file === undefined) return this.#blocks.load(block, into);
    const isRead = this.#isReadFromFile(this.#file.rows, start, end, into);
    return isRead.then((isHere) => (isHere ? undefined : this.#blocks.load(block, into)));
  }

  async #isReadFromFile(
    opening: Promise<OpenedRows | undefined>,
    start: number,
    end: number,
    into: Uint8Array,
  ): Promise<boolean> {
    // A file that takes long to inflate keeps nobody waiting: blocks come from the driver until it is open.
    const rows = await soon(opening, this.#fileIsDueMs);
    if (rows === undefined || this.#isClosed) return false;
    try {
      await rows.read(start, end, into);
      return true;
    } catch (error) {
      const { message } = error as Error;
      // It may be so with every block from now on.
      if (!this.#saidUnreadable) {
        this.#context.log(`takes signals of fit ${this.spec.job} from its driver: ${message}`);
      }
      this.#saidUnreadable = true;
      return false;
    }
  }

  #pagesFailed(error: Error): void {
    if (this.#isClosed) return;
    const failure = error instanceof ObjectMemoryError ? "outOfMemory" : "executor";
    const chunks = { start: 0, end: 1 };
    const { job } = this.spec;
    this.#context.step({ type: "ExecutionFailed", job, chunks, failure, reason: error.message });
  }

  #withdraw(chunks: Range, purpose: Extract<JobEffect, { type: "Withdraw" }>["purpose"]): void {
    const ranges = this.#board.withdrawTail(chunks.start, chunks.end);
    // What a dead thread was at may be of those that are forgotten.
    for (const range of ranges) this.#pages.withdrawn(range);
    this.#context.step({ type: "Withdrawn", job: this.spec.job, ranges, purpose });
  }

  #receipt(pairs: readonly number[], seconds: number, isCareful: boolean): void {
    // A careful process is no slot: its time is none of theirs.
    if (!isCareful) this.#timings.computeSeconds += seconds;
    this.#fitted.seconds += seconds;
    const { job } = this.spec;
    const ranges: Range[] = [];
    for (let i = 0; i < pairs.length; i += 2) {
      ranges.push({ start: pairs[i], end: pairs[i + 1] });
      this.#fitted.chunks += pairs[i + 1] - pairs[i];
    }
    for (const range of ranges) this.#pages.fitted(range);
    const busySlots = this.#context.pool.busySlots(job);
    const chunksAhead = this.#chunksAhead();
    this.#board.chunksAhead = chunksAhead;
    this.#context.step({ type: "ChunksFitted", job, ranges, busySlots, chunksAhead });
  }

  /** Chunks that no thread has begun and that keep all threads busy while more is asked for. */
  #chunksAhead(): number {
    const { chunks, seconds } = this.#fitted;
    const perSlot = chunks === 0 ? 1 : Math.ceil(askAheadMs / (1000 * (seconds / chunks)));
    return this.#slots * Math.min(Math.max(1, perSlot), this.spec.chunkCount);
  }

  /** `chunk` is -1 where the threads could not begin. */
  #failed(chunk: number, reason: string): void {
    const start = Math.max(0, chunk);
    const chunks = { start, end: start + 1 };
    const failure = chunk < 0 ? "executor" : "application";
    const { job } = this.spec;
    this.#context.step({ type: "ExecutionFailed", job, chunks, failure, reason });
  }

  /** Sends the results of consecutive chunks in pieces; the last piece names them. */
  async #sendRun(chunks: Range, epoch: number): Promise<void> {
    const { voxelCount, chunkCount, job } = this.spec;
    const { start, end } = voxelsOfChunks(voxelCount, chunkCount, chunks);
    const size = voxelsPerFrame(this.spec);
    let bytes = 0;
    // Somebody else may settle them meanwhile: what is being read must not be given to others.
    this.#pages.keep(chunks);
    for (let voxel = start; voxel < end && !this.#isClosed; voxel += size) {
      const begunMs = performance.now();
      const voxels = { start: voxel, end: Math.min(end, voxel + size) };
      const payload = this.#gather(voxels);
      bytes += payload.length;
      this.#timings.copySeconds += (performance.now() - begunMs) / 1000;
      const completes = voxels.end === end ? chunks : undefined;
      const crc = crc32(payload);
      const timings = this.#takeTimings();
      this.#context.say({ type: "result", job, epoch, voxels, completes, crc, timings }, payload);
      await this.#context.writable();
    }
    this.#pages.letGo(chunks);
    if (!this.#isClosed) this.#context.step({ type: "RunSent", job, epoch, bytes });
  }

  #takeTimings() {
    const retried = this.#context.pool.retriedOf(this.spec.job);
    const timings = { ...this.#timings, retried: retried - this.#retriedReported };
    this.#retriedReported = retried;
    this.#timings = { computeSeconds: 0, copySeconds: 0, retried: 0 };
    return timings;
  }

  /** The rows of these voxels, output after output. */
  #gather(voxels: Range): Uint8Array {
    const { pageVoxels } = this.#outputs;
    const pieces = [...byPage(pageVoxels, voxels.start, voxels.end)].map(({ page, row, count }) =>
      this.#outputs.rowsOf(page, row, row + count),
    );
    return Buffer.concat(this.spec.outputs.flatMap((_, i) => pieces.map((rows) => rows[i])));
  }
}

/** What it resolves with, if it does so before `untilMs`. */
async function soon<T>(promise: Promise<T>, untilMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, untilMs - performance.now()), undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** That a file cannot be closed is nobody's concern any more. */
async function closeRows(rows: OpenedRows | undefined): Promise<void> {
  try {
    await rows?.close();
  } catch {}
}
