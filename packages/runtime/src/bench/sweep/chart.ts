/** Line charts as SVG that needs no style sheet: lines differ in dash and marker, not in colour alone. */
import { escapeHtml } from "../../report/html.ts";
import { type Axis, placeOn } from "./axis.ts";

/** `ours` is drawn full, `peer` (measured here) dotted, `published` (elsewhere) dashed and thin. */
export type SeriesKind = "ours" | "peer" | "published";

export interface ChartSeries {
  readonly kind: SeriesKind;
  /** Its place among those of its kind: decides colour and marker. */
  readonly index: number;
  /** In the key; those of one kind with the same words share an entry. */
  readonly label: string;
  /** At the end of the line. */
  readonly mark: string;
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    /** One standard error; NaN or missing where it is not known. */
    readonly error?: number;
  }[];
}

export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly ChartSeries[];
  /** A line across, such as that of the serial run. */
  readonly level?: { readonly at: number; readonly label: string };
}

export const chartWidth = 440;
const frame = { left: 48, right: 404, top: 12, bottom: 252 };
const keyTop = 302;
const keyRow = 17;

const colours: Readonly<Record<SeriesKind, readonly string[]>> = {
  ours: ["#0b4a7a", "#5aa0cf", "#2f7d4f", "#123524", "#5b4a9c", "#2a1f5c", "#333333", "#000000"],
  peer: ["#8c1d5c", "#c0568f", "#5e0f3c"],
  published: ["#b9762f"],
};
const strokes: Readonly<Record<SeriesKind, string>> = {
  ours: 'stroke-width="2"',
  peer: 'stroke-width="1.6" stroke-dasharray="1.5 3" stroke-linecap="round"',
  published: 'stroke-width="1.1" stroke-dasharray="5 3"',
};

const colourOf = ({ kind, index }: ChartSeries) => colours[kind][index % colours[kind].length];
const round = (value: number) => Number(value.toFixed(1));

export function chartHeight({ series }: Chart): number {
  return keyTop + keyRow * keyOf(series).length;
}

/** An `svg` element of its own. */
export function renderChart(chart: Chart): string {
  const height = chartHeight(chart);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${chartWidth} ${height}" role="img" aria-label="${escapeHtml(chart.title)}" font-family="system-ui,-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">${renderChartInside(chart)}</svg>`;
}

/** What stands in the `svg` element, for a picture of several charts. */
export function renderChartInside(chart: Chart): string {
  return [
    renderAxes(chart),
    ...chart.series.map((series) => renderSeries(chart, series)),
    renderMarks(chart),
    renderKey(chart),
  ].join("\n");
}

const xOf = ({ x }: Chart, value: number) =>
  round(frame.left + placeOn(x, value) * (frame.right - frame.left));
const yOf = ({ y }: Chart, value: number) =>
  round(frame.bottom - placeOn(y, value) * (frame.bottom - frame.top));

function text(x: number, y: number, words: string, more = ""): string {
  return `<text x="${round(x)}" y="${round(y)}" font-size="12" fill="#3a4652" stroke="#fff" stroke-width="3" paint-order="stroke" ${more}>${escapeHtml(words)}</text>`;
}

function renderAxes(chart: Chart): string {
  const { x, y, level } = chart;
  const { left, right, top, bottom } = frame;
  const rows = y.ticks.map(({ at, label }) => {
    const place = yOf(chart, at);
    return `<path d="M${left} ${place}H${right}" stroke="#e3e7eb"/>${text(left - 6, place + 4, label, 'text-anchor="end"')}`;
  });
  const columns = x.ticks.map(({ at, label }) => {
    const place = xOf(chart, at);
    return `<path d="M${place} ${bottom}v4" stroke="#8794a0"/>${text(place, bottom + 17, label, 'text-anchor="middle"')}`;
  });
  const across =
    level === undefined
      ? ""
      : `<path d="M${left} ${yOf(chart, level.at)}H${right}" stroke="#6b7783" stroke-width="1.2"/>${text(right - 4, yOf(chart, level.at) - 4, level.label, 'text-anchor="end" font-style="italic"')}`;
  return `${rows.join("")}${columns.join("")}<path d="M${left} ${top}V${bottom}H${right}" stroke="#8794a0" fill="none"/>${across}${text((left + right) / 2, bottom + 34, x.label, 'text-anchor="middle"')}`;
}

function renderSeries(chart: Chart, series: ChartSeries): string {
  const { kind, points } = series;
  const colour = colourOf(series);
  const places = points.map((point) => [xOf(chart, point.x), yOf(chart, point.y)] as const);
  const line = places.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x} ${y}`).join("");
  const bars = points.flatMap(({ x, y, error }) => {
    if (error === undefined || !(error > 0)) return [];
    const at = xOf(chart, x);
    const [low, high] = [yOf(chart, y - error), yOf(chart, y + error)];
    return [`M${at} ${low}V${high}M${round(at - 3)} ${low}h6M${round(at - 3)} ${high}h6`];
  });
  const markers = places.map(([x, y]) => renderMarker(series, x, y));
  return `<path d="${line}" fill="none" stroke="${colour}" stroke-linejoin="round" ${strokes[kind]}/>${bars.length > 0 ? `<path d="${bars.join("")}" stroke="${colour}" fill="none"/>` : ""}${markers.join("")}`;
}

/** Circle, square, triangle, diamond; hollow unless ours. */
function renderMarker(series: ChartSeries, x: number, y: number): string {
  const colour = colourOf(series);
  const fill = series.kind === "ours" ? colour : "#fff";
  const r = series.kind === "published" ? 2 : 3.4;
  const shapes = [
    `M${round(x - r)} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
    `M${round(x - r)} ${round(y - r)}h${2 * r}v${2 * r}h${-2 * r}Z`,
    `M${x} ${round(y - 1.3 * r)}L${round(x + 1.2 * r)} ${round(y + r)}H${round(x - 1.2 * r)}Z`,
    `M${x} ${round(y - 1.4 * r)}L${round(x + 1.4 * r)} ${y}L${x} ${round(y + 1.4 * r)}L${round(x - 1.4 * r)} ${y}Z`,
  ];
  const shape = series.kind === "published" ? shapes[0] : shapes[series.index % shapes.length];
  return `<path d="${shape}" fill="${fill}" stroke="${colour}"/>`;
}

/** Lines that end this near to each other have their words in one column. */
const columnWidth = 40;
const markGap = 11;

/** Words at the lines' ends. */
function renderMarks(chart: Chart): string {
  const marks = chart.series.map((series) => {
    const last = series.points[series.points.length - 1];
    return { series, x: xOf(chart, last.x), y: yOf(chart, last.y) };
  });
  const columns = new Map<number, typeof marks>();
  for (const mark of marks) {
    const column = [...columns.keys()].find((x) => Math.abs(x - mark.x) < columnWidth) ?? mark.x;
    columns.set(column, [...(columns.get(column) ?? []), mark]);
  }
  return [...columns.values()]
    .flatMap((column) => {
      const places = apart(column.map(({ y }) => y));
      return column.map(({ series, x }, i) => {
        const weight = series.kind === "ours" ? 'font-weight="700"' : "";
        return `<text x="${round(x + 7)}" y="${round(places[i] + 4)}" font-size="11" fill="${colourOf(series)}" ${weight}>${escapeHtml(series.mark)}</text>`;
      });
    })
    .join("");
}

/** Heights in their order, moved so that words there do not cover each other, and none is below the frame. */
function apart(heights: readonly number[]): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
  const places = [...heights];
  for (const [rank, i] of order.entries()) {
    if (rank > 0) places[i] = Math.max(places[i], places[order[rank - 1]] + markGap);
  }
  let lowest = frame.bottom + 4;
  for (const i of order.reverse()) {
    places[i] = Math.min(places[i], lowest);
    lowest = places[i] - markGap;
  }
  return places;
}

function keyOf(series: readonly ChartSeries[]): ChartSeries[] {
  const isFirst = (one: ChartSeries, i: number) =>
    series.findIndex((other) => other.kind === one.kind && other.label === one.label) === i;
  return series.filter(isFirst);
}

function renderKey({ series }: Chart): string {
  return keyOf(series)
    .map((one, i) => {
      const y = keyTop + keyRow * i;
      const line = `<path d="M8 ${y}h30" stroke="${colourOf(one)}" fill="none" ${strokes[one.kind]}/>`;
      return `${line}${renderMarker(one, 23, y)}${text(46, y + 4, one.label)}`;
    })
    .join("");
}
