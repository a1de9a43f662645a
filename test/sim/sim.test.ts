/** The simulator as a test: thousands of hostile schedules, kept ones, and proof that its checks can fail. */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { AgentEffect, HeadEffect } from "@fascicle/core";
import { describe, expect, it } from "vitest";
import { type KeptScenario, scenarioFrom } from "./kept.ts";
import { JobPlan } from "./plan.ts";
import type { Scenario } from "./scenario.ts";
import { type SimulationOptions, simulate } from "./simulate.ts";

const seeds = { first: 1, count: 2_000 };
const minutesMs = 60_000;
const kept = new URL("kept/", import.meta.url);

interface Summary {
  readonly runs: number;
  readonly faults: number;
  readonly complete: number;
  readonly pairsJudged: number;
  readonly failures: readonly { readonly seed: number; readonly failure: string }[];
}

/** One of several processes that share the seeds. */
function runPart(part: number, parts: number): Promise<Summary> {
  const range = ["--from", String(seeds.first), "--count", String(seeds.count)];
  const share = ["--parts", String(parts), "--part", String(part)];
  const words = ["test/sim/run.mjs", "--no-build", "--json", ...range, ...share];
  const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (piece: string) => {
    text += piece;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      try {
        resolve(JSON.parse(text) as Summary);
      } catch {
        reject(new Error(`part ${part} ended without a summary: ${text.slice(-2_000)}`));
      }
    });
  });
}

describe("the machines under simulated faults", () => {
  it(
    `hold in ${seeds.count} scenarios`,
    async () => {
      const built = spawnSync(process.execPath, ["scripts/build.mjs", "test/sim"]);
      expect(built.status, String(built.stdout)).toBe(0);
      const parts = Math.min(8, availableParallelism());
      const all = await Promise.all(Array.from({ length: parts }, (_, i) => runPart(i, parts)));
      const sum = (key: "runs" | "faults" | "complete" | "pairsJudged") =>
        all.reduce((total, summary) => total + summary[key], 0);
      const failures = all.flatMap((summary) => summary.failures);
      const told = failures.map(
        ({ seed, failure }) =>
          `seed ${seed}: ${failure}\n  replay: node test/sim/run.mjs --seed ${seed} --trace`,
      );
      expect(told).toEqual([]);
      expect(sum("runs")).toBe(seeds.count);
      // Nothing is shown by runs in which nothing happens.
      expect(sum("faults")).toBeGreaterThan(20 * seeds.count);
      expect(sum("complete")).toBeGreaterThan(5 * seeds.count);
      expect(sum("pairsJudged")).toBeGreaterThan(seeds.count / 200);
    },
    20 * minutesMs,
  );

  const names = readdirSync(kept).filter((name) => name.endsWith(".json"));
  it.each(names)("hold where they once did not: %s", (name) => {
    const { scenario } = JSON.parse(readFileSync(new URL(name, kept), "utf8")) as KeptScenario;
    const read = scenarioFrom(scenario);
    expect(simulate(read.seed, { scenario: read }).failure).toBeUndefined();
  });
});

/** A host or more and two fits, and nothing goes wrong but what a test makes go wrong. */
function calm(...slotsOfHosts: number[]): Scenario {
  const plan = (index: number) =>
    new JobPlan({
      index,
      request: { job: `m${index}`, chunkCount: 400, memoryBytes: 1e6 },
      meanChunkMs: 50,
      spread: 4,
      bytesPerChunk: 1e3,
      windowBytes: 2 ** 20,
      fates: new Map(),
    });
  return {
    seed: 1,
    hosts: slotsOfHosts.map((slots) => ({ slots, memoryBytes: 2 ** 30, speed: 1, joinsMs: 0 })),
    drivers: [
      { actions: [0, 1].map((i) => ({ atMs: i, kind: "submit", plan: plan(i) })), storeMs: 0 },
    ],
    network: { latencyMs: { low: 0.1, high: 1 }, dialTimeoutMs: 3_000 },
    syncMs: 1,
    faults: {},
    faultsEndMs: 1,
    deadlineMs: 60_000,
  };
}

/** On one host, where no other makes good what is lost. */
const failureOf = (tamper?: SimulationOptions["tamper"]) =>
  simulate(1, { scenario: calm(16), tamper }).failure;

/** Spoils the n-th effect of a type. */
function spoil<Type extends (HeadEffect | AgentEffect)["type"]>(
  type: Type,
  nth: number,
  change: (effect: Extract<HeadEffect | AgentEffect, { type: Type }>) => unknown,
): SimulationOptions["tamper"] {
  let seen = 0;
  return (effect) =>
    effect.type === type && ++seen === nth ? (change(effect as never) as never) : effect;
}

describe("the simulator", () => {
  it("does the same again, and another thing with another seed", () => {
    const [one, same, other] = [7, 7, 8].map((seed) => simulate(seed));
    expect(one).toEqual(same);
    expect(other.hash).not.toBe(one.hash);
  });

  it("finds nothing wrong where nothing is", () => {
    expect(failureOf()).toBeUndefined();
    expect(simulate(1, { scenario: calm(8, 8, 72) }).failure).toBeUndefined();
  });

  it("sees that calm hosts have little idle time, and end together", () => {
    const scenario = calm(72, 32, 8);
    const { completeMs, chunks, begun } = simulate(1, { scenario });
    expect([chunks, begun]).toEqual([800, 800]);
    const works = scenario.drivers.flatMap(({ actions }) => actions);
    const plans = works.flatMap((action) => (action.kind === "submit" ? [action.plan] : []));
    let workMs = 0;
    for (const plan of plans) {
      for (let chunk = 0; chunk < plan.chunkCount; chunk++) workMs += plan.chunkMs(chunk);
    }
    const longestMs = Math.max(...plans.map((plan) => plan.slowestMs));
    expect(completeMs).toBeLessThan(workMs / 112 / 0.9 + 2 * longestMs);
  });

  it("sees work that is lost on its way", () => {
    const seen = /not over|the head has leased .* which holds/;
    expect(failureOf(spoil("Lease", 3, () => undefined))).toMatch(seen);
    expect(failureOf(spoil("MakeReady", 3, () => undefined))).toMatch(seen);
    expect(failureOf(spoil("SendRun", 3, () => undefined))).toMatch(seen);
  });

  it("sees chunks that were settled and are not there", () => {
    const early = spoil("Lease", 2, ({ chunks, ...lease }) => ({
      ...lease,
      chunks: { start: chunks.start, end: chunks.end + 1 },
    }));
    expect(failureOf(early)).toMatch(/not leased|settled|agent|two places/i);
    const ended = { type: "CompleteJob", job: "m0", counts: { lost: 0, stolen: 0, backups: 0 } };
    expect(failureOf(spoil("Lease", 4, () => ended))).toMatch(/the driver of m0 has/);
  });

  it("sees wrong bytes", () => {
    const other = spoil("SendRun", 2, ({ chunks, ...run }) => ({
      ...run,
      chunks: { start: chunks.end, end: chunks.end + 1 },
    }));
    expect(failureOf(other)).toMatch(/wrong bytes|not leased/);
  });

  it("sees what an ended fit leaves behind", () => {
    expect(failureOf(spoil("CloseJob", 1, () => undefined))).toMatch(/left behind.*job m/);
    expect(failureOf(spoil("ReleaseJob", 1, () => undefined))).toMatch(/left behind.*memory/);
  });

  it("sees a fit that fails without cause", () => {
    const failed = { type: "FailJob", job: "m1", reason: "it had enough" };
    expect(failureOf(spoil("Lease", 5, () => failed))).toBeDefined();
  });
});
