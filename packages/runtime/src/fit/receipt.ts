/** The efficiency receipt: where the time of a fit went. */
import { VoxelStatus } from "@fascicle/core";
import { version } from "../version.ts";
import type { EngineReport } from "./engine.ts";

export type EngineName = "serial" | "local" | "cluster";

/**
 * Wall time of a whole command, from the start of its process until its maps are written: `starting` (loading code,
 * looking for a head), `reading` the inputs, `binding` the model to them (its response, its tables), the `fit` with
 * its ledger, and `writing` the maps. They follow each other, so they add up to `total`.
 */
export interface CommandSeconds {
  readonly starting: number;
  readonly reading: number;
  readonly binding: number;
  readonly fit: number;
  readonly writing: number;
  readonly total: number;
}

/** What `report.json` holds. Times in seconds, sizes in bytes. */
export interface Receipt {
  readonly model: string;
  readonly options: unknown;
  /** Which volumes and voxels were fitted. */
  readonly data: unknown;
  /** Input files with their sha256. */
  readonly inputs: unknown;
  readonly kernel: string;
  readonly version: string;
  readonly engine: EngineName;
  readonly finishedAt: string;
  readonly voxels: number;
  readonly chunks: number;
  /** Why so many. */
  readonly chunksBecause: string;
  /** Of these, those that an interrupted run had done: they are in no other figure of this receipt. */
  readonly chunksResumed: number;
  readonly workers: number;
  readonly physicalCores: number;
  /**
   * `total` is the wall time of the fit (reading and writing files not included); `compute` and `copy` are summed
   * over workers; `queue` is from the start to the first voxel fitted, `tail` from the last chunk to its result in
   * place; `idle` is what is left of `workers * total`. Chunks with voxels that crash their thread or overrun their
   * time run again in processes of their own: in a local fit that is in no time but `total`, on a cluster it counts as
   * `compute`. `spill` is the time that this process wrote to and read from its spill directory.
   */
  readonly seconds: {
    readonly total: number;
    readonly compute: number;
    readonly copy: number;
    readonly queue: number;
    readonly spill: number;
    readonly tail: number;
    readonly idle: number;
  };
  /** Of `runtime fit` alone. */
  readonly commandSeconds?: CommandSeconds;
  /** `compute / (workers * total)`. */
  readonly efficiency: number;
  /** Of the voxels that this run fitted or gave up. */
  readonly voxelsPerSecond: number;
  readonly attempts: EngineReport["attempts"];
  /** `memory` is the largest resident size of this process. */
  readonly peakBytes: { readonly memory: number; readonly spill: number };
  /** Bytes that the fit left on disk beside its maps. */
  readonly bytesLeft: number;
  readonly voxelsByStatus: Readonly<Record<string, number>>;
}

export interface ReceiptInput {
  readonly model: {
    readonly name: string;
    readonly kernel: { readonly name: string; readonly hash: string };
    readonly options?: unknown;
    readonly dwi?: { readonly inputs?: unknown; readonly selection?: unknown };
  };
  readonly engine: EngineName;
  readonly report: EngineReport;
  readonly voxels: number;
  readonly chunks: number;
  readonly chunksBecause: string;
  readonly chunksResumed: number;
  readonly voxelsResumed: number;
  readonly totalSeconds: number;
  readonly spill: { readonly peakBytes: number; readonly seconds: number };
  readonly status: ArrayLike<number> | undefined;
}

export function makeReceipt(input: ReceiptInput): Receipt {
  const { model, report, totalSeconds } = input;
  const available = report.workers * totalSeconds;
  const idle = Math.max(0, available - report.computeSeconds - report.copySeconds);
  return {
    model: model.name,
    options: model.options ?? {},
    data: model.dwi?.selection ?? {},
    inputs: model.dwi?.inputs ?? [],
    kernel: `${model.kernel.name}@${model.kernel.hash}`,
    version,
    engine: input.engine,
    finishedAt: new Date().toISOString(),
    voxels: input.voxels,
    chunks: input.chunks,
    chunksBecause: input.chunksBecause,
    chunksResumed: input.chunksResumed,
    workers: report.workers,
    physicalCores: report.physicalCores,
    seconds: {
      total: rounded(totalSeconds),
      compute: rounded(report.computeSeconds),
      copy: rounded(report.copySeconds),
      queue: rounded(report.queueSeconds),
      spill: rounded(input.spill.seconds),
      tail: rounded(report.tailSeconds),
      idle: rounded(idle),
    },
    efficiency: rounded(available > 0 ? Math.min(1, report.computeSeconds / available) : 0),
    voxelsPerSecond: Math.round((input.voxels - input.voxelsResumed) / totalSeconds),
    attempts: report.attempts,
    peakBytes: { memory: peakMemoryBytes(), spill: input.spill.peakBytes },
    // Only the ledger is on disk while a fit runs, and it goes when the maps are in place.
    bytesLeft: 0,
    voxelsByStatus: countStatuses(input.status ?? []),
  };
}

/** The receipt of a fit whose command has written its maps: the memory that took is in it. */
export function withCommand(receipt: Receipt, seconds: CommandSeconds): Receipt {
  const { starting, reading, binding, fit, writing, total } = seconds;
  return {
    ...receipt,
    commandSeconds: {
      starting: rounded(starting),
      reading: rounded(reading),
      binding: rounded(binding),
      fit: rounded(fit),
      writing: rounded(writing),
      total: rounded(total),
    },
    peakBytes: { ...receipt.peakBytes, memory: peakMemoryBytes() },
  };
}

const peakMemoryBytes = () => process.resourceUsage().maxRSS * 1024;

/** Voxels by the name of their status, those that occur. */
export function countStatuses(status: ArrayLike<number>): Record<string, number> {
  const counts = new Float64Array(256);
  for (let voxel = 0; voxel < status.length; voxel++) counts[status[voxel]]++;
  const names = Object.entries(VoxelStatus).filter(([, code]) => counts[code] > 0);
  return Object.fromEntries(names.map(([name, code]) => [name, counts[code]]));
}

const rounded = (value: number) => Math.round(value * 1e6) / 1e6;
