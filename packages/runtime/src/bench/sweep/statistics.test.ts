import { describe, expect, it } from "vitest";
import { median, ratio, timing } from "./statistics.ts";

describe("timing", () => {
  it("is the median and the sample's deviation", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    const { median: middle, deviation, runs } = timing([2, 4, 4, 4, 5, 5, 7, 9]);
    expect([middle, runs]).toEqual([4.5, 8]);
    expect(deviation).toBeCloseTo(Math.sqrt(32 / 7), 12);
  });

  it("knows no deviation of one run", () => {
    expect(timing([1]).deviation).toBeNaN();
    expect(ratio(timing([1]), timing([2, 3])).error).toBeNaN();
  });
});

describe("ratio", () => {
  it("has the error that resampled ratios have", () => {
    // Two sides with 3 % and 4 %: the ratio varies by 5 %.
    const of = (mean: number, share: number) => ({
      median: mean,
      deviation: share * mean,
      runs: 9,
    });
    const { value, error } = ratio(of(10, 0.03), of(5, 0.04));
    expect(value).toBe(2);
    expect(error).toBeCloseTo(0.1, 12);
    let sum = 0;
    let squares = 0;
    let count = 0;
    for (let a = -3; a <= 3; a += 0.1) {
      for (let b = -3; b <= 3; b += 0.1) {
        const weight = Math.exp(-(a * a + b * b) / 2);
        const sample = (10 * (1 + 0.03 * a)) / (5 * (1 + 0.04 * b));
        sum += weight * sample;
        squares += weight * sample * sample;
        count += weight;
      }
    }
    const spread = Math.sqrt(squares / count - (sum / count) ** 2);
    expect(Math.abs(spread / error - 1)).toBeLessThan(0.03);
  });
});
