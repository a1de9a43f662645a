/** The page of a sweep: one file, no network, no scripts. */
import { escapeHtml, formatBytes, formatNumber } from "../../report/html.ts";
import { style } from "../../report/style.ts";
import { caveatsOf } from "./caveats.ts";
import { type Chart, renderChart } from "./chart.ts";
import { chunkChart, modelTitles, peakChart, type QuantityName } from "./charts.ts";
import { publishedMachine, publishedVoxels } from "./published.ts";
import type { SweepRecord } from "./record.ts";
import { type ModelSummary, summarise } from "./summary.ts";
import { renderAll, renderBest } from "./tables.ts";
import { percent, perSecond, plusMinus, secondsOf } from "./words.ts";

/** Always light: plots are looked at on paper, too. */
const sweepStyle = `:root{color-scheme:light;--page:#f6f7f8;--card:#fff;--ink:#16202a;--soft:#4d5a66;--line:#dde2e7;--accent:#1c6ea4}
.chart svg{display:block;width:100%;max-width:560px;margin:0 auto}.scroll table{min-width:max-content}
.caveats{max-width:85ch;padding-left:20px;margin:14px 0 0}.caveats li{margin:0 0 9px}table i{color:#8a5417}
td,th{padding-left:18px}td small{color:var(--soft)}`;

/** The same record gives the same bytes. */
export function renderSweepPage(record: SweepRecord): string {
  const summaries = summarise(record).filter(({ series }) => series.length > 0);
  const title = "Sweep: fit time against chunks and workers";
  const lead = `The experiment of the report that Fascicle began with, done again: the same fit in 2 to the power of ${record.minChunks} to ${record.maxChunks} chunks, on ${list(record.workers)} ${record.engine === "cluster" ? "slots of a cluster" : "threads"}. Beside it, dashed, what the report published: DIPY on Ray, ${formatNumber(publishedVoxels)} voxels, ${publishedMachine}.`;
  const begun = `${record.begunAt.slice(0, 10)}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title><style>${style}${sweepStyle}</style></head>
<body><main><header><h1>${title}</h1><p class="lead">${escapeHtml(lead)}</p>
<dl class="facts">${factsOf(record)}</dl></header>
${summaries.map(renderModel).join("\n")}
${summaries.length > 0 ? renderPeaks(summaries) : ""}
<section><h2>What these figures are, and what they are not</h2><ul class="caveats">${caveatsOf(
    record,
  )
    .map((sentence) => `<li>${escapeHtml(sentence)}</li>`)
    .join("")}</ul></section>
${summaries.length > 0 ? `<section><h2>All points</h2><p class="lead">Median seconds ± standard deviation, and the speed-up over the baseline of the same side.</p><div class="grid">${summaries.map(renderAll).join("")}</div></section>` : ""}
${renderProvenance(record)}
<footer>Measured ${begun}. Every run is in sweep.csv, everything else in sweep.json.</footer>
</main></body></html>
`;
}

const list = (counts: readonly number[]) =>
  counts.length === 1 ? `${counts[0]}` : `${counts.slice(0, -1).join(", ")} and ${counts.at(-1)}`;

function fact(label: string, value: string): string {
  return `<div><dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd></div>`;
}

function factsOf({ machine, runs, models, engine, hosts }: SweepRecord): string {
  const slots = hosts.reduce((sum, host) => sum + host.slots, 0);
  const cores =
    engine === "cluster"
      ? fact("Hosts, slots", `${hosts.length}, ${slots}`)
      : fact("Physical cores, threads", `${machine.physicalCores}, ${machine.logicalCores}`);
  const rounds = runs.reduce((last, { round }) => Math.max(last, round), 0);
  return [
    cores,
    ...models.map(({ name, voxels }) => fact(`${modelTitles[name]}, voxels`, formatNumber(voxels))),
    fact("Runs, rounds", `${formatNumber(runs.length)}, ${rounds}`),
  ].join("");
}

function figure(chart: Chart, name: string, description: string): string {
  return `<figure class="chart"><figcaption><h3>${escapeHtml(name)}</h3><p>${escapeHtml(description)}</p></figcaption>${renderChart(chart)}</figure>`;
}

function renderModel(summary: ModelSummary): string {
  const figures: readonly [QuantityName, string, string][] = [
    ["shareOfSerial", "Time, % of serial", "median of the runs; lower is better"],
    ["speedUp", "Speed-up", "serial time over time; higher is better"],
    ["rate", "Voxels per second", "absolute: other machines, scans and kernels"],
    ["efficiency", "Efficiency", "speed-up for each worker; 100 % is all that there is"],
  ];
  const drawn = figures.map(([name, title, words]) =>
    figure(chunkChart(summary, name), title, words),
  );
  return `<section><h2>${modelTitles[summary.model]}</h2><p class="lead">${escapeHtml(inShort(summary))}</p>
<div class="grid">${drawn.join("\n")}
${renderBest(summary)}</div></section>`;
}

/** The sentence that a hurried reader reads. */
function inShort({ voxels, serial, series }: ModelSummary): string {
  const ours = series.filter(({ engine }) => engine !== "dipy-ray");
  const most = ours.at(-1);
  if (serial === undefined || most === undefined) return "";
  const { fastest, workers, slowestOverFastest } = most;
  const flat =
    slowestOverFastest === undefined
      ? ""
      : ` From 8 chunks on, the slowest count took ${plusMinus(slowestOverFastest)} times as long as the fastest.`;
  return `Serial: ${secondsOf(serial)}, ${perSecond(voxels, serial.median)} voxels/s. With ${workers} ${workers === 1 ? "worker" : "workers"} at best ${secondsOf(fastest.seconds)} (${perSecond(voxels, fastest.seconds.median)} voxels/s, ${formatNumber(fastest.chunks)} chunks): ${plusMinus(fastest.speedUp)} times as fast, efficiency ${percent(fastest.efficiency)}.${flat}`;
}

function renderPeaks(summaries: readonly ModelSummary[]): string {
  const efficiency = figure(
    peakChart(summaries, "efficiency"),
    "Peak efficiency",
    "a flat line at 100 % would be ideal",
  );
  const rate = figure(
    peakChart(summaries, "rate"),
    "Most voxels per second",
    "absolute: other machines, scans and kernels",
  );
  return `<section><h2>More workers</h2><p class="lead">What the fastest chunk count gives, as there are more workers.</p><div class="grid">${efficiency}${rate}</div></section>`;
}

function renderProvenance({ commands, machine, peer, models, seed }: SweepRecord): string {
  const { processor, system, memoryBytes, node, version, kernels } = machine;
  const rows: [string, string][] = [
    ...commands.map((command): [string, string] => ["Command", command]),
    ["Machine", `${processor}, ${formatBytes(memoryBytes)}, ${system}`],
    ["Versions", `Fascicle ${version}, Node ${node}, kernels ${kernels}`],
    ...(peer === null
      ? []
      : [
          ["Peer", `DIPY ${peer.dipy}, Ray ${peer.ray}, Python ${peer.python}`] as [string, string],
        ]),
    ["Seed", `${seed}`],
    ...models.flatMap(({ inputs }) =>
      inputs.map((sha256): [string, string] => ["Input, sha256", sha256]),
    ),
  ];
  const entries = rows.map(
    ([label, value]) => `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`,
  );
  return `<section><h2>Provenance</h2><div class="grid"><div class="card wide"><dl class="sources">${entries.join("")}</dl></div></div></section>`;
}
