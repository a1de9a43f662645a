/** Runs a sweep: every point once a round, each round in an order of its own, on a warm pool. */
import type { DwiModel } from "@fascicle/models";
import type { Cluster } from "../../client/connect.ts";
import { type FitOptions, fitChunked } from "../../fit/fitChunked.ts";
import type { DipyRay } from "./dipyRay.ts";
import { OtherWork } from "./otherWork.ts";
import { type Plan, type SweepModel, type SweepPoint, shuffled } from "./points.ts";
import type { SweepRun } from "./record.ts";
import { TimeLeft } from "./timeLeft.ts";

/** The serial engine is warm after so many voxels. */
const warmUpVoxels = 5_000;
const warmUpChunksPerWorker = 64;

export interface SweepTask {
  readonly plan: Plan;
  readonly models: ReadonlyMap<SweepModel, DwiModel>;
  /** Rounds are numbered from 1: those before the first were run earlier. */
  readonly firstRound: number;
  readonly lastRound: number;
  /** Decides the order of each round. */
  readonly seed: number;
  readonly cluster: Cluster | undefined;
  readonly peer: DipyRay | undefined;
  readonly signal: AbortSignal;
  /** A point is about to run. `secondsLeft` is of the whole sweep, NaN until there is a measure. */
  readonly onNext: (next: {
    readonly point: SweepPoint;
    readonly round: number;
    readonly share: number;
    readonly secondsLeft: number;
  }) => void;
  readonly onRun: (run: SweepRun) => Promise<void>;
  readonly onRoundEnd: () => Promise<void>;
}

/** Throws the reason of the signal, or why a fit failed. */
export async function runSweep(task: SweepTask): Promise<void> {
  const { plan, models, firstRound, lastRound, seed, peer, signal } = task;
  const rounds = lastRound - firstRound + 1;
  const timeLeft = new TimeLeft(plan.points, rounds);
  await warmUp(task, timeLeft);
  for (let round = firstRound; round <= lastRound; round++) {
    for (const point of shuffled(plan.points, seed + round)) {
      task.onNext({ point, round, ...timeLeft.now() });
      const model = models.get(point.model)!;
      const isPeer = point.engine === "dipy-ray" || point.engine === "dipy-serial";
      const other = new OtherWork(isPeer ? peer!.session : undefined);
      const seconds = isPeer ? await peer!.time(point, signal) : await timeOurs(task, model, point);
      // Workers of a cluster may be processes of this machine, too.
      const others = point.engine === "cluster" ? undefined : other.share();
      timeLeft.took(point, seconds);
      await task.onRun({
        ...point,
        round,
        seconds: Number(seconds.toFixed(6)),
        voxels: model.signals.voxelCount,
        ...(others === undefined ? {} : { others: Number(others.toFixed(3)) }),
      });
    }
    await task.onRoundEnd();
  }
}

/** From the submission to the last result in place, seconds. */
async function timeOurs(
  { cluster, signal }: Pick<SweepTask, "cluster" | "signal">,
  model: DwiModel,
  { engine, workers, chunks }: SweepPoint,
): Promise<number> {
  const options: FitOptions =
    engine === "serial"
      ? { engine, signal }
      : engine === "cluster"
        ? { engine, cluster, workers, signal }
        : { engine: "local", workers, signal };
  const begunMs = performance.now();
  const fit = await fitChunked(model, chunks, options);
  const seconds = (performance.now() - begunMs) / 1000;
  await fit.release();
  return seconds;
}

/** Threads are started, kernels compiled, and it is known how long a fit takes: all that before the first round. */
async function warmUp(task: SweepTask, timeLeft: TimeLeft): Promise<void> {
  for (const [name, model] of task.models) {
    const own = task.plan.points.filter((point) => point.model === name);
    const ours = own.filter(({ engine }) => engine === "local" || engine === "cluster");
    const voxels = model.signals.voxelCount;
    if (ours.length > 0) {
      const workers = Math.max(...ours.map((point) => point.workers));
      const chunks = Math.min(voxels, warmUpChunksPerWorker * workers);
      const point = { ...ours[0], workers, chunks };
      task.onNext({ point, round: 0, share: 0, secondsLeft: Number.NaN });
      timeLeft.took(point, await timeOurs(task, model, point));
    }
    const few = { ...model.signals, voxelCount: Math.min(voxels, warmUpVoxels) };
    const serial = { model: name, engine: "serial", workers: 1, chunks: 1 } as const;
    await timeOurs(task, { ...model, signals: few }, serial);
  }
}
