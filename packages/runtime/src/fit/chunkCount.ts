/** The number of chunks of a fit, and why it is that. */
import type { ChunkedModel } from "@fascicle/core";
import { counted } from "@fascicle/core";
import { usableCores } from "@fascicle/worker";
import { type Cluster, rejectOnAbort } from "../client/connect.ts";
import { chooseChunks, chunkCosts } from "./autoChunks.ts";
import { measuredVoxelsLeast, measureVoxel, unmeasuredVoxelSeconds } from "./measureVoxel.ts";
import { chunksThatFit } from "./pagedModel.ts";
import type { EngineName } from "./receipt.ts";
import type { ResultsPlan } from "./resultsFor.ts";

export interface ChunkCount {
  readonly chunks: number;
  /** A sentence for the receipt. */
  readonly because: string;
}

export interface ChunkQuestion {
  readonly model: ChunkedModel;
  readonly asked: number | "auto";
  /** Of the interrupted fit that is continued. */
  readonly resumed: number | undefined;
  readonly engine: EngineName;
  readonly cluster: Cluster | undefined;
  readonly workers: number | undefined;
  /** A voxel may never end: it is not tried out here. */
  readonly mayHang: boolean;
  readonly plan: ResultsPlan;
  readonly signal: AbortSignal | undefined;
}

export async function chunkCount(question: ChunkQuestion): Promise<ChunkCount> {
  const { model, asked, resumed, engine, plan } = question;
  if (asked !== "auto") return { chunks: asked, because: "As asked for." };
  if (resumed !== undefined) {
    return { chunks: resumed, because: "As in the interrupted fit." };
  }
  const { voxelCount: voxels } = model.signals;
  const isMeasured = !question.mayHang && voxels >= measuredVoxelsLeast;
  const secondsPerVoxel = isMeasured ? await measureVoxel(model) : unmeasuredVoxelSeconds;
  const workers = await workersFor(question);
  const choice = chooseChunks({ voxels, workers, secondsPerVoxel }, chunkCosts[engine]);
  const chunks = chunksThatFit(model, plan.results, plan.pageBytes, choice.chunks);
  const voxelWords = `${isMeasured ? "A voxel took" : "A voxel was taken to take"} ${duration(secondsPerVoxel)}`;
  if (chunks > choice.chunks) {
    return { chunks, because: `${voxelWords}; larger chunks do not fit in the object memory.` };
  }
  const chunkSeconds = (voxels / chunks) * secondsPerVoxel;
  const costs = `chunks of ${duration(chunkSeconds)} cost ${percent(choice.overhead)}, and waiting for the last ones ${percent(Math.min(1, choice.tail))} at most`;
  return { chunks, because: `${voxelWords}: on ${counted(workers, "worker")} ${costs}.` };
}

/** Slots that the fit will have, as far as one can know. Rejects with the reason of the signal. */
async function workersFor({ engine, cluster, workers, signal }: ChunkQuestion): Promise<number> {
  if (engine === "serial") return 1;
  if (engine === "local" || cluster === undefined) return workers ?? usableCores();
  const most = workers ?? Number.POSITIVE_INFINITY;
  try {
    const { slots } = await Promise.race([cluster.status(), rejectOnAbort(signal)]);
    if (slots.total > 0) return Math.min(most, slots.total);
  } catch (error) {
    if (signal?.aborted) throw error;
    // The head is away; the fit waits for it, its chunks need not.
  }
  return Math.min(most, usableCores());
}

const duration = (seconds: number) =>
  seconds < 1e-3 ? `${short(1e6 * seconds)} µs` : `${short(1e3 * seconds)} ms`;

const percent = (share: number) => `${short(100 * share)} %`;

/** With two digits at least, and no exponent. */
const short = (value: number) =>
  String(value < 100 ? Number(value.toPrecision(2)) : Math.round(value));
