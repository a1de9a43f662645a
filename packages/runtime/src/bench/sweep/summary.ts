/** From runs to medians, speed-ups, efficiencies, and what a chunk costs. */
import type { SweepEngine, SweepModel } from "./points.ts";
import type { SweepRecord, SweepRun } from "./record.ts";
import { type Measured, ratio, scaled, type Timing, timing } from "./statistics.ts";

export interface PointSummary {
  readonly chunks: number;
  readonly seconds: Timing;
  /** Over the baseline of its side. */
  readonly speedUp: Measured;
  /** Speed-up for each worker. */
  readonly efficiency: Measured;
  /** Of the baseline's time. */
  readonly shareOfSerial: Measured;
}

/** One engine with one number of workers. */
export interface SeriesSummary {
  readonly engine: SweepEngine;
  readonly workers: number;
  /** By rising chunk count. */
  readonly points: readonly PointSummary[];
  readonly fastest: PointSummary;
  /** The slowest over the fastest, of those from 2^3 chunks on that give every worker at least two. */
  readonly slowestOverFastest: Measured | undefined;
  /** Extra thread time for each chunk, seconds: of the most chunks against the fastest of fewer. */
  readonly secondsPerChunk: Measured | undefined;
}

export interface ModelSummary {
  readonly model: SweepModel;
  readonly voxels: number;
  readonly serial: Timing | undefined;
  readonly peerSerial: Timing | undefined;
  readonly series: readonly SeriesSummary[];
}

/** Where other processes took more of the machine than this, a run is disturbed. */
export const disturbedFrom = 0.05;

/** Runs that count: the undisturbed ones of each point, or all where it has none. */
export function runsThatCount(runs: readonly SweepRun[]): SweepRun[] {
  const isDisturbed = ({ others = 0 }: SweepRun) => others > disturbedFrom;
  const nameOf = ({ model, engine, workers, chunks }: SweepRun) =>
    `${model} ${engine} ${workers} ${chunks}`;
  const quiet = new Set(runs.filter((run) => !isDisturbed(run)).map(nameOf));
  return runs.filter((run) => !isDisturbed(run) || !quiet.has(nameOf(run)));
}

/** What has no run yet is left out. */
export function summarise(record: SweepRecord): ModelSummary[] {
  const { models } = record;
  const runs = runsThatCount(record.runs);
  return models.map(({ name, voxels }) => {
    const own = runs.filter(({ model }) => model === name);
    const serial = timingOf(own.filter(({ engine }) => engine === "serial"));
    const peerSerial = timingOf(own.filter(({ engine }) => engine === "dipy-serial"));
    const series = [
      ...(serial ? seriesOf(own, ["local", "cluster"], serial) : []),
      ...(peerSerial ? seriesOf(own, ["dipy-ray"], peerSerial) : []),
    ];
    return { model: name, voxels, serial, peerSerial, series };
  });
}

function timingOf(runs: readonly SweepRun[]): Timing | undefined {
  return runs.length === 0 ? undefined : timing(runs.map(({ seconds }) => seconds));
}

function seriesOf(
  runs: readonly SweepRun[],
  engines: readonly SweepEngine[],
  serial: Timing,
): SeriesSummary[] {
  return engines.flatMap((engine) => {
    const ofEngine = runs.filter((run) => run.engine === engine);
    return distinct(ofEngine.map(({ workers }) => workers)).map((workers) => {
      const ofWorkers = ofEngine.filter((run) => run.workers === workers);
      const points = distinct(ofWorkers.map(({ chunks }) => chunks)).map((chunks) => {
        const seconds = timingOf(ofWorkers.filter((run) => run.chunks === chunks))!;
        const speedUp = ratio(serial, seconds);
        const efficiency = scaled(speedUp, 1 / workers);
        return { chunks, seconds, speedUp, efficiency, shareOfSerial: ratio(seconds, serial) };
      });
      return { engine, workers, points, fastest: fastestOf(points), ...costsOf(points, workers) };
    });
  });
}

function costsOf(points: readonly PointSummary[], workers: number) {
  const even = points.filter(({ chunks }) => chunks >= Math.max(8, 2 * workers));
  if (even.length < 2) return { slowestOverFastest: undefined, secondsPerChunk: undefined };
  const byTime = [...even].sort((a, b) => a.seconds.median - b.seconds.median);
  const last = even[even.length - 1];
  const fewer = fastestOf(even.slice(0, -1));
  const extra = last.seconds.median - fewer.seconds.median;
  const factor = workers / (last.chunks - fewer.chunks);
  return {
    slowestOverFastest: ratio(byTime[byTime.length - 1].seconds, byTime[0].seconds),
    secondsPerChunk: {
      value: extra * factor,
      error: Math.hypot(last.seconds.deviation, fewer.seconds.deviation) * factor,
    },
  };
}

function fastestOf(points: readonly PointSummary[]): PointSummary {
  return points.reduce((best, point) =>
    point.seconds.median < best.seconds.median ? point : best,
  );
}

const distinct = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);
