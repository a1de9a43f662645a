/** The charts of a sweep, with the published figures beside ours. */
import { type Axis, decadeAxis, log2Axis, shareAxis } from "./axis.ts";
import type { Chart, ChartSeries } from "./chart.ts";
import type { SweepModel } from "./points.ts";
import { type PublishedSeries, published, publishedChunks, publishedVoxels } from "./published.ts";
import type { Measured } from "./statistics.ts";
import type { ModelSummary, PointSummary, SeriesSummary } from "./summary.ts";

export const modelTitles: Readonly<Record<SweepModel, string>> = {
  csd: "CSD",
  freewater: "Free-water DTI",
};

const publishedLabel = "published elsewhere: DIPY on Ray, processors at the line";

/** `32768` as `32k`. */
export const shortCount = (count: number) => (count >= 1024 ? `${count / 1024}k` : `${count}`);

/** `4×`, `1/4×`. */
const times = (value: number) => (value >= 1 ? `${value}×` : `1/${1 / value}×`);
const perThousand = (value: number) => (value >= 1000 ? `${value / 1000}k` : `${value}`);
const perCent = (value: number) => `${Number((100 * value).toPrecision(2))} %`;

interface Quantity {
  readonly title: string;
  readonly ours: (point: PointSummary, voxels: number) => Measured;
  /** From a published speed-up. */
  readonly published: (speedUp: number, series: PublishedSeries) => number;
  readonly axis: (values: readonly number[]) => Axis;
  readonly level?: Chart["level"];
}

const quantities: Readonly<Record<"rate" | "shareOfSerial" | "speedUp" | "efficiency", Quantity>> =
  {
    rate: {
      title: "voxels per second",
      ours: ({ seconds: { median, deviation } }, voxels) => ({
        value: voxels / median,
        error: (voxels * deviation) / median ** 2,
      }),
      // Their serial time is what the best time and its speed-up say.
      published: (speedUp, { bestSeconds, peak }) =>
        (publishedVoxels * speedUp) / (bestSeconds * peak.speedUp),
      axis: (values) => decadeAxis("voxels per second", values, perThousand),
    },
    shareOfSerial: {
      title: "time as a share of the serial run",
      ours: ({ shareOfSerial }) => shareOfSerial,
      published: (speedUp) => 1 / speedUp,
      axis: (values) => decadeAxis("time, % of serial", values.concat(1), perCent),
      level: { at: 1, label: "serial" },
    },
    speedUp: {
      title: "speed-up over the serial run",
      ours: ({ speedUp }) => speedUp,
      published: (speedUp) => speedUp,
      axis: (values) => log2Axis("speed-up", values, times),
      level: { at: 1, label: "serial" },
    },
    efficiency: {
      title: "efficiency: speed-up for each worker",
      ours: ({ efficiency }) => efficiency,
      published: (speedUp, { workers }) => speedUp / workers,
      axis: (values) => shareAxis("efficiency", values),
      level: { at: 1, label: "each worker as fast as the serial run" },
    },
  };

export type QuantityName = keyof typeof quantities;

/** One quantity of one model against the chunk count. */
export function chunkChart(summary: ModelSummary, name: QuantityName): Chart {
  const { title, ours, published: ofPublished, axis, level } = quantities[name];
  const theirs = published[summary.model].map((series, index) => ({
    kind: "published" as const,
    index,
    label: publishedLabel,
    mark: `${series.workers}`,
    points: series.speedUps.map((speedUp, i) => ({
      x: publishedChunks[i],
      y: ofPublished(speedUp, series),
    })),
  }));
  const here = summary.series.map((series) => ({
    ...lineOf(summary, series),
    points: series.points.map((point) => {
      const { value, error } = ours(point, summary.voxels);
      return { x: point.chunks, y: value, error };
    }),
  }));
  const series = [...theirs, ...here];
  return {
    title: `${modelTitles[summary.model]}: ${title}`,
    x: log2Axis("chunks", xsOf(series), shortCount, 8),
    y: axis(ysOf(series)),
    series,
    level,
  };
}

/** What the fastest chunk count gives, against the workers; a line for each model and side. */
interface Peak {
  readonly title: string;
  readonly ours: (fastest: PointSummary, voxels: number) => Measured;
  readonly published: (series: PublishedSeries) => number;
  readonly axis: (values: readonly number[]) => Axis;
  readonly level?: Chart["level"];
}

const peaks: Readonly<Record<"efficiency" | "rate", Peak>> = {
  efficiency: {
    title: "peak efficiency against workers",
    ours: ({ efficiency }) => efficiency,
    published: ({ peak }) => peak.efficiency,
    axis: quantities.efficiency.axis,
    level: quantities.efficiency.level,
  },
  rate: {
    title: "most voxels per second against workers",
    ours: quantities.rate.ours,
    published: ({ bestSeconds }) => publishedVoxels / bestSeconds,
    axis: quantities.rate.axis,
  },
};

export function peakChart(summaries: readonly ModelSummary[], name: keyof typeof peaks): Chart {
  const peak = peaks[name];
  const series = summaries.flatMap((summary, index): ChartSeries[] => {
    const title = modelTitles[summary.model];
    const of = (kind: "ours" | "peer") => {
      const lines = summary.series.filter(({ engine }) => kindOf(engine) === kind);
      return lines.map(({ workers, fastest }) => {
        const { value, error } = peak.ours(fastest, summary.voxels);
        return { x: workers, y: value, error };
      });
    };
    const theirs = published[summary.model].map((one) => ({
      x: one.workers,
      y: peak.published(one),
    }));
    const mark = title.split(" ")[0];
    return [
      { kind: "published", index, label: "published elsewhere: DIPY on Ray", mark, points: theirs },
      { kind: "peer", index, label: `${title}, DIPY on Ray here`, mark, points: of("peer") },
      { kind: "ours", index, label: `${title}, here`, mark, points: of("ours") },
    ];
  });
  const drawn = series.filter(({ points }) => points.length > 0);
  return {
    title: peak.title,
    x: log2Axis("workers (published: processors)", xsOf(drawn), String),
    y: peak.axis(ysOf(drawn)),
    series: drawn,
    level: peak.level,
  };
}

const kindOf = (engine: SeriesSummary["engine"]) => (engine === "dipy-ray" ? "peer" : "ours");

function lineOf(summary: ModelSummary, { engine, workers }: SeriesSummary) {
  const kind = kindOf(engine);
  const alike = summary.series.filter((other) => kindOf(other.engine) === kind);
  // The most workers come first: theirs is the darkest line.
  const index = alike.filter((other) => other.workers > workers).length;
  const count = `${workers} ${workers === 1 ? "worker" : "workers"}`;
  const label = kind === "ours" ? `here: ${count}` : `here: DIPY on Ray, ${count}`;
  return { kind, index, label, mark: kind === "ours" ? `${workers}` : `Ray ${workers}` } as const;
}

const xsOf = (series: readonly ChartSeries[]) =>
  series.flatMap(({ points }) => points.map(({ x }) => x));
const ysOf = (series: readonly ChartSeries[]) =>
  series.flatMap(({ points }) => points.map(({ y }) => y));
