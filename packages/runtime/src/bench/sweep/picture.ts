/** Speed-up against chunks of all models, as a picture of its own. */
import { escapeHtml } from "../../report/html.ts";
import { type Chart, chartHeight, chartWidth, renderChartInside } from "./chart.ts";
import { chunkChart, modelTitles } from "./charts.ts";
import type { SweepRecord } from "./record.ts";
import { summarise } from "./summary.ts";

const titleHeight = 30;
const margin = 10;

/** An SVG file on white, the models side by side. */
export function renderSpeedUpPicture(record: SweepRecord): string {
  const panels = summarise(record).map((summary) => ({
    title: `${modelTitles[summary.model]}: speed-up over serial`,
    chart: chunkChart(summary, "speedUp"),
  }));
  const width = panels.length * chartWidth + 2 * margin;
  const height = titleHeight + Math.max(...panels.map(({ chart }) => chartHeight(chart)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui,-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif"><title>Speed-up over the serial run against the chunk count</title><rect width="${width}" height="${height}" fill="#fff"/>
${panels.map(renderPanel).join("\n")}
</svg>
`;
}

function renderPanel({ title, chart }: { title: string; chart: Chart }, index: number): string {
  return `<g transform="translate(${margin + index * chartWidth} ${titleHeight})"><text x="48" y="-10" font-size="15" font-weight="650" fill="#16202a">${escapeHtml(title)}</text>${renderChartInside(chart)}</g>`;
}
