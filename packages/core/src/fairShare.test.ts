import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FairShare } from "./fairShare.ts";

/** Runs jobs whose turns last `turnMs` for a while; gives the time that each had. */
function run(share: FairShare, turnMs: Readonly<Record<string, number>>, totalMs: number) {
  const had: Record<string, number> = {};
  for (let ms = 0; ms < totalMs; ) {
    const job = share.next(Object.keys(turnMs));
    if (job === undefined) throw new Error("nobody is ready");
    share.charge(job, turnMs[job]);
    had[job] = (had[job] ?? 0) + turnMs[job];
    ms += turnMs[job];
  }
  return had;
}

describe("FairShare", () => {
  it("gives equal time for equal weights, however long the turns are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 2, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 6, maxLength: 6 }),
        (turns, weights) => {
          const share = new FairShare();
          for (const i of turns.keys()) share.add(`job ${i}`, 0, weights[i]);
          const had = run(
            share,
            Object.fromEntries(turns.map((ms, i) => [`job ${i}`, ms])),
            200_000,
          );
          // Nobody is ever ahead of another by more than one turn of its own.
          const forWeight = turns.map((_, i) => had[`job ${i}`] / weights[i]);
          const longest = Math.max(...turns.map((ms, i) => ms / weights[i]));
          const difference = Math.max(...forWeight) - Math.min(...forWeight);
          // Sums of fractions are not exact.
          expect(difference).toBeLessThanOrEqual(longest * (1 + 1e-9));
        },
      ),
    );
  });

  it("runs the highest priority alone while it is ready", () => {
    const share = new FairShare();
    share.add("low");
    share.add("high", 5);
    share.add("higher", 5);
    expect(run(share, { low: 10, high: 10, higher: 10 }, 1_000)).toEqual({
      high: 500,
      higher: 500,
    });
    expect(share.next(["low"])).toBe("low");
    share.remove("higher");
    share.remove("high");
    expect(share.next(["low", "high", "higher"])).toBe("low");
  });

  it("repays neither a newcomer nor a job that rested, and fines nobody for having worked alone", () => {
    const share = new FairShare();
    share.add("old");
    share.add("rested");
    run(share, { old: 10 }, 10_000);
    share.add("new");
    expect(run(share, { old: 10, rested: 10, new: 10 }, 300)).toEqual({
      old: 100,
      rested: 100,
      new: 100,
    });
    // The other way round: alone first, then beside one that comes back.
    run(share, { rested: 10 }, 5_000);
    const had = run(share, { old: 10, rested: 10 }, 200);
    expect(Math.abs(had.old - had.rested)).toBeLessThanOrEqual(20);
  });

  it("has no choice among nobody, and ignores those it does not know", () => {
    const share = new FairShare();
    expect(share.next([])).toBeUndefined();
    expect(share.next(["unknown"])).toBeUndefined();
    share.charge("unknown", 5);
    share.add("known");
    expect(share.next(["unknown", "known"])).toBe("known");
  });
});
