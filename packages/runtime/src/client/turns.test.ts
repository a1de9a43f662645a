import { describe, expect, it } from "vitest";
import { Turns } from "./turns.ts";

describe("Turns", () => {
  it("lets so many at a time, in the order in which they came", async () => {
    const turns = new Turns(2);
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const all = [0, 1, 2, 3].map(async (i) => {
      ends[i] = await turns.next();
      begun.push(i);
    });
    await Promise.all(all.slice(0, 2));
    expect(begun).toEqual([0, 1]);
    ends[1]();
    // Who comes now does not go before those who wait.
    const last = turns.next();
    await all[2];
    expect(begun).toEqual([0, 1, 2]);
    ends[0]();
    await all[3];
    ends[2]();
    (await last)();
    ends[3]();
    (await turns.next())();
  });

  it("forgets those who leave before their turn", async () => {
    const turns = new Turns(1);
    const end = await turns.next();
    const leaving = new AbortController();
    const left = turns.next(leaving.signal);
    const next = turns.next();
    leaving.abort();
    await expect(left).rejects.toThrow();
    end();
    (await next)();
  });
});
