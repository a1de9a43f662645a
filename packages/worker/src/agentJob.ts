/** One fit on this host: leases in, signals in, results out. */
import { crc32 } from "node:zlib";
import { chunkStart, type Range, RangeSet, voxelsOfChunks } from "@fascicle/core";
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
  type Connection,
  decodeValue,
  type FromAgent,
  type JobSpec,
  resultWindowBytes,
} from "@fascicle/transport";
import { BlockFetcher } from "./blockFetcher.ts";
import { boardBytes, ChunkBoard } from "./chunkBoard.ts";
import type { ThreadPool } from "./threadPool.ts";

/** Results wait this long for neighbours, so that runs of small chunks travel together. */
const gatherMs = 10;

export interface AgentJobContext {
  readonly connection: Connection;
  readonly pool: ThreadPool;
  readonly memory: SlabAllocator;
  readonly moduleUrl: string;
}

/** Bytes of object memory that a fit takes on a host. */
export function memoryNeeded(spec: JobSpec): number {
  const { width, dtype } = spec.signals;
  const rowBytes = width * bytesPerValue[dtype] + outputsRowBytes(spec.outputs);
  return spec.voxelCount * rowBytes + boardBytes(spec.chunkCount);
}

export class AgentJob {
  readonly spec: JobSpec;
  readonly epoch: number;
  readonly #slots: number;
  readonly #context: AgentJobContext;
  readonly #buffers: SharedArrayBuffer[] = [];
  readonly #outputs: SharedArrayBuffer[];
  readonly #outputBytes: readonly Uint8Array[];
  readonly #board: ChunkBoard;
  readonly #blocks: BlockFetcher;
  /** Leased and not settled. */
  readonly #leased = new RangeSet();
  /** Leased, but its signals are not all here. */
  readonly #waiting = new RangeSet();
  /** Leased and not fitted. */
  readonly #unfitted = new RangeSet();
  /** Done and not on its way to the driver. */
  readonly #done = new RangeSet();
  #unsettledBytes = 0;
  #timings = { computeSeconds: 0, copySeconds: 0, retried: 0 };
  #retriedReported = 0;
  #sendTimer: NodeJS.Timeout | undefined;
  #isSending = false;
  #isClosed = false;
  #hasAsked = false;
  #isDraining = false;

  constructor(
    spec: JobSpec,
    slots: number,
    epoch: number,
    payload: Uint8Array,
    context: AgentJobContext,
  ) {
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
      // Before anything is made of what it says: sizes that cannot be must not be tried.
      const needed = memoryNeeded(spec);
      if (needed > context.memory.limitBytes) {
        throw ObjectMemoryError.of(needed, context.memory.limitBytes);
      }
      const layout: SignalLayout = { voxelCount: spec.voxelCount, ...spec.signals };
      const signals = allocateSignals(layout, allocate);
      this.#outputs = allocateOutputs(spec.outputs, spec.voxelCount, allocate);
      const board = allocate(boardBytes(spec.chunkCount));
      this.#board = new ChunkBoard(board);
      this.#blocks = new BlockFetcher(layout, signals, (block) =>
        this.#say({ type: "blockWanted", job: spec.job, block }),
      );
      this.#outputBytes = this.#outputs.map((buffer) => new Uint8Array(buffer));
      context.pool.open(
        {
          job: spec.job,
          moduleUrl: context.moduleUrl,
          kernelName: spec.kernel.name,
          parameters: decodeValue(payload),
          voxelCount: spec.voxelCount,
          signals: { ...spec.signals, ...signals },
          outputs: spec.outputs.map(({ dtype }, i) => ({ dtype, buffer: this.#outputs[i] })),
          board,
        },
        slots,
        {
          onReceipt: (ranges, seconds) => this.#receipt(ranges, seconds),
          onIdle: () => this.#sendSoon(0),
          onFailed: (chunk, reason) => this.#failed(chunk, reason),
        },
      );
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Voxels fitted here so far, those under way included. */
  get voxelsDone(): number {
    return this.#board.voxelsDone;
  }

  get busySlots(): number {
    return this.#context.pool.busySlots(this.spec.job);
  }

  /** Leased chunks that are not settled. */
  get openChunks(): number {
    return this.#leased.size;
  }

  lease(chunks: Range): void {
    this.#hasAsked = false;
    if (this.#isDraining) {
      this.#return([chunks]);
      return;
    }
    this.#leased.add(chunks);
    this.#unfitted.add(chunks);
    this.#waiting.add(chunks);
    const voxels = voxelsOfChunks(this.spec.voxelCount, this.spec.chunkCount, chunks);
    this.#blocks.need(voxels.start, voxels.end);
    this.#promote();
  }

  block(index: number, offset: number, piece: Uint8Array): void {
    if (this.#blocks.store(index, offset, piece)) this.#promote();
  }

  settled(chunks: Range): void {
    this.#leased.remove(chunks);
    // Another host may have been quicker with chunks that this one has not begun: they stay on the board
    // and are fitted in vain at most once.
    this.#askForWork();
  }

  credit(bytes: number): void {
    this.#unsettledBytes -= bytes;
    this.#sendSoon(0);
  }

  /** Hands back what no thread has begun; what is begun is finished. */
  drain(): void {
    this.#isDraining = true;
    const returned = new RangeSet();
    for (const range of this.#leased.ranges()) {
      for (let chunk = range.start; chunk < range.end; chunk++) {
        const piece = { start: chunk, end: chunk + 1 };
        if (this.#waiting.covers(piece) || this.#board.withdraw(chunk)) returned.add(piece);
      }
    }
    for (const chunks of returned.ranges()) {
      this.#leased.remove(chunks);
      this.#unfitted.remove(chunks);
      this.#waiting.remove(chunks);
    }
    this.#return(returned.ranges());
  }

  #return(ranges: readonly Range[]): void {
    if (ranges.length === 0) return;
    const { epoch } = this;
    this.#say({
      type: "returned",
      job: this.spec.job,
      epoch,
      ranges: [...ranges],
      isRecall: false,
    });
  }

  /** Ends it; resolves when its memory is given back. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#sendTimer);
    await this.#context.pool.close(this.spec.job);
    this.#release();
  }

  #release(): void {
    for (const buffer of this.#buffers.splice(0)) this.#context.memory.release(buffer);
  }

  #say(message: FromAgent, payload?: Uint8Array): void {
    this.#context.connection.send(message, payload);
  }

  /** Opens to the threads what has its signals. */
  #promote(): void {
    const { voxelCount, chunkCount, job } = this.spec;
    let opened = false;
    for (const { start, end } of [...this.#waiting.ranges()]) {
      const here = this.#blocks.hereUntil(chunkStart(voxelCount, chunkCount, start));
      const stop = lastChunkWithin(this.spec, start, end, here);
      // Behind a missing block there may be others that are here; but blocks come in order, so they can wait.
      if (stop === start) continue;
      this.#waiting.remove({ start, end: stop });
      this.#board.makeReady(start, stop);
      opened = true;
    }
    if (opened) this.#context.pool.go(job);
  }

  #receipt(ranges: readonly number[], computeSeconds: number): void {
    this.#timings.computeSeconds += computeSeconds;
    for (let i = 0; i < ranges.length; i += 2) {
      // After a thread's death chunks are reported twice: only what was open counts.
      const fresh = this.#unfitted.remove({ start: ranges[i], end: ranges[i + 1] });
      for (const range of fresh) this.#done.add(range);
    }
    this.#askForWork();
    this.#sendSoon(gatherMs);
  }

  /** Asks before the threads run dry. */
  #askForWork(): void {
    const notBegun = this.#unfitted.size - this.busySlots;
    if (this.#hasAsked || this.#isDraining || notBegun >= this.#slots) return;
    this.#hasAsked = true;
    this.#say({ type: "workWanted", job: this.spec.job, epoch: this.epoch });
  }

  #failed(chunk: number, reason: string): void {
    const start = Math.max(0, chunk);
    this.#say({
      type: "failed",
      job: this.spec.job,
      epoch: this.epoch,
      chunks: { start, end: start + 1 },
      failure: "application",
      reason: reason.slice(0, 1_000),
    });
  }

  #sendSoon(delayMs: number): void {
    if (this.#isClosed) return;
    if (delayMs === 0) {
      clearTimeout(this.#sendTimer);
      this.#sendTimer = undefined;
      void this.#send();
      return;
    }
    this.#sendTimer ??= setTimeout(() => {
      this.#sendTimer = undefined;
      void this.#send();
    }, delayMs);
  }

  async #send(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    while (!this.#isClosed && this.#unsettledBytes < resultWindowBytes) {
      const run = this.#done.takeFirst(this.#chunksPerRun());
      if (run === undefined) break;
      await this.#sendRun(run);
    }
    this.#isSending = false;
  }

  /** Chunks whose results make about one frame. */
  #chunksPerRun(): number {
    const { voxelCount, chunkCount } = this.spec;
    return Math.max(1, Math.floor(this.#voxelsPerFrame() / Math.ceil(voxelCount / chunkCount)));
  }

  #voxelsPerFrame(): number {
    return Math.max(1, Math.floor(bulkFrameBytes / outputsRowBytes(this.spec.outputs)));
  }

  /** Sends the results of consecutive chunks in pieces; the last piece names them. */
  async #sendRun(chunks: Range): Promise<void> {
    const { voxelCount, chunkCount, job } = this.spec;
    const { start, end } = voxelsOfChunks(voxelCount, chunkCount, chunks);
    const step = this.#voxelsPerFrame();
    for (let voxel = start; voxel < end && !this.#isClosed; voxel += step) {
      const begunMs = performance.now();
      const voxels = { start: voxel, end: Math.min(end, voxel + step) };
      const payload = this.#gather(voxels);
      this.#unsettledBytes += payload.length;
      this.#timings.copySeconds += (performance.now() - begunMs) / 1000;
      const completes = voxels.end === end ? chunks : undefined;
      const crc = crc32(payload);
      this.#say(
        { type: "result", job, voxels, completes, crc, timings: this.#takeTimings() },
        payload,
      );
      await this.#context.connection.writable();
    }
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
