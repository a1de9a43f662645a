import { freeWater } from "@fascicle/models";
import { describe, expect, it } from "vitest";
import { fitChunked } from "../../fit/fitChunked.ts";
import { agreeOnCoefficients, agreeOnTensor, agreeOnWater, quantile } from "./agreement.ts";
import { phantomScan } from "./benchScan.ts";

describe("agreeOnCoefficients", () => {
  it("takes each row's error against the size of the row", () => {
    const theirs = Float64Array.of(3, 4, 0, 0, 6, 8);
    const ours = Float64Array.of(3, 4.5, 0, 0, 6, 8);
    const { figures } = agreeOnCoefficients(ours, theirs, 2);
    expect(figures).toEqual({ relativeL2Median: 0, relativeL2Worst: 0.1 });
  });
});

describe("agreeOnTensor", () => {
  it("takes FA and MD from their eigenvalues", () => {
    const theirs = Float64Array.of(2e-3, 0, 0, ...new Array(9).fill(0));
    const md = Float64Array.of(2e-3 / 3);
    const same = agreeOnTensor({ fa: Float64Array.of(1), md }, theirs);
    expect(same.figures.faDifferenceWorst).toBeLessThan(1e-15);
    expect(same.figures.mdRelativeWorst).toBeLessThan(1e-15);
    const other = agreeOnTensor({ fa: Float64Array.of(0.9), md: md.map((x) => 1.5 * x) }, theirs);
    expect(other.figures.faDifferenceWorst).toBeCloseTo(0.1, 12);
    expect(other.figures.mdRelativeWorst).toBeCloseTo(0.5, 12);
  });
});

describe("agreeOnWater", () => {
  it("finds a worse fit, and an f that is off", async () => {
    const scan = phantomScan(40, { scheme: "2shell" });
    const nls = await fitChunked(freeWater(scan), 1, { engine: "serial" });
    const wls = await fitChunked(freeWater(scan, { method: "wls" }), 1, { engine: "serial" });
    const [best, first] = [nls, wls].map(({ maps }) => maps.params.data as Float64Array);
    expect(agreeOnWater(best, best, scan).figures).toEqual({
      fDifference99: 0,
      fDifferenceWorst: 0,
      costExcessMedian: 0,
      costExcessWorst: 0,
    });
    // The grid does not look for the least squares of the signal, so the search is better nearly everywhere.
    const { costExcessMedian, fDifferenceWorst } = agreeOnWater(first, best, scan).figures;
    expect(costExcessMedian).toBeGreaterThan(0);
    expect(fDifferenceWorst).toBeGreaterThan(1e-3);
    expect(agreeOnWater(best, first, scan).figures.costExcessMedian).toBeLessThan(0);
  });
});

describe("quantile", () => {
  it.each([
    [0, 1],
    [0.5, 3],
    [1, 5],
  ])("at %d of 1 to 5 is %d", (share, value) => {
    expect(quantile([5, 3, 1, 2, 4], share)).toBe(value);
  });

  it("does not hide what is no number", () => {
    expect(quantile([0.5, Number.NaN, 0.1, 1e-9], 1)).toBeNaN();
  });
});
