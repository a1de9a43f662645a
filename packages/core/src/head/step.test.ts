import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HeadEffect, HeadEvent, MapRequest } from "./events.ts";
import { checkHeadInvariants, emptyHeadState, type HeadState } from "./state.ts";
import { stepHead } from "./step.ts";

const job = (chunkCount: number, slotLimit?: number): MapRequest => ({
  job: "j",
  chunkCount,
  slotLimit,
});

function step(state: HeadState, event: HeadEvent): HeadEffect[] {
  const effects: HeadEffect[] = [];
  stepHead(state, event, effects);
  checkHeadInvariants(state);
  return effects;
}

const typesOf = (effects: readonly HeadEffect[]) => effects.map((effect) => effect.type);

describe("the head's scheduler", () => {
  it("waits for workers, then opens the job and leases large ranges first", () => {
    const state = emptyHeadState();
    expect(step(state, { type: "JobSubmitted", request: job(1000) })).toEqual([]);
    expect(step(state, { type: "AgentJoined", agent: "a", slots: 4 })).toEqual([
      { type: "OpenJob", agent: "a", job: "j", slots: 4 },
      { type: "Lease", agent: "a", job: "j", chunks: { start: 0, end: 500 } },
    ]);
    const sizes: number[] = [];
    for (;;) {
      const [effect] = step(state, { type: "WorkWanted", agent: "a", job: "j" });
      if (effect?.type !== "Lease") break;
      sizes.push(effect.chunks.end - effect.chunks.start);
    }
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    expect(sizes.at(-1)).toBe(1);
    expect(sizes.reduce((a, b) => a + b)).toBe(500);
    expect(sizes.length).toBeLessThan(12);
  });

  it("gives a lost host's chunks to another, and completes once all are settled", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(2) });
    const chunks = { start: 0, end: 1 };
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    const lost = step(state, { type: "AgentLeft", agent: "a" });
    expect(lost).toEqual([]);
    const settled = { start: 1, end: 2 };
    // Its own done, the survivor gets what the lost host had.
    expect(
      step(state, { type: "RangeSettled", agent: "b", job: "j", chunks: settled }).at(-1),
    ).toEqual({ type: "Lease", agent: "b", job: "j", chunks });
    // The lost host's own result was under way and comes first: it counts.
    expect(typesOf(step(state, { type: "RangeSettled", agent: "a", job: "j", chunks }))).toEqual([
      "CloseJob",
      "CompleteJob",
    ]);
    expect(step(state, { type: "RangeSettled", agent: "b", job: "j", chunks })).toEqual([]);
  });

  it("holds a job to its slot limit", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 4 });
    step(state, { type: "AgentJoined", agent: "b", slots: 4 });
    const opened = step(state, { type: "JobSubmitted", request: job(100, 6) }).filter(
      (effect) => effect.type === "OpenJob",
    );
    expect(opened.map((effect) => effect.slots)).toEqual([4, 2]);
  });

  it("fails a job that every worker refuses, with the reason", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 4 });
    step(state, { type: "JobSubmitted", request: job(100) });
    const reason = "its kernels differ";
    expect(step(state, { type: "JobRefused", agent: "a", job: "j", reason })).toEqual([
      { type: "FailJob", job: "j", reason: `no worker can run this fit: ${reason}` },
    ]);
  });

  it("gives what a lost host had to one that had asked in vain", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(4) });
    for (const agent of ["a", "b", "b"]) step(state, { type: "WorkWanted", agent, job: "j" });
    expect(typesOf(step(state, { type: "AgentLeft", agent: "a" }))).toEqual(["Lease"]);
  });

  it("lets a job wait for room on a host, and tries again when another job there ends", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 2 });
    step(state, { type: "JobSubmitted", request: job(2) });
    step(state, { type: "JobSubmitted", request: { ...job(2), job: "k" } });
    expect(step(state, { type: "JobDeferred", agent: "a", job: "k" })).toEqual([]);
    const ended = step(state, { type: "JobCancelled", job: "j", reason: "enough" });
    expect(typesOf(ended)).toEqual(["CloseJob", "FailJob", "OpenJob", "Lease"]);
  });

  it("does not wait for a job that ended, or was refused, while the word of no room was under way", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(2) });
    step(state, { type: "JobSubmitted", request: { ...job(2), job: "k" } });
    step(state, { type: "JobDeferred", agent: "b", job: "k" });
    const refused = step(state, { type: "JobRefused", agent: "b", job: "j", reason: "x" });
    expect(refused).toContainEqual({ type: "OpenJob", agent: "b", job: "k", slots: 1 });
    step(state, { type: "JobCancelled", job: "j", reason: "enough" });
    const late = step(state, { type: "JobDeferred", agent: "a", job: "k" });
    expect(late).toContainEqual({ type: "OpenJob", agent: "a", job: "k", slots: 1 });
  });

  it("gives no more slots than there are chunks", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 400 });
    const [opened] = step(state, { type: "JobSubmitted", request: job(2) });
    expect(opened).toMatchObject({ type: "OpenJob", slots: 2 });
  });

  it("gives no new work to a draining host", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(10) });
    step(state, { type: "AgentDraining", agent: "a" });
    expect(step(state, { type: "WorkWanted", agent: "a", job: "j" })).toEqual([]);
    step(state, { type: "RangeReturned", agent: "a", job: "j", chunks: { start: 1, end: 5 } });
    expect(typesOf(step(state, { type: "AgentJoined", agent: "b", slots: 1 }))).toEqual([
      "OpenJob",
      "Lease",
    ]);
  });

  it("settles every chunk whatever hosts do, as long as one is left", () => {
    const agents = ["a", "b", "c"];
    const choice = fc.tuple(
      fc.constantFrom("join", "leave", "want", "settle", "return", "late"),
      fc.constantFrom(...agents),
      fc.nat(1000),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.array(choice, { maxLength: 120 }),
        (n, script) => {
          const state = emptyHeadState();
          let completed = 0;
          const apply = (event: HeadEvent) => {
            for (const effect of step(state, event)) {
              if (effect.type === "CompleteJob") completed++;
              expect(effect.type).not.toBe("FailJob");
            }
          };
          const leasedOf = (agent: string) =>
            state.jobs.get("j")?.assignments.get(agent)?.leased.ranges() ?? [];
          apply({ type: "JobSubmitted", request: job(n) });
          for (const [what, agent, salt] of script) {
            if (what === "join" && !state.agents.has(agent)) {
              apply({ type: "AgentJoined", agent, slots: 1 + (salt % 8) });
            } else if (what === "leave") apply({ type: "AgentLeft", agent });
            else if (what === "want") apply({ type: "WorkWanted", agent, job: "j" });
            else if (what === "late") {
              const start = salt % n;
              apply({ type: "RangeSettled", agent, job: "j", chunks: { start, end: start + 1 } });
            } else {
              const held = leasedOf(agent)[0];
              if (held === undefined) continue;
              const chunks = { start: held.start, end: held.start + 1 };
              const type = what === "settle" ? "RangeSettled" : "RangeReturned";
              apply({ type, agent, job: "j", chunks });
            }
          }
          apply({ type: "AgentJoined", agent: "z", slots: 2 });
          for (const agent of agents) apply({ type: "AgentLeft", agent });
          for (let round = 0; completed === 0; round++) {
            expect(round).toBeLessThan(100);
            apply({ type: "WorkWanted", agent: "z", job: "j" });
            for (const chunks of [...leasedOf("z")]) {
              apply({ type: "RangeSettled", agent: "z", job: "j", chunks });
            }
          }
          expect(completed).toBe(1);
          expect(state.jobs.size).toBe(0);
        },
      ),
    );
  });
});
