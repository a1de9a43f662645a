/** The report page. */
import type { ErrorTable } from "./errors.ts";
import { renderFigure } from "./figures.ts";
import { escapeHtml, formatBytes, formatNumber, formatSeconds, formatUnits } from "./html.ts";
import type { ReportInput, ReportReceipt, ReportSection } from "./input.ts";
import { renderPlot } from "./plots.ts";
import { style } from "./style.ts";

/**
 * One HTML file that needs nothing else: no network, no fonts, no scripts; pictures are inside. The
 * same input gives the same bytes.
 */
export function renderReport(input: ReportInput): string {
  const facts = input.facts.map(({ label, value }) => pair(label, value)).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeHtml(input.title)}</title><style>${style}</style></head>
<body><main><header><h1>${escapeHtml(input.title)}</h1><p class="lead">${escapeHtml(input.lead)}</p>
<dl class="facts">${facts}</dl></header>
${input.sections.map(renderSection).join("\n")}
${renderProvenance(input)}
<footer>Slices are shown the radiological way: the patient’s right (R) is on the left of axial and coronal pictures; A front, P back, S up, I down.</footer>
</main></body></html>
`;
}

function pair(label: string, value: string): string {
  return `<div><dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd></div>`;
}

function renderSection(section: ReportSection): string {
  const warnings = (section.warnings ?? []).map(
    (warning) => `<p class="warning">${escapeHtml(warning)}</p>`,
  );
  const cards = section.items.map((item) =>
    item.kind === "errors" ? renderErrors(item) : renderFigure(item),
  );
  if (section.receipt !== undefined) {
    // Half a row where a half is free, so that no gap is left.
    const halves = section.items.filter(({ kind }) => kind !== "glyphs").length;
    cards.push(renderReceipt(section.receipt, halves % 2 === 1));
  }
  return `<section><h2>${escapeHtml(section.title)}</h2><p class="lead">${escapeHtml(section.lead)}</p>
${warnings.join("")}<div class="grid">${cards.join("\n")}</div></section>`;
}

function renderErrors(table: ErrorTable): string {
  const matched = table.matchedLabel;
  const head = ["", "voxels", "median", "95 %", ...(matched === undefined ? [] : [matched])];
  const rows = table.rows.map((row) => {
    const cells = [formatNumber(row.voxels), formatNumber(row.median), formatNumber(row.p95)];
    if (matched !== undefined) {
      cells.push(row.matched === undefined ? "–" : formatShare(row.matched));
    }
    return `<tr><th scope="row">${escapeHtml(row.label)}</th>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  });
  const units = formatUnits(table.units);
  return `<div class="card scroll"><table><caption>${escapeHtml(table.title)}${units && ` <small>in ${escapeHtml(units)}</small>`}</caption>
<thead><tr>${head.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join("")}</tr></thead><tbody>${rows.join("")}</tbody></table>${table.plot === undefined ? "" : renderPlot(table.plot, units)}</div>`;
}

function formatShare(share: number): string {
  return `${formatNumber(Math.round(1000 * share) / 10)} %`;
}

/** Where the workers' time went, and the counts that tell of trouble. */
function renderReceipt(receipt: ReportReceipt, half: boolean): string {
  const { seconds = {} } = receipt;
  const shares = receipt.workers === undefined ? "" : renderTimes(receipt.workers, seconds);
  const pairs: [string, string | undefined][] = [
    ["Wall time", optional(seconds.total, formatSeconds)],
    ["Voxels", optional(receipt.voxels, formatNumber)],
    ["Voxels per second", optional(receipt.voxelsPerSecond, formatNumber)],
    ["Efficiency", optional(receipt.efficiency, formatShare)],
    ["Engine", receipt.engine],
    ["Workers", optional(receipt.workers, formatNumber)],
    ["Physical cores", optional(receipt.physicalCores, formatNumber)],
    ["Chunks", optional(receipt.chunks, formatNumber)],
    ["Tail", optional(seconds.tail, formatSeconds)],
    ["Attempts", counts(receipt.attempts)],
    ["Peak memory", optional(receipt.peakBytes?.memory, formatBytes)],
    ["Spilled", optional(receipt.peakBytes?.spill, formatBytes)],
    ["Left on disk", optional(receipt.bytesLeft, formatBytes)],
    ["Voxels by status", counts(receipt.voxelsByStatus)],
  ];
  const shown = pairs.flatMap(([label, value]) =>
    value === undefined ? [] : [pair(label, value)],
  );
  return `<div class="card${half ? "" : " wide"}"><h3>Where the time went</h3>${shares}<dl class="pairs">${shown.join("")}</dl></div>`;
}

/** Computing, copying and the rest as shares of all workers' time. */
function renderTimes(workers: number, seconds: Readonly<Record<string, number>>): string {
  const { total, compute, copy = 0 } = seconds;
  if (!(total > 0) || compute === undefined) return "";
  const share = (value: number) => Math.min(1, value / (workers * total));
  const idle = Math.max(0, 1 - share(compute) - share(copy));
  const part = (colour: string, value: number) =>
    `<i style="width:${(100 * value).toFixed(2)}%;background:var(--${colour})"></i>`;
  const key = (colour: string, label: string, value: number) =>
    `<span><b style="background:var(--${colour})"></b>${label} ${formatShare(value)}</span>`;
  return `<div class="key">${key("compute", "computing", share(compute))}${key("copy", "copying", share(copy))}${key("idle", "idle", idle)}</div>
<div class="stack">${part("compute", share(compute))}${part("copy", share(copy))}</div>`;
}

function optional(
  value: number | undefined,
  format: (value: number) => string,
): string | undefined {
  return value === undefined ? undefined : format(value);
}

function counts(values: Readonly<Record<string, number>> | undefined): string | undefined {
  if (values === undefined) return undefined;
  const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return Object.entries(values)
    .filter(([, count], i) => count > 0 || i === 0)
    .map(([name, count]) => `${formatNumber(count)} ${words(name)}`)
    .join(", ");
}

function renderProvenance({ provenance }: ReportInput): string {
  if (provenance.length === 0) return "";
  const cards = provenance.map(({ heading, rows }) => {
    const list = rows.map(
      ({ label, value }) => `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`,
    );
    return `<div class="card wide"><h3>${escapeHtml(heading)}</h3><dl class="sources">${list.join("")}</dl></div>`;
  });
  return `<section><h2>Provenance</h2><p class="lead">What went in and how, so that the fit can be repeated.</p><div class="grid">${cards.join("")}</div></section>`;
}
