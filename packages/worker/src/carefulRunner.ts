/**
 * Runs the chunks of one job that killed their thread, made their kernel throw or overran their time: in processes of
 * their own, voxel by voxel, while the threads go on with the others. A voxel that throws there, overruns its time, or
 * kills its process and then a fresh one in which it is alone, is given up; the rest of its chunk is fitted.
 */
import { chunkStart, giveUpVoxel, VoxelStatus } from "@fascicle/core";
import { outputRowBytes } from "@fascicle/object-store";
import { type CarefulBatch, type CarefulOutcome, CarefulProcess } from "./carefulProcess.ts";
import { carefulBatchVoxels, carefulProcessesLimit, deathsBeforeBeginLimit } from "./limits.ts";
import { type BufferOf, byPage, PagedOutputs, PagedSignals, placeIn } from "./pagedRows.ts";
import { reasonOf, type ThreadJob } from "./threadMessages.ts";

export interface CarefulHandlers {
  /** A voxel has its values, or was given up. */
  onVoxel(isFitted: boolean): void;
  onDone(chunk: number, seconds: number): void;
  /** A voxel was given up; gives the reason to stop, if that is too much. */
  onGivenUp(voxel: number, kind: "crashed" | "timedOut", reason: string): string | undefined;
  /** The fit cannot go on; nothing more is called. `chunk` is -1 where it could not begin. */
  onFailed(chunk: number, reason: string): void;
}

/** The fit must end: thrown through a lane to its top. */
class Stop extends Error {
  readonly chunk: number;

  constructor(chunk: number, reason: string) {
    super(reason);
    this.chunk = chunk;
  }
}

export class CarefulRunner {
  readonly #spec: ThreadJob;
  readonly #chunkCount: number;
  readonly #handlers: CarefulHandlers;
  readonly #signals: PagedSignals;
  readonly #outputs: PagedOutputs;
  readonly #queue: number[] = [];
  readonly #lanes = new Map<Lane, Promise<void>>();
  #isClosed = false;

  constructor(spec: ThreadJob, chunkCount: number, bufferOf: BufferOf, handlers: CarefulHandlers) {
    this.#spec = spec;
    this.#chunkCount = chunkCount;
    this.#handlers = handlers;
    const { voxelCount, signals, outputs, outputPageVoxels } = spec;
    this.#signals = new PagedSignals(signals, voxelCount, bufferOf);
    this.#outputs = new PagedOutputs(outputs, outputPageVoxels, voxelCount, bufferOf);
  }

  add(chunk: number): void {
    this.#queue.push(chunk);
    this.#startLane();
  }

  /** Ends the processes; resolves when nothing can write to the job's memory any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#lanes].flatMap(([lane, run]) => [lane.stop(), run]));
  }

  #startLane(): void {
    if (this.#isClosed || this.#lanes.size >= carefulProcessesLimit) return;
    const lane = new Lane(this.#spec);
    const run = this.#run(lane).finally(() => {
      this.#lanes.delete(lane);
      // A chunk may have come while it was ending.
      if (this.#queue.length > 0) this.#startLane();
    });
    this.#lanes.set(lane, run);
  }

  /** Fits queued chunks until there is none. */
  async #run(lane: Lane): Promise<void> {
    try {
      for (;;) {
        const chunk = this.#isClosed ? undefined : this.#queue.shift();
        if (chunk === undefined) break;
        const begunMs = performance.now();
        await this.#fitChunk(lane, chunk);
        if (!this.#isClosed) this.#handlers.onDone(chunk, (performance.now() - begunMs) / 1000);
      }
    } catch (error) {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#handlers.onFailed(error instanceof Stop ? error.chunk : -1, reasonOf(error));
    } finally {
      await lane.stop();
    }
  }

  async #fitChunk(lane: Lane, chunk: number): Promise<void> {
    const { voxelCount, voxelTimeoutMs: timeoutMs } = this.#spec;
    const end = chunkStart(voxelCount, this.#chunkCount, chunk + 1);
    let voxel = chunkStart(voxelCount, this.#chunkCount, chunk);
    /** The voxel at `voxel` has killed a process, but that may have been anybody's doing. */
    let isSuspect = false;
    while (voxel < end && !this.#isClosed) {
      const voxels = isSuspect ? 1 : Math.min(end - voxel, carefulBatchVoxels);
      const first = voxel;
      const outcome = await lane.fit({
        signals: this.#signalsOf(first, voxels),
        voxels,
        timeoutMs,
        onValues: (index, values) => this.#store(first + index, values),
      });
      voxel += outcome.answered;
      if (outcome.answered > 0) isSuspect = false;
      if (this.#isClosed || outcome.kind === "fitted") continue;
      if (outcome.kind === "died" && !isSuspect) {
        isSuspect = true;
        continue;
      }
      this.#giveUp(chunk, voxel++, outcome);
      isSuspect = false;
    }
  }

  #giveUp(chunk: number, voxel: number, { kind, reason }: CarefulOutcome): void {
    const how = kind === "timedOut" ? "timedOut" : "crashed";
    const reasonToStop = this.#handlers.onGivenUp(voxel, how, reason);
    if (reasonToStop !== undefined) throw new Stop(chunk, reasonToStop);
    const { page, row } = placeIn(this.#outputs.pageVoxels, voxel);
    giveUpVoxel(this.#spec.outputs, this.#outputs.page(page), row, VoxelStatus[how]);
    this.#handlers.onVoxel(false);
  }

  /** The rows of these voxels, whatever pages they lie in. */
  #signalsOf(first: number, voxels: number): Uint8Array {
    const { pageVoxels } = this.#signals;
    const { width } = this.#spec.signals;
    const parts = [...byPage(pageVoxels, first, first + voxels)].map(({ page, row, count }) => {
      const rows = this.#signals.page(page).subarray(row * width, (row + count) * width);
      return new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    });
    return Buffer.concat(parts);
  }

  #store(voxel: number, values: Uint8Array): void {
    if (this.#isClosed) return;
    const { page, row } = placeIn(this.#outputs.pageVoxels, voxel);
    const rows = this.#outputs.rowsOf(page, row, row + 1);
    let offset = 0;
    for (const [i, field] of this.#spec.outputs.entries()) {
      const rowBytes = outputRowBytes(field);
      rows[i].set(values.subarray(offset, offset + rowBytes));
      offset += rowBytes;
    }
    this.#handlers.onVoxel(true);
  }
}

/** One process after the other: a new one is started when it is needed and the last is no more. */
class Lane {
  readonly #spec: ThreadJob;
  #process: CarefulProcess | undefined;
  /** The end of the process before: whoever asks a second time waits for it, too. */
  #ending: Promise<void> | undefined;
  #isStopped = false;

  constructor(spec: ThreadJob) {
    this.#spec = spec;
  }

  async fit(batch: CarefulBatch): Promise<CarefulOutcome> {
    const process = this.#process ?? (await this.#start());
    const outcome = await process.fit(batch);
    if (outcome.kind === "died" || outcome.kind === "timedOut") await this.#end();
    return outcome;
  }

  /** Ends its process, for good. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#end();
  }

  async #start(): Promise<CarefulProcess> {
    const { moduleUrl, kernelName, parameters, signals, outputs } = this.#spec;
    const { width, dtype } = signals;
    const fields = outputs.map(({ table: _, byteOffset: __, ...field }) => field);
    const spec = { moduleUrl, kernelName, parameters, width, dtype, outputs: fields };
    for (let deaths = 1; !this.#isStopped; deaths++) {
      const process = new CarefulProcess();
      this.#process = process;
      const reason = await process.open(spec);
      if (reason === undefined) return process;
      await this.#end();
      if (deaths === deathsBeforeBeginLimit) {
        throw new Stop(-1, `its careful processes die before they begin (${reason})`);
      }
    }
    throw new Stop(-1, "it was stopped");
  }

  async #end(): Promise<void> {
    if (this.#process !== undefined) this.#ending = this.#process.kill();
    this.#process = undefined;
    await this.#ending;
  }
}
