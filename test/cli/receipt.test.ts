/** What a fit says of its own time and memory. */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { dwiOptions, fixtures, Home } from "../support/cli.ts";

const home = new Home();
afterAll(async () => {
  expect(await home.close()).toEqual([]);
});

const data = dwiOptions(`${fixtures}data/real_64dir`, ".nii");

describe("the receipt of a command", () => {
  it("says where the whole time went, and what is printed is what report.json holds", async () => {
    const out = home.file("out");
    const begunMs = performance.now();
    const { code, stdout } = await home.run(["fit", "dti", ...data, "--out", out, "--json"]);
    const seenSeconds = (performance.now() - begunMs) / 1000;
    expect(code).toBe(0);
    const receipt = JSON.parse(stdout);
    expect(JSON.parse(readFileSync(`${out}/report.json`, "utf8"))).toEqual(receipt);
    const { total, ...phases } = receipt.commandSeconds;
    expect(Object.keys(phases)).toEqual(["starting", "reading", "binding", "fit", "writing"]);
    const values = Object.values<number>(phases);
    for (const seconds of values) expect(seconds).toBeGreaterThan(0);
    expect(values.reduce((sum, seconds) => sum + seconds, 0)).toBeCloseTo(total, 4);
    expect(total).toBeLessThan(seenSeconds);
    expect(phases.fit).toBeGreaterThanOrEqual(receipt.seconds.total);
    expect(receipt.peakBytes.memory).toBeGreaterThan(16 * 1024 * 1024);
  });

  it("is a line on the terminal", async () => {
    const { stdout } = await home.run(["fit", "dti", ...data, "--out", home.file("shown")]);
    expect(stdout).toMatch(
      /^command {4}[\d.]+ s: reading [\d.]+ s, binding the model [\d.]+ s, fit [\d.]+ s, writing [\d.]+ s, starting [\d.]+ s$/m,
    );
  });
});
