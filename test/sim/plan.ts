/** What a job is in the simulated world: how long its chunks take, what they do to who runs them, and what comes out. */
import type { MapRequest, Range } from "@fascicle/core";
import { bulkFrameBytes } from "@fascicle/transport";
import { hash32 } from "./random.ts";

/** What a chunk does to its executor, each time it is run. */
export type Fate = "fitted" | "killsThread" | "killsProcess";

export interface JobPlanFields {
  readonly index: number;
  readonly request: MapRequest;
  readonly meanChunkMs: number;
  /** The slowest chunk takes about this many times the mean. */
  readonly spread: number;
  readonly bytesPerChunk: number;
  readonly windowBytes: number;
  /** Chunks that are not simply fitted. */
  readonly fates: ReadonlyMap<number, Fate>;
}

export class JobPlan {
  readonly fields: JobPlanFields;
  readonly index: number;
  readonly request: MapRequest;
  readonly bytesPerChunk: number;
  readonly windowBytes: number;
  readonly fates: ReadonlyMap<number, Fate>;
  readonly meanChunkMs: number;
  readonly #spread: number;

  constructor(fields: JobPlanFields) {
    this.fields = fields;
    this.index = fields.index;
    this.request = fields.request;
    this.bytesPerChunk = fields.bytesPerChunk;
    this.windowBytes = fields.windowBytes;
    this.fates = fields.fates;
    this.meanChunkMs = fields.meanChunkMs;
    this.#spread = fields.spread;
  }

  /** The same work as a new job, for a driver that begins again. */
  again(job: string): JobPlan {
    return new JobPlan({ ...this.fields, request: { ...this.request, job } });
  }

  get id(): string {
    return this.request.job;
  }

  /** Tasks and calls find their objects where they run; maps get their voxels from their driver. */
  get needsSignals(): boolean {
    return this.request.actor === undefined && this.request.makes === undefined;
  }

  get chunkCount(): number {
    return this.request.chunkCount;
  }

  /** A chunk takes equally long wherever it runs, but for the speed of the host. */
  chunkMs(chunk: number): number {
    const part = hash32(this.index, chunk, 7) / 2 ** 32;
    // Most are near the mean, few are much slower.
    const factor = part < 0.95 ? 0.5 + part : this.#spread;
    return this.meanChunkMs * factor;
  }

  /** The longest that a chunk may take on a host of speed 1. */
  get slowestMs(): number {
    return this.meanChunkMs * Math.max(1.5, this.#spread);
  }

  /** Chunks whose results make about one frame, or half of a window that is smaller. */
  chunksPerRunIn(windowBytes: number): number {
    const share = Math.min(1, windowBytes / 2 / bulkFrameBytes);
    return Math.max(1, Math.floor((share * bulkFrameBytes) / this.bytesPerChunk));
  }

  valueOf(chunk: number): number {
    return hash32(this.index, chunk, this.fates.has(chunk) ? 6 : 0);
  }

  /** The sum of the values: what stands for the bytes of these chunks. */
  digestOf({ start, end }: Range): number {
    let sum = 0;
    for (let chunk = start; chunk < end; chunk++) sum = (sum + this.valueOf(chunk)) | 0;
    return sum;
  }
}
