/** The tables of a sweep's page. */
import { escapeHtml, formatNumber } from "../../report/html.ts";
import { modelTitles } from "./charts.ts";
import { published, publishedName, publishedSerialSeconds, publishedVoxels } from "./published.ts";
import type { ModelSummary, SeriesSummary } from "./summary.ts";
import { microseconds, percent, perSecond, plusMinus, secondsOf, sideOf } from "./words.ts";

function renderTable(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 ? `<th scope="row">${cell}</th>` : `<td>${cell}</td>`))
      .join("");
  return `<div class="card wide scroll"><table><caption>${caption}</caption><thead><tr>${head.map((cell) => `<th scope="col">${cell}</th>`).join("")}</tr></thead><tbody>${rows.map((row) => `<tr>${line(row)}</tr>`).join("")}</tbody></table></div>`;
}

/** The best of each number of workers, beside what was published. */
export function renderBest(summary: ModelSummary): string {
  const { model, voxels, serial, peerSerial, series } = summary;
  const none = "";
  const alone = (side: string, seconds: typeof serial) =>
    seconds === undefined
      ? []
      : [
          [
            side,
            "1",
            secondsOf(seconds),
            none,
            perSecond(voxels, seconds.median),
            "1",
            "100 %",
          ].concat([none, none]),
        ];
  const ours = series.filter(({ engine }) => engine !== "dipy-ray").map((one) => best(one, voxels));
  const peers = series
    .filter(({ engine }) => engine === "dipy-ray")
    .map((one) => best(one, voxels));
  const [least, most] = publishedSerialSeconds[model];
  const theirs = published[model].map(({ workers, bestSeconds, peak }) => [
    `<i>${escapeHtml(publishedName)}</i>`,
    `${workers}`,
    `${bestSeconds} s`,
    escapeHtml(peak.chunks),
    perSecond(publishedVoxels, bestSeconds),
    `${peak.speedUp}`,
    `${formatNumber(Number((100 * peak.efficiency).toPrecision(3)))} %`,
    none,
    none,
  ]);
  const theirSerial = [
    "<i>the report, serial</i>",
    "1",
    `${least} to ${most} s`,
    none,
    `${perSecond(publishedVoxels, most)} to ${perSecond(publishedVoxels, least)}`,
    "1",
    "100 %",
    none,
    none,
  ];
  return renderTable(
    `The fastest chunk count of each number of workers <small>published rows in italics: other machines, ${formatNumber(publishedVoxels)} voxels</small>`,
    [
      "",
      "workers",
      "time",
      "chunks",
      "voxels/s",
      "speed-up",
      "efficiency",
      "slowest / fastest, from 8 chunks",
      "thread time a chunk",
    ],
    [
      ...alone("Fascicle, serial", serial),
      ...ours,
      ...alone("DIPY, one process, here", peerSerial),
      ...peers,
      theirSerial,
      ...theirs,
    ],
  );
}

function best(series: SeriesSummary, voxels: number): string[] {
  const { fastest, workers, slowestOverFastest, secondsPerChunk } = series;
  return [
    sideOf(series),
    `${workers}`,
    secondsOf(fastest.seconds),
    formatNumber(fastest.chunks),
    perSecond(voxels, fastest.seconds.median),
    plusMinus(fastest.speedUp),
    percent(fastest.efficiency),
    slowestOverFastest === undefined ? "" : plusMinus(slowestOverFastest),
    secondsPerChunk === undefined ? "" : microseconds(secondsPerChunk),
  ];
}

/** Every point: seconds, and speed-up. */
export function renderAll({ model, series }: ModelSummary): string {
  const counts = series.flatMap(({ points }) => points.map(({ chunks }) => chunks));
  const chunks = [...new Set(counts)].sort((a, b) => a - b);
  const head = series.map(
    (one) => `${sideOf(one)}, ${one.workers} ${one.workers === 1 ? "worker" : "workers"}`,
  );
  const rows = chunks.map((count) => [
    formatNumber(count),
    ...series.map(({ points }) => {
      const point = points.find((one) => one.chunks === count);
      return point === undefined
        ? "–"
        : `${secondsOf(point.seconds)} <small>(${plusMinus(point.speedUp)}×)</small>`;
    }),
  ]);
  return renderTable(`${modelTitles[model]}, every chunk count`, ["chunks", ...head], rows);
}
