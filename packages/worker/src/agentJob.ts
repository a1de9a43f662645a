/** One fit on this host: its memory, its threads, and the bytes that come and go. What to do when is the machine's business. */
import { crc32 } from "node:zlib";
import {
  type AgentEffect,
  type AgentEvent,
  chunkStart,
  type Range,
  RangeSet,
  voxelsOfChunks,
} from "@fascicle/core";
import {
  allocateOutputs,
  allocateSignals,
  bytesPerValue,
  ObjectMemoryError,
  outputRowBytes,
  outputsRowBytes,
  type SignalLayout,
  type SlabAllocator,
} from "@fascicle/object-store";
import {
  bulkFrameBytes,
  decodeValue,
  type FromAgent,
  type JobSpec,
  type ToAgent,
} from "@fascicle/transport";
import { BlockFetcher } from "./blockFetcher.ts";
import { boardBytes, ChunkBoard } from "./chunkBoard.ts";
import { askAheadMs } from "./limits.ts";
import type { ThreadPool } from "./threadPool.ts";

export interface AgentJobContext {
  readonly pool: ThreadPool;
  readonly memory: SlabAllocator;
  readonly moduleUrl: string;
  say(message: FromAgent, payload?: Uint8Array): void;
  /** Resolves when the network has taken enough. */
  writable(): Promise<void>;
  step(event: AgentEvent): void;
  /** Its memory is given back. */
  onClosed(): void;
}

type JobEffect = Exclude<
  AgentEffect,
  { type: "AskForWork" | "ReturnRanges" | "ReportFailure" | "Gather" | "ReleaseJob" }
>;

/** Bytes of object memory that a fit takes on a host. */
export function memoryNeeded(spec: JobSpec): number {
  const { width, dtype } = spec.signals;
  const rowBytes = width * bytesPerValue[dtype] + outputsRowBytes(spec.outputs);
  return spec.voxelCount * rowBytes + boardBytes(spec.chunkCount);
}

export function objectMemoryError(spec: JobSpec, limitBytes: number): ObjectMemoryError {
  return ObjectMemoryError.of(memoryNeeded(spec), limitBytes);
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
  readonly #buffers: SharedArrayBuffer[] = [];
  readonly #outputBytes: readonly Uint8Array[];
  readonly #board: ChunkBoard;
  readonly #blocks: BlockFetcher;
  /** Chunks whose signals are on their way. */
  readonly #fetching = new RangeSet();
  readonly #slots: number;
  /** What the threads have done so far. */
  readonly #fitted = { chunks: 0, seconds: 0 };
  #timings = { computeSeconds: 0, copySeconds: 0, retried: 0 };
  #retriedReported = 0;
  #lastReport = "";
  #isClosed = false;

  constructor(
    message: Extract<ToAgent, { type: "open" }>,
    payload: Uint8Array,
    context: AgentJobContext,
  ) {
    const { spec, epoch, slots } = message;
    this.spec = spec;
    this.epoch = epoch;
    this.#slots = slots;
    this.#context = context;
    const allocate = (bytes: number) => {
      const buffer = context.memory.allocate(bytes);
      this.#buffers.push(buffer);
      return buffer;
    };
    try {
      const layout: SignalLayout = { voxelCount: spec.voxelCount, ...spec.signals };
      const signals = allocateSignals(layout, allocate);
      const outputs = allocateOutputs(spec.outputs, spec.voxelCount, allocate);
      const board = allocate(boardBytes(spec.chunkCount));
      this.#board = new ChunkBoard(board);
      this.#board.chunksAhead = this.#chunksAhead();
      this.#blocks = new BlockFetcher(layout, signals, (block) =>
        context.say({ type: "blockWanted", job: spec.job, block }),
      );
      this.#outputBytes = outputs.map((buffer) => new Uint8Array(buffer));
      context.pool.open(
        {
          job: spec.job,
          moduleUrl: context.moduleUrl,
          kernelName: spec.kernel.name,
          parameters: decodeValue(payload),
          voxelCount: spec.voxelCount,
          signals: { ...spec.signals, ...signals },
          outputs: spec.outputs.map((field, i) => ({ ...field, buffer: outputs[i] })),
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
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Carries out what the machine wants of this job. */
  perform(effect: JobEffect): void {
    switch (effect.type) {
      case "FetchSignals":
        this.#fetch(effect.chunks);
        return;
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

  storeBlock(index: number, offset: number, piece: Uint8Array): void {
    if (this.#blocks.store(index, offset, piece)) this.#signalsCame();
  }

  /** Blocks that were on their way are not any more; they are asked for again with the next head. */
  headLost(): void {
    this.#blocks.forgetWanted();
    // Of chunks that others have by then nothing is asked for: those behind them must not wait for it.
    this.#fetching.remove({ start: 0, end: this.spec.chunkCount });
    this.#lastReport = "";
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
    await this.#context.pool.close(this.spec.job);
    this.#release();
    this.#context.onClosed();
  }

  #release(): void {
    for (const buffer of this.#buffers.splice(0)) this.#context.memory.release(buffer);
  }

  #fetch(chunks: Range): void {
    this.#fetching.add(chunks);
    const voxels = voxelsOfChunks(this.spec.voxelCount, this.spec.chunkCount, chunks);
    this.#blocks.need(voxels.start, voxels.end);
    this.#signalsCame();
  }

  /** Tells which chunks have all their signals now. */
  #signalsCame(): void {
    const { voxelCount, chunkCount, job } = this.spec;
    const came: Range[] = [];
    for (const { start, end } of this.#fetching.ranges()) {
      const here = this.#blocks.hereUntil(chunkStart(voxelCount, chunkCount, start));
      const stop = lastChunkWithin(this.spec, start, end, here);
      // Behind a missing block there may be others that are here; but blocks come in order, so they can wait.
      if (stop > start) came.push({ start, end: stop });
    }
    for (const chunks of came) {
      this.#fetching.remove(chunks);
      this.#context.step({ type: "SignalsHere", job, chunks });
    }
  }

  #withdraw(chunks: Range, purpose: Extract<JobEffect, { type: "Withdraw" }>["purpose"]): void {
    const ranges = this.#board.withdrawTail(chunks.start, chunks.end);
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
    const parts = this.spec.outputs.map((field, i) => {
      const rowBytes = outputRowBytes(field);
      return this.#outputBytes[i].subarray(voxels.start * rowBytes, voxels.end * rowBytes);
    });
    const payload = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let offset = 0;
    for (const part of parts) {
      payload.set(part, offset);
      offset += part.length;
    }
    return payload;
  }
}

/** The end of the longest run of chunks from `start` whose voxels all lie before `voxelEnd`. */
function lastChunkWithin(spec: JobSpec, start: number, end: number, voxelEnd: number): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (chunkStart(spec.voxelCount, spec.chunkCount, middle) <= voxelEnd) low = middle;
    else high = middle - 1;
  }
  return low;
}
