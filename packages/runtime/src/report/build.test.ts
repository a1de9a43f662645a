import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  csd,
  type Dwi,
  freeWater,
  InputError,
  openDwi,
  phantomFiles,
  writePhantom,
} from "@fascicle/models";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fitChunked } from "../fit/fitChunked.ts";
import { buildReport, type ReportFit, type ReportInput, renderReport } from "./index.ts";

describe("buildReport", () => {
  let directory: string;
  let dwi: Dwi;
  let fits: ReportFit[];
  let report: ReportInput;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "report-"));
    await writePhantom(directory, { size: [26, 32, 22], scheme: "hcp", snr: 60 });
    const path = (name: string) => join(directory, name);
    dwi = await openDwi({
      dwi: path(phantomFiles.dwi),
      bval: path(phantomFiles.bval),
      bvec: path(phantomFiles.bvec),
      mask: path(phantomFiles.mask),
    });
    // In a grid this small the middle cuboid of the automatic response is not all head.
    const response = [1.7e-3, 0.3e-3, 0.3e-3, 1000] as const;
    fits = [
      await fitChunked(csd(dwi, { response }), 7, { engine: "serial" }),
      await fitChunked(freeWater(dwi), 7, { engine: "serial" }),
    ];
    report = await buildReport({ fits, phantomDirectory: directory, commands: ["runtime fit"] });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const table = (title: string) => {
    const item = report.sections
      .flatMap(({ items }) => items)
      .find((one) => one.kind === "errors" && one.title.startsWith(title));
    if (item?.kind !== "errors") throw new Error(`no table ${title}`);
    return item;
  };

  it("finds the true fibres: every frame between file and picture agrees", () => {
    const [single, crossing] = table("Angle").rows;
    expect(single.label).toBe("White matter, 1 fibre");
    expect(single.voxels).toBeGreaterThan(500);
    // A mirrored or swapped axis would put the median at tens of degrees.
    expect(single.median).toBeLessThan(5);
    expect(crossing.median).toBeLessThan(10);
  });

  it("measures the fitted maps against the truth", () => {
    const water = table("Error of f").rows.find(({ label }) => label === "Water");
    expect(water?.median).toBeLessThan(0.02);
    expect(table("Error of FA").rows[0].median).toBeLessThan(0.02);
    expect(table("Error of FA").rows.map(({ label }) => label)).not.toContain("Water");
  });

  it("gives the page all that was asked for", () => {
    const html = renderReport(report);
    for (const text of [
      "GFA",
      "FA",
      "MD",
      "Where fibres cross",
      "runtime fit",
      "sha256",
      "Truth",
    ]) {
      expect(html).toContain(text);
    }
    expect(html).not.toMatch(/https?:\/\//);
    const glyphs = report.sections[1].items.find(({ kind }) => kind === "glyphs");
    if (glyphs?.kind !== "glyphs") throw new Error("no glyphs");
    expect(glyphs.truth?.length).toBeGreaterThan(50);
    expect(new Set(glyphs.pixels.rgba).size).toBeGreaterThan(50);
  });

  it("does without a truth", async () => {
    const plain = await buildReport({ fits });
    expect(plain.sections.flatMap(({ items }) => items).some(({ kind }) => kind === "errors")).toBe(
      false,
    );
    expect(renderReport(plain)).not.toContain("Truth");
  });

  it("refuses what cannot be one page, in a sentence", async () => {
    await expect(buildReport({ fits: [] })).rejects.toThrow(InputError);
    const other = { ...dwi, voxels: dwi.voxels.slice(1) };
    const stranger = { ...fits[1], model: { ...fits[1].model, dwi: other } };
    await expect(buildReport({ fits: [fits[0], stranger] })).rejects.toThrow(
      /one scan and one mask/,
    );
    await writePhantom(join(directory, "other"), { size: [8, 8, 8], scheme: "64dir" });
    await expect(buildReport({ fits, phantomDirectory: join(directory, "other") })).rejects.toThrow(
      /is 8 x 8 x 8 voxels, but the scan is 26 x 32 x 22/,
    );
    await expect(buildReport({ fits, phantomDirectory: join(directory, "none") })).rejects.toThrow(
      /does not exist/,
    );
  });
});
