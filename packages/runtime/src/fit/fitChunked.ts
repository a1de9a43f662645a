import { join } from "node:path";
import {
  type ChunkedModel,
  counted,
  type FittedField,
  type FittedMaps,
  type Range,
  RangeSet,
  voxelsOfChunks,
  whyNotChunks,
} from "@fascicle/core";
import { allocateOutputs, outputView, SlabAllocator } from "@fascicle/object-store";
import { usableCores } from "@fascicle/worker";
import { type Cluster, currentCluster } from "../client/connect.ts";
import { abortReason, UsageError } from "../errors.ts";
import { stateHome } from "../head/discovery.ts";
import { FitLedger, type FitLedgerOptions } from "../ledger/fitLedger.ts";
import { wholeChunks } from "../ledger/wholeChunks.ts";
import { chooseChunks, measureVoxel, unmeasuredVoxelSeconds } from "./autoChunks.ts";
import { clusterEngine } from "./cluster.ts";
import { type Engine, voxelsSettled } from "./engine.ts";
import { localEngine } from "./local.ts";
import { type FitProgress, ProgressMeter } from "./progress.ts";
import { type EngineName, makeReceipt, type Receipt } from "./receipt.ts";
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
  /** Bytes of object memory for the results. */
  readonly objectMemoryBytes?: number;
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
  const ledger = await FitLedger.open(model, { voxelTimeoutSeconds, ...place });
  const work = async () => finish(await fit(model, nChunks, options, ledger));
  return ledger.during(work, options.signal);
}

async function fit<M extends ChunkedModel>(
  model: M,
  nChunks: number | "auto",
  options: FitOptions,
  ledger: FitLedger | undefined,
): Promise<FitResult<M>> {
  const { signal, workers } = options;
  const begunMs = performance.now();
  const cluster = options.cluster ?? currentCluster();
  const engine = options.engine ?? (cluster === undefined ? "local" : "cluster");
  const voxelTimeoutMs = timeoutMs(options.voxelTimeoutSeconds, engine);
  const voxels = model.signals.voxelCount;
  const isMeasured = voxelTimeoutMs === undefined;
  const chunks =
    nChunks === "auto"
      ? (ledger?.chunkCount ?? (await autoChunks(model, engine, workers, isMeasured)))
      : nChunks;
  const memory = new SlabAllocator(options.objectMemoryBytes);
  const outputs = allocateOutputs(model.outputs, voxels, (bytes) => memory.allocate(bytes));
  const progress = new ProgressMeter(voxels, options.onProgress);
  const found = (await ledger?.begin(outputs, chunks, signal)) ?? new RangeSet();
  const settled = wholeChunks(voxels, chunks, found);
  const onSettled = (range: Range) => ledger?.settled(voxelsOfChunks(voxels, chunks, range));
  const task = {
    model,
    chunkCount: chunks,
    outputs,
    workers,
    signal,
    voxelTimeoutMs,
    priority: options.priority,
    progress,
    settled,
    onSettled,
  };
  const report =
    engine === "cluster"
      ? await clusterEngine(task, cluster, options.waitSeconds)
      : await embedded[engine](task);
  await ledger?.complete();
  const maps = mapsOver(model, outputs);
  const status = (maps.status?.data ?? new Uint8Array(voxels)) as Uint8Array;
  const totalSeconds = (performance.now() - begunMs) / 1000;
  const resumed = { chunksResumed: settled.size, voxelsResumed: voxelsSettled(task) };
  const ended = { model, engine, report, voxels, chunks, totalSeconds, status };
  const receipt = makeReceipt({ ...ended, ...resumed });
  return Object.assign({ model, maps, status, receipt }, model.extend?.({ maps })) as FitResult<M>;
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

async function autoChunks(
  model: ChunkedModel,
  engine: EngineName,
  workers: number | undefined,
  isMeasured: boolean,
): Promise<number> {
  const slots = engine === "serial" ? 1 : (workers ?? usableCores());
  const secondsPerVoxel = isMeasured ? await measureVoxel(model) : unmeasuredVoxelSeconds;
  return chooseChunks(model.signals.voxelCount, slots, secondsPerVoxel);
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

function mapsOver(model: ChunkedModel, outputs: readonly SharedArrayBuffer[]) {
  const maps: Record<string, FittedField> = {};
  for (const [i, { name, width, dtype, units }] of model.outputs.entries()) {
    const data = outputView(dtype, outputs[i]);
    maps[name] = { data, shape: [model.signals.voxelCount, width], units };
  }
  return maps;
}
