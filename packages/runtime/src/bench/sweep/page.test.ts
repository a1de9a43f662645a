import { describe, expect, it } from "vitest";
import { placeOn, shareAxis } from "./axis.ts";
import { renderChart } from "./chart.ts";
import { chunkChart } from "./charts.ts";
import { renderSweepPage } from "./page.ts";
import { renderSpeedUpPicture } from "./picture.ts";
import { summarise } from "./summary.ts";
import { testRecord } from "./testing.ts";
import { plusMinus } from "./words.ts";

describe("the page of a sweep", () => {
  const page = renderSweepPage(testRecord());

  it("needs nothing else, and escapes what it is told", () => {
    expect(page).not.toMatch(/<script|<link|<img|https?:\/\/(?!www\.w3\.org)/);
    expect(page.includes("&lt;a phantom&gt;")).toBe(true);
    expect(page.includes("<made up>")).toBe(false);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("draws four charts of each model and two of the peaks, and says what is ours and what was published", () => {
    expect(page.match(/<svg/g)).toHaveLength(6);
    const words = ["published elsewhere", "1.998 ± 0.028", "csd with 1,024 chunks", "22.08 s"];
    expect(words.filter((text) => !page.includes(text))).toEqual([]);
  });

  it("can be drawn of single runs and before the first", () => {
    const record = testRecord();
    const runs = record.runs.filter(({ round }) => round === 1);
    expect(renderSweepPage({ ...record, runs })).not.toMatch(/NaN|undefined|Infinity/);
    expect(renderSweepPage({ ...record, runs: [] })).toContain("What these figures are");
  });

  it("comes with a picture of the speed-up", () => {
    expect(renderSpeedUpPicture(testRecord())).toMatch(
      /^<svg xmlns[^>]*><title>[\s\S]*CSD: speed-up/,
    );
  });
});

describe("a chart", () => {
  it("puts a point where its axes say", () => {
    const [summary] = summarise(testRecord());
    const chart = chunkChart(summary, "efficiency");
    expect(chart.y).toMatchObject({ min: 0, max: 1.25 });
    expect(placeOn(chart.x, 256)).toBeCloseTo(7 / 14, 12);
    expect(placeOn(shareAxis("", [1.4]), 0.75)).toBe(0.5);
    expect(shareAxis("", [0.2]).ticks.at(-2)).toEqual({ at: 1, label: "100 %" });
    // A stem for each of our points.
    const bars = renderChart(chart).match(/M[\d.]+ [\d.]+V[\d.]+M/g);
    expect(bars).toHaveLength(8);
  });
});

describe("plusMinus", () => {
  it("shows as many digits as the error allows", () => {
    expect(plusMinus({ value: 1.2345, error: 0.056 })).toBe("1.23 ± 0.06");
    expect(plusMinus({ value: 1.2345, error: 0.012 })).toBe("1.234 ± 0.012");
    expect(plusMinus({ value: 123.4, error: 21 })).toBe("123 ± 21");
    expect(plusMinus({ value: 1.2345, error: Number.NaN })).toBe("1.23");
  });
});
