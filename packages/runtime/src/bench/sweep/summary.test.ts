import { describe, expect, it } from "vitest";
import { parseRecord, whyNotContinued } from "./record.ts";
import { runsThatCount, summarise } from "./summary.ts";
import { testRecord } from "./testing.ts";

describe("summarise", () => {
  const [{ serial, series }] = summarise(testRecord());

  it("takes medians, and ratios to the one baseline", () => {
    expect(serial?.median).toBeCloseTo(8, 12);
    const two = series.find(({ workers }) => workers === 2)!;
    expect(two.points.map(({ chunks }) => chunks)).toEqual([2, 8, 32, 128]);
    expect(two.fastest.chunks).toBe(2);
    const { speedUp, efficiency, shareOfSerial } = two.fastest;
    expect(speedUp.value).toBeCloseTo(8 / 4.001, 12);
    expect(efficiency.value).toBeCloseTo(speedUp.value / 2, 12);
    expect(shareOfSerial.value).toBeCloseTo(1 / speedUp.value, 12);
    // Both sides vary by 1 %.
    expect(speedUp.error / speedUp.value).toBeCloseTo(Math.SQRT2 / 100, 3);
  });

  it("tells what a chunk costs in thread time, and how flat the curve is", () => {
    for (const { secondsPerChunk, slowestOverFastest } of series) {
      expect(secondsPerChunk?.value).toBeCloseTo(0.001, 9);
      expect(slowestOverFastest?.value).toBeCloseTo(8.128 / 8.008, 9);
    }
  });

  it("leaves out what has not run yet", () => {
    expect(summarise({ ...testRecord(), runs: [] })[0].series).toEqual([]);
  });
});

describe("runsThatCount", () => {
  it("leaves disturbed runs out where their point has others", () => {
    const { runs } = testRecord();
    const [first, ...rest] = runs.filter(({ engine }) => engine === "serial");
    const disturbed = { ...first, seconds: 99, others: 0.4 };
    expect(runsThatCount([disturbed, ...rest])).toEqual(rest);
    expect(runsThatCount([disturbed])).toEqual([disturbed]);
    const [{ serial }] = summarise({ ...testRecord(), runs: [...runs, disturbed] });
    expect(serial?.median).toBeCloseTo(8, 12);
  });
});

describe("a record", () => {
  it("is read back as it was written, and nothing else is", () => {
    const record = testRecord();
    expect(parseRecord(JSON.stringify(record), "x")).toEqual(record);
    expect(() => parseRecord("{", "a/sweep.json")).toThrow(/a\/sweep.json is no JSON/);
    expect(() => parseRecord(JSON.stringify({ ...record, workers: [0] }), "x")).toThrow(
      /wrong at workers.0/,
    );
  });

  it("is continued only by runs of the same settings on the same machine", () => {
    const record = testRecord();
    expect(whyNotContinued(record, { ...record, seed: 8, runs: [] })).toBeUndefined();
    const machine = { ...record.machine, node: "v22.0.0" };
    expect(whyNotContinued(record, { ...record, machine, workers: [1] })).toBe("machine, workers");
  });
});
