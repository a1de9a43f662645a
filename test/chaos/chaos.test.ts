/**
 * A fit on real processes that are killed, stopped and cut off at random moments must give the serial
 * engine's bytes and leave nothing. CHAOS_ROUNDS=100 for more rounds, CHAOS_SEED=7 or 7-9 for some of them again.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Home } from "../support/cli.ts";
import { planOf } from "./plan.ts";
import { makeReference, type Reference } from "./reference.ts";
import { type RoundResult, runRound } from "./round.ts";

const { CHAOS_SEED, CHAOS_ROUNDS = "20" } = process.env;
const [first, last = first] = (CHAOS_SEED ?? `1-${CHAOS_ROUNDS}`).split("-").map(Number);
const seeds = Array.from({ length: last - first + 1 }, (_, i) => first + i);

const home = new Home();
const results: RoundResult[] = [];
let reference: Reference;

beforeAll(async () => {
  reference = await makeReference(home);
}, 120_000);

afterAll(async () => {
  const deaths = (kind: keyof RoundResult["deaths"]) =>
    results.reduce((sum, result) => sum + result.deaths[kind], 0);
  const longest = Math.max(...results.map(({ seconds }) => seconds));
  console.log(
    `chaos: ${results.length} of ${seeds.length} rounds with the serial engine's bytes and nothing left; killed ${deaths("worker")} workers, ${deaths("head")} heads, ${deaths("driver")} drivers; longest round ${longest.toFixed(1)} s`,
  );
  expect(await home.close()).toEqual([]);
});

describe("chaos", () => {
  it.each(seeds)(
    "of seed %i changes no byte and leaves nothing",
    async (seed) => {
      // The workers share two cores or more with the head and the driver.
      const fitMs = (reference.report.seconds.total * 1000) / 2;
      const result = await runRound(planOf(seed, fitMs), reference);
      expect(Object.values(result.deaths).some((count) => count > 0)).toBe(true);
      results.push(result);
    },
    240_000,
  );
});
