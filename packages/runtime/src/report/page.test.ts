import { describe, expect, it } from "vitest";
import {
  densityOf,
  errorEntries,
  histogramOf,
  percentile,
  tableByClass,
  tissueClassOf,
} from "./errors.ts";
import { formatBytes, formatNumber, formatSeconds } from "./html.ts";
import type { MapFigure, ReportInput } from "./input.ts";
import { renderReport } from "./page.ts";
import { planeAt } from "./planes.ts";

const grid = {
  shape: [3, 4, 2] as const,
  voxelSize: [2, 2, 2] as const,
  affine: Float64Array.of(-2, 0, 0, 2, 0, 2, 0, -3, 0, 0, 2, -1, 0, 0, 0, 1),
};
const plane = planeAt(grid, "axial", 0);
const hostile = `<script>alert("x")</script>&'`;

function figure(name: string): MapFigure {
  const fitted = [{ plane, values: Float64Array.from({ length: 12 }, (_, i) => i / 12) }];
  return {
    kind: "map",
    name,
    description: hostile,
    units: "mm2/s",
    window: [0, 1],
    ramp: "ember",
    fitted,
    truth: fitted,
  };
}

const truth = { water: [0, 0, 0, 0, 0.5, 1], fibres: [1, 1, 2, 0, 1, 0] };
const fitted = [0.1, 0.3, 0.5, 0.2, 0.4, 0.9];
const expected = [0.2, 0.2, 0.2, 0.2, 0.2, 0.2];

const input: ReportInput = {
  title: hostile,
  lead: "A page for a test.",
  facts: [{ label: hostile, value: "1" }],
  sections: [
    {
      title: "Maps",
      lead: hostile,
      warnings: [hostile],
      items: [
        figure(hostile),
        figure("MD"),
        {
          ...tableByClass(hostile, "1", errorEntries(fitted, expected, truth)),
          plot: densityOf(fitted, expected, [0, 1]),
        },
        {
          kind: "glyphs",
          name: hostile,
          description: "",
          plane,
          columns: 1,
          rows: 1,
          pixels: { width: 2, height: 2, rgba: new Uint8Array(16) },
          truth: [{ from: [0, 0.5], to: [1, 0.5] }],
        },
      ],
      receipt: {
        engine: hostile,
        voxels: 23716,
        workers: 2,
        seconds: { total: 10, compute: 19, copy: 0.2, tail: 0.004 },
        efficiency: 0.95,
        peakBytes: { memory: 300 * 2 ** 20, spill: 0 },
        bytesLeft: 0,
        voxelsByStatus: { fitted: 23000, notConverged: 716 },
      },
    },
  ],
  provenance: [{ heading: hostile, rows: [{ label: hostile, value: hostile }] }],
};

describe("renderReport", () => {
  const html = renderReport(input);

  it("needs nothing but itself", () => {
    expect(html).not.toMatch(/https?:\/\//);
    expect(html).not.toMatch(/<script|<link|<iframe|@import|url\(/);
    for (const [, source] of html.matchAll(/(?:src|href)="([^"]*)"/g)) {
      expect(source).toMatch(/^data:image\/png;base64,/);
    }
    expect(html).toContain("default-src 'none'");
  });

  it("has a picture for every slice, fitted and true, and for every plot", () => {
    const pictures = [...html.matchAll(/data:image\/png;base64,([^"]+)"/g)];
    // Two maps of one plane with truth, one region of FODs and one density.
    expect(pictures).toHaveLength(2 * 2 + 1 + 1);
    for (const [, base64] of pictures) {
      expect(Buffer.from(base64, "base64").subarray(1, 4).toString("latin1")).toBe("PNG");
    }
    expect([...html.matchAll(/<img alt="[^"]+"/g)]).toHaveLength(5);
  });

  it("escapes every text that it is given", () => {
    expect(html).not.toContain('alert("x")');
    expect(
      html.split("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;").length,
    ).toBeGreaterThan(12);
  });

  it("says where right and left are, and the units", () => {
    expect(html).toContain('<span class="l">R</span><span class="r">L</span>');
    expect(html).toContain("axial, z = −1 mm");
    expect(html).toContain("mm²/s");
  });

  it("shows the receipt's figures", () => {
    expect(html).toContain("23\u202f716");
    expect(html).toContain("300 MiB");
    expect(html).toContain("computing 95 %");
    expect(html).toContain("716 not converged");
  });

  it("is the same for the same input, and has no truth where there is none", () => {
    expect(renderReport(input)).toBe(html);
    const bare = { ...figure("FA"), truth: undefined };
    const page = renderReport({ ...input, sections: [{ title: "", lead: "", items: [bare] }] });
    expect(page).not.toContain("Truth");
    expect([...page.matchAll(/data:image/g)]).toHaveLength(1);
  });
});

describe("errors", () => {
  it("are told by what the voxel holds", () => {
    expect([0, 2, 3, 4, 5].map((row) => tissueClassOf(truth, row))).toEqual([
      "White matter, 1 fibre",
      "White matter, 2 fibres",
      "Grey matter",
      "Partly water",
      "Water",
    ]);
    const { rows } = tableByClass(
      "",
      "1",
      errorEntries(fitted, expected, truth, (row) => row < 5),
    );
    expect(rows.map(({ label, voxels }) => [label, voxels])).toEqual([
      ["White matter, 1 fibre", 2],
      ["White matter, 2 fibres", 1],
      ["Grey matter", 1],
      ["Partly water", 1],
    ]);
    expect(rows[0].median).toBeCloseTo(0.1, 12);
    expect(rows[1].p95).toBeCloseTo(0.3, 12);
    expect(rows[2].median).toBe(0);
  });

  it("leave out what is not a number", () => {
    expect(errorEntries([Number.NaN], [1], { water: [0], fibres: [1] })).toEqual([]);
  });

  it("count shares", () => {
    const entries = [
      { tissue: "Water", error: 0, matched: true },
      { tissue: "Water", error: 99, matched: false },
    ] as const;
    expect(tableByClass("", "1", entries, "right").rows[0].matched).toBe(0.5);
    expect(histogramOf(entries, 10, 4).series).toEqual([
      { label: "Water", shares: [0.5, 0, 0, 0.5] },
    ]);
    const { counts, bins } = densityOf([0, 1, 5], [0, 1, 0.5], [0, 1]);
    expect(counts.reduce((a, b) => a + b)).toBe(3);
    expect(counts[(bins - 1) * bins]).toBe(1);
    expect(counts[bins - 1]).toBe(1);
  });

  it("have percentiles as everyone has them", () => {
    expect(percentile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(percentile([1, 2, 3, 4, 5], 0.95)).toBeCloseTo(4.8, 12);
    expect(percentile([], 0.5)).toBeNaN();
  });
});

describe("numbers", () => {
  it("are written for people", () => {
    expect([0, 23716, 0.123456, 2.39e-5, 1234.5, 1e10, -0.5].map(formatNumber)).toEqual([
      "0",
      "23\u202f716",
      "0.123",
      "2.39\u202f×\u202f10⁻⁵",
      "1\u202f235",
      "1\u202f×\u202f10¹⁰",
      "-0.5",
    ]);
    expect(formatNumber(Number.NaN)).toBe("–");
    expect([0, 1536, 5 * 2 ** 30].map(formatBytes)).toEqual(["0 B", "1.5 KiB", "5 GiB"]);
    expect([0.0042, 1.5, 125].map(formatSeconds)).toEqual(["4.2 ms", "1.5 s", "2 min 5 s"]);
  });
});
