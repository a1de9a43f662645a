import { join } from "node:path";
import {
  type ChunkedModel,
  counted,
  type FittedField,
  type FittedMaps,
  type Range,
  RangeSet,
  statusOutput,
  voxelsOfChunks,
  whyNotChunks,
} from "@fascicle/core";
import type { SlabPool } from "@fascicle/object-store";
import { type Cluster, currentCluster } from "../client/connect.ts";
import { abortReason, UsageError } from "../errors.ts";
import { stateHome } from "../head/discovery.ts";
import { FitLedger, type FitLedgerOptions } from "../ledger/fitLedger.ts";
import { wholeChunks } from "../ledger/wholeChunks.ts";
import { type ChunkCount, chunkCount } from "./chunkCount.ts";
import { clusterEngine } from "./cluster.ts";
import { type Engine, voxelsSettled } from "./engine.ts";
import { fitHasEnded, forgetEndedFits } from "./fitMemory.ts";
import { localEngine } from "./local.ts";
import { borrowPageMemory, returnPageMemory } from "./pageMemory.ts";
import { type FitProgress, ProgressMeter } from "./progress.ts";
import { type EngineName, makeReceipt, type Receipt } from "./receipt.ts";
import type { Results } from "./results.ts";
import { resultsFor } from "./resultsFor.ts";
import type { Scratch } from "./scratch.ts";
import { serialEngine } from "./serial.ts";

export interface FitOptions {
  /** Default: `cluster` inside `connect(join)`, else `local`. */
  readonly engine?: EngineName;
  /** The connected cluster, where there is more than one. */
  readonly cluster?: Cluster;
  /** Threads (`local`) or slots of the cluster at most; default all. */
  readonly workers?: number;
  /** Stops the fit at once; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
  /** Called at most ten times a second. */
  readonly onProgress?: (progress: FitProgress) => void;
  /**
   * Keeps finished rows in the user's state directory while the fit runs, and continues from those that an earlier
   * process left when it died in the same fit. Nothing stays once the promise is settled, unless the head was lost.
   */
  readonly resume?: boolean;
  /** Takes sentences that the user may want to see, about what is resumed. */
  readonly onNotice?: (sentence: string) => void;
  /** Seconds that a cluster fit waits for a first worker. Default 30. */
  readonly waitSeconds?: number;
  /**
   * Seconds after which a voxel is given up (status 7, zeros), even if its kernel never ends. Without it none is, and
   * the bytes of a fit do not depend on time.
   */
  readonly voxelTimeoutSeconds?: number;
  /** Of fits at the same time, those of higher priority go first, those of one share. From -1000 to 1000, default 0. */
  readonly priority?: number;
  /**
   * Bytes of shared memory for the results, and for the pages of signals that are on disk. Results that do not fit go
   * to `scratch`; `maps.NAME.read(start, end)` gives them then, and `saveMaps` writes them. Default: what they need.
   */
  readonly objectMemoryBytes?: number;
  /** Room on disk for results that do not fit; whoever made it removes it when the maps are saved. */
  readonly scratch?: Scratch;
}

/** A timer holds no more than this. */
const shortestTimeoutSeconds = 0.01;
const longestTimeoutSeconds = 86_400;

/** What a model adds to its result. */
type ExtrasOf<M> = M extends { extend(fit: FittedMaps): infer Extras } ? Extras : object;

/** A finished fit: typed arrays over the masked voxels, and where the time went. */
export type FitResult<M extends ChunkedModel = ChunkedModel> = {
  readonly model: M;
  /** Fitted values by output name: `data` holds `shape[0]` voxels of `shape[1]` numbers. */
  readonly maps: Readonly<Record<string, FittedField>>;
  /** How each voxel ended (0 fitted; see `VoxelStatus`). */
  readonly status: Uint8Array;
  readonly receipt: Receipt;
  /** Gives back what the results have on disk; they cannot be read after that. What is in memory stays. */
  release(): Promise<void>;
} & ExtrasOf<M>;

const embedded: Readonly<Record<Exclude<EngineName, "cluster">, Engine>> = {
  serial: serialEngine,
  local: localEngine,
};

/**
 * Fits a model in chunks. `nChunks` is honoured exactly (from 1 to the number of voxels); `"auto"` measures a few
 * voxels and chooses. The values do not depend on engine, workers or chunks, to the bit.
 *
 * Throws `UsageError` (wrong arguments), `FitError` (the work failed), `ConnectError` (no head), or the reason of
 * `signal`.
 */
export async function fitChunked<M extends ChunkedModel>(
  model: M,
  nChunks: number | "auto",
  options: FitOptions = {},
): Promise<FitResult<M>> {
  const { resume, onNotice } = options;
  if (!resume) {
    checkOptions(model, nChunks, options);
    return fit(model, nChunks, options, undefined);
  }
  const place = {
    directory: join(stateHome(), "ledgers"),
    resume,
    howToResume: "Call fitChunked again with resume: true",
    notify: onNotice ?? (() => {}),
  };
  return fitOnLedger(model, nChunks, options, place, async (result) => result);
}

/** `fitChunked` with a ledger, which goes when `finish` has brought the results to where they belong. */
export async function fitOnLedger<M extends ChunkedModel, T>(
  model: M,
  nChunks: number | "auto",
  options: FitOptions,
  place: FitLedgerOptions,
  finish: (result: FitResult<M>) => Promise<T>,
): Promise<T> {
  // Before the ledger is touched: whoever mistypes an option must not lose it.
  checkOptions(model, nChunks, options);
  const { voxelTimeoutSeconds } = options;
  const lost = new AbortController();
  const onResultsLost = (error: Error) => lost.abort(error);
  const ledger = await FitLedger.open(model, { voxelTimeoutSeconds, onResultsLost, ...place });
  // Whoever learns in the midst of a fit that its first results are gone does not do the rest of it.
  const signal = AbortSignal.any([lost.signal, ...(options.signal ? [options.signal] : [])]);
  const work = async () => finish(await fit(model, nChunks, { ...options, signal }, ledger));
  return ledger.during(work, options.signal);
}

async function fit<M extends ChunkedModel>(
  model: M,
  nChunks: number | "auto",
  options: FitOptions,
  ledger: FitLedger | undefined,
): Promise<FitResult<M>> {
  const { workers } = options;
  const begunMs = performance.now();
  const cluster = options.cluster ?? currentCluster();
  const engine = options.engine ?? (cluster === undefined ? "local" : "cluster");
  const voxelTimeoutMs = timeoutMs(options.voxelTimeoutSeconds, engine);
  const voxels = model.signals.voxelCount;
  forgetEndedFits();
  const plan = resultsFor(model, options);
  const { results, pageBytes } = plan;
  const count = await chunkCount({
    ...{ model, engine, cluster, workers, plan, signal: options.signal },
    asked: nChunks,
    resumed: ledger?.chunkCount,
    mayHang: voxelTimeoutMs !== undefined,
  });
  const progress = new ProgressMeter(voxels, options.onProgress);
  const pageMemory = borrowPageMemory(pageBytes);
  try {
    return await fitInto(model, count, options, {
      engine,
      cluster,
      ledger,
      results,
      pageMemory,
      progress,
      begunMs,
      voxelTimeoutMs,
    });
  } catch (error) {
    await results.release();
    throw error;
  } finally {
    returnPageMemory(pageMemory);
    fitHasEnded([...model.signals.slabs, ...(results.buffers ?? [])]);
  }
}

/** What a fit runs with, once all of that is decided. */
interface FitParts {
  readonly engine: EngineName;
  readonly cluster: Cluster | undefined;
  readonly ledger: FitLedger | undefined;
  readonly results: Results;
  readonly pageMemory: SlabPool;
  readonly progress: ProgressMeter;
  readonly begunMs: number;
  readonly voxelTimeoutMs: number | undefined;
}

async function fitInto<M extends ChunkedModel>(
  model: M,
  { chunks, because }: ChunkCount,
  options: FitOptions,
  parts: FitParts,
): Promise<FitResult<M>> {
  const { engine, cluster, ledger, results, begunMs } = parts;
  const { signal, workers } = options;
  const voxels = model.signals.voxelCount;
  const found = (await ledger?.begin(results, chunks, signal)) ?? new RangeSet();
  const settled = wholeChunks(voxels, chunks, found);
  const onSettled = (range: Range) => ledger?.settled(voxelsOfChunks(voxels, chunks, range));
  const task = {
    model,
    chunkCount: chunks,
    results,
    pageMemory: parts.pageMemory,
    diskWait: () => options.scratch?.waitsSince,
    workers,
    signal,
    voxelTimeoutMs: parts.voxelTimeoutMs,
    priority: options.priority,
    progress: parts.progress,
    settled,
    onSettled,
  };
  const report =
    engine === "cluster"
      ? await clusterEngine(task, cluster, options.waitSeconds)
      : await embedded[engine](task);
  await ledger?.complete();
  const fields = model.outputs.map(({ name }, i) => [name, results.field(i)] as const);
  const maps = Object.fromEntries(fields);
  const status = await statusOf(model, results);
  const totalSeconds = (performance.now() - begunMs) / 1000;
  const resumed = { chunksResumed: settled.size, voxelsResumed: voxelsSettled(task) };
  const spill = options.scratch?.use ?? { peakBytes: 0, seconds: 0 };
  const ended = { model, engine, report, voxels, chunks, totalSeconds, status, spill };
  const receipt = makeReceipt({ ...ended, ...resumed, chunksBecause: because });
  const release = () => results.release();
  const fitted = { model, maps, status, receipt, release };
  return Object.assign(fitted, model.extend?.({ maps })) as FitResult<M>;
}

function checkOptions(
  { signals }: ChunkedModel,
  nChunks: number | "auto",
  { workers, engine, signal, priority }: FitOptions,
): void {
  if (signal?.aborted) throw abortReason(signal);
  const objection = whyNotChunks(signals.voxelCount, nChunks === "auto" ? 1 : nChunks);
  if (objection !== undefined) throw new UsageError(objection);
  if (workers !== undefined && !(Number.isSafeInteger(workers) && workers >= 1)) {
    throw new UsageError(
      `The number of workers must be a whole number of at least 1, not ${workers}.`,
    );
  }
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= 1_000)) {
    throw new UsageError(
      `The priority must be a whole number from -1000 to 1000, not ${priority}.`,
    );
  }
  if (engine === "serial" && workers !== undefined && workers !== 1) {
    throw new UsageError(
      `The serial engine is one thread: it cannot have ${counted(workers, "worker")}.`,
    );
  }
}

/** The time-out in milliseconds, where there is one; throws where the engine cannot hold it. */
function timeoutMs(seconds: number | undefined, engine: EngineName): number | undefined {
  if (seconds === undefined) return undefined;
  if (!(seconds >= shortestTimeoutSeconds && seconds <= longestTimeoutSeconds)) {
    throw new UsageError(
      `The time-out of a voxel must be from ${shortestTimeoutSeconds} to ${longestTimeoutSeconds} seconds, not ${seconds}.`,
    );
  }
  if (engine === "serial") {
    throw new UsageError(
      "The serial engine cannot end a voxel that takes too long: leave out the time-out, or use the local engine.",
    );
  }
  return seconds * 1000;
}

/** How each voxel ended; one byte for each, so in memory wherever the other results are. */
async function statusOf(model: ChunkedModel, results: Results): Promise<Uint8Array> {
  const output = statusOutput(model.outputs);
  const { voxelCount } = model.signals;
  if (output < 0) return new Uint8Array(voxelCount);
  return results.rows(output, { start: 0, end: voxelCount });
}
