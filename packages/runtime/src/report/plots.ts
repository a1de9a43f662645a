/** Small plots, drawn as SVG. */
import { rampColour } from "./colours.ts";
import type { Density, Histogram } from "./errors.ts";
import { escapeHtml, formatNumber } from "./html.ts";
import { pngDataUri } from "./png.ts";

export function renderPlot(plot: Density | Histogram, units: string): string {
  return `<div class="plot">${plot.kind === "density" ? renderDensity(plot) : renderHistogram(plot, units)}</div>`;
}

/** True values to the right, fitted ones up; brightness is the logarithm of the count. */
function renderDensity({ bins, counts, window }: Density): string {
  const rgba = new Uint8Array(4 * bins * bins);
  const most = Math.log1p(counts.reduce((a, b) => Math.max(a, b), 1));
  counts.forEach((count, i) => {
    rgba.set(
      rampColour("ember", count === 0 ? 0 : 0.18 + (0.82 * Math.log1p(count)) / most),
      4 * i,
    );
    rgba[4 * i + 3] = 255;
  });
  const image = pngDataUri({ width: bins, height: bins, rgba });
  const [low, high] = window.map(formatNumber);
  return `<svg viewBox="-34 -6 240 232" role="img" aria-label="fitted against true values">
<image x="0" y="0" width="200" height="200" preserveAspectRatio="none" href="${image}"/>
<line class="even" x1="0" y1="200" x2="200" y2="0"/>
<text x="0" y="214">${low}</text><text x="200" y="214" text-anchor="end">${high}</text><text x="100" y="214" text-anchor="middle">true</text>
<text x="-5" y="200" text-anchor="end">${low}</text><text x="-5" y="9" text-anchor="end">${high}</text><text x="-5" y="104" text-anchor="end">fitted</text></svg>`;
}

const seriesColours = ["#2f86c6", "#d9822b", "#c2417c", "#5b9a3b", "#7d6bc4", "#8a8f98"];

/** One stepped line for each class. */
function renderHistogram({ end, series }: Histogram, units: string): string {
  const top = Math.max(...series.flatMap(({ shares }) => shares)) || 1;
  const lines = series.map(({ shares }, i) => {
    const points = shares.flatMap((share, bin) => {
      const y = (140 - (140 * share) / top).toFixed(1);
      return [bin, bin + 1].map((at) => `${((400 * at) / shares.length).toFixed(1)},${y}`);
    });
    return `<polyline stroke="${seriesColours[i % seriesColours.length]}" points="${points.join(" ")}"/>`;
  });
  const marks = [0, 1 / 3, 2 / 3, 1].map((share) => {
    const last = share === 1 ? "≥ " : "";
    return `<text x="${400 * share}" y="156" text-anchor="${share === 0 ? "start" : share === 1 ? "end" : "middle"}">${last}${formatNumber(Number((end * share).toPrecision(3)))}${units === "°" ? units : ""}</text>`;
  });
  const key = series.map(
    ({ label }, i) =>
      `<span><b style="background:${seriesColours[i % seriesColours.length]}"></b>${escapeHtml(label)}</span>`,
  );
  return `<svg class="series" viewBox="0 -4 400 166" role="img" aria-label="shares of voxels by error"><path class="axis" d="M0 140H400"/>${lines.join("")}${marks.join("")}</svg><div class="key">${key.join("")}</div>`;
}
