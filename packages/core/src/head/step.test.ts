import { describe, expect, it } from "vitest";
import { emptyHeadState } from "./state.ts";
import { job, step, typesOf } from "./testing.ts";

describe("the head's scheduler", () => {
  it("waits for workers, then opens the job and leases large ranges first", () => {
    const state = emptyHeadState();
    expect(step(state, { type: "JobSubmitted", request: job(1000) })).toEqual([]);
    expect(step(state, { type: "AgentJoined", agent: "a", slots: 4 })).toEqual([
      { type: "OpenJob", agent: "a", job: "j", epoch: 1, slots: 4, priority: 0 },
      {
        type: "Lease",
        agent: "a",
        job: "j",
        epoch: 1,
        chunks: { start: 0, end: 500 },
        isCareful: false,
      },
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
    const lost = step(state, { type: "AgentLeft", agent: "a", isDeath: true });
    expect(lost).toEqual([]);
    const settled = { start: 1, end: 2 };
    // Its own done, the survivor gets what the lost host had.
    expect(
      step(state, { type: "RangeSettled", agent: "b", job: "j", chunks: settled }).at(-1),
    ).toMatchObject({ type: "Lease", agent: "b", job: "j", chunks });
    // The lost host's own result was under way and comes first: it counts.
    expect(typesOf(step(state, { type: "RangeSettled", agent: "a", job: "j", chunks }))).toEqual([
      "ConfirmSettled",
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
    expect(step(state, { type: "JobRefused", agent: "a", job: "j", reason })).toContainEqual({
      type: "FailJob",
      job: "j",
      reason: `no worker can run this fit: ${reason}`,
    });
  });

  it("gives what a lost host had to one that had asked in vain", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(4) });
    for (const agent of ["a", "b", "b"]) step(state, { type: "WorkWanted", agent, job: "j" });
    expect(typesOf(step(state, { type: "AgentLeft", agent: "a", isDeath: true }))).toEqual([
      "Lease",
    ]);
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
    expect(refused).toContainEqual(
      expect.objectContaining({ type: "OpenJob", agent: "b", job: "k" }),
    );
    step(state, { type: "JobCancelled", job: "j", reason: "enough" });
    const late = step(state, { type: "JobDeferred", agent: "a", job: "k" });
    expect(late).toContainEqual(expect.objectContaining({ type: "OpenJob", agent: "a", job: "k" }));
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
    step(state, {
      type: "RangesReturned",
      agent: "a",
      job: "j",
      ranges: [{ start: 1, end: 5 }],
      isRecall: false,
    });
    expect(typesOf(step(state, { type: "AgentJoined", agent: "b", slots: 1 }))).toEqual([
      "OpenJob",
      "Lease",
    ]);
  });

  it("lets an idle host have the tail of what another holds", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(100) });
    while (state.jobs.get("j")!.pending.size > 0) {
      step(state, { type: "WorkWanted", agent: "a", job: "j" });
    }
    const asked = step(state, { type: "AgentJoined", agent: "b", slots: 1 }).at(-1);
    expect(asked).toMatchObject({ type: "Recall", agent: "a", chunks: { start: 50, end: 100 } });
    const ranges = [{ start: 50, end: 100 }];
    const given = step(state, {
      type: "RangesReturned",
      agent: "a",
      job: "j",
      ranges,
      isRecall: true,
    });
    expect(given[0]).toMatchObject({ type: "Lease", agent: "b", chunks: { start: 50, end: 63 } });
    expect(state.jobs.get("j")?.counts).toMatchObject({ stolen: 1, lost: 0 });
  });

  it("lets a host that asked ahead have the tail of what another holds when it is idle", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(100) });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    const held = () => state.jobs.get("j")!.assignments.get("b")!.leased;
    while (state.jobs.get("j")!.pending.size > 0) {
      step(state, { type: "WorkWanted", agent: "b", job: "j" });
    }
    // It has something to do: nobody is asked to hand back.
    expect(step(state, { type: "WorkWanted", agent: "b", job: "j" })).toEqual([]);
    const [chunks] = held().ranges();
    expect(
      step(state, { type: "RangeSettled", agent: "b", job: "j", chunks }).at(-1),
    ).toMatchObject({ type: "Recall", agent: "a" });
    expect(held().size).toBe(0);
  });

  it("gives hosts that are there from the start equal shares", () => {
    const state = emptyHeadState();
    const agents = ["a", "b", "c", "d"];
    for (const agent of agents) step(state, { type: "AgentJoined", agent, slots: 1 });
    step(state, { type: "JobSubmitted", request: job(1000) });
    const { assignments } = state.jobs.get("j")!;
    const sizes = agents.map((agent) => assignments.get(agent)!.leased.size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(125);
    expect(Math.min(...sizes)).toBeGreaterThan(80);
  });

  it("copies slow chunks to idle hosts near the end; the first result wins, the other is told", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(2) });
    const second = { start: 1, end: 2 };
    step(state, { type: "RangeSettled", agent: "b", job: "j", chunks: second }, 100);
    step(state, { type: "WorkWanted", agent: "b", job: "j" }, 100);
    expect(step(state, { type: "Tick" }, 900)).toEqual([]);
    const copied = step(state, { type: "Tick" }, 10_000);
    const first = { start: 0, end: 1 };
    expect(copied).toMatchObject([{ type: "Lease", agent: "b", chunks: first }]);
    const ended = step(
      state,
      { type: "RangeSettled", agent: "b", job: "j", chunks: first },
      11_000,
    );
    expect(ended.filter(({ type }) => type === "ConfirmSettled")).toMatchObject([
      { agent: "b" },
      { agent: "a" },
    ]);
    expect(typesOf(ended)).toContain("CompleteJob");
  });

  it("runs jobs of higher priority first", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: { ...job(4), job: "high", priority: 1 } });
    expect(typesOf(step(state, { type: "JobSubmitted", request: job(4) }))).toEqual(["OpenJob"]);
    for (let i = 0; i < 2; i++) step(state, { type: "WorkWanted", agent: "a", job: "high" });
    const next = step(state, { type: "WorkWanted", agent: "a", job: "high" });
    expect(state.jobs.get("high")?.pending.size).toBe(0);
    expect(next.concat(step(state, { type: "WorkWanted", agent: "a", job: "j" }))).toContainEqual(
      expect.objectContaining({ type: "Lease", job: "j" }),
    );
  });

  it("ignores words about an earlier job of the same name", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(8) });
    const epoch = state.jobs.get("j")?.assignments.get("a")?.epoch;
    step(state, { type: "JobCancelled", job: "j", reason: "its driver was away" });
    step(state, { type: "JobSubmitted", request: job(8) });
    const reason = "no memory";
    expect(step(state, { type: "JobRefused", agent: "a", job: "j", epoch, reason })).toEqual([]);
  });

  it("tells a new host of jobs in the order of their priorities", () => {
    const state = emptyHeadState();
    step(state, { type: "JobSubmitted", request: job(4) });
    step(state, { type: "JobSubmitted", request: { ...job(4), job: "high", priority: 1 } });
    const joined = step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    expect(joined.map((effect) => [effect.type, "job" in effect && effect.job])).toEqual([
      ["OpenJob", "high"],
      ["Lease", "high"],
      ["OpenJob", "j"],
    ]);
  });

  it("copies no slow chunks to a host that has something of higher priority to do", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(2) });
    const second = { start: 1, end: 2 };
    step(state, { type: "RangeSettled", agent: "b", job: "j", chunks: second }, 100);
    step(state, { type: "WorkWanted", agent: "b", job: "j" }, 100);
    step(state, { type: "JobSubmitted", request: { ...job(40), job: "high", priority: 1 } }, 200);
    expect(step(state, { type: "Tick" }, 10_000)).toEqual([]);
  });

  it("leases a host no less than it fits in a moment, nor more than its fair share", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(1000) });
    // Chunks of 2 ms on two hosts: 250 in 250 ms.
    const chunks = { start: 0, end: 250 };
    step(state, { type: "RangeSettled", agent: "a", job: "j", chunks }, 250);
    const sizes: number[] = [];
    while (state.jobs.get("j")!.pending.size > 0) {
      const [effect] = step(state, { type: "WorkWanted", agent: "a", job: "j" }, 250);
      if (effect.type === "Lease") sizes.push(effect.chunks.end - effect.chunks.start);
    }
    expect(sizes.slice(-10)).toEqual([59, 50, 50, 39, 19, 10, 5, 2, 1, 1]);
  });

  it("has hosts send again what may be lost with a driver, and leases nothing that it has", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(8) });
    expect(state.jobs.get("j")?.assignments.get("a")?.leased.ranges()).toEqual([
      { start: 0, end: 4 },
    ]);
    step(state, { type: "DriverAway", job: "j" });
    const settled = [
      { start: 0, end: 4 },
      { start: 4, end: 6 },
    ];
    const back = step(state, { type: "DriverBack", job: "j", settled }, 10_000);
    const leased = back.flatMap((effect) => (effect.type === "Lease" ? [effect.chunks] : []));
    expect(leased).toEqual([{ start: 6, end: 7 }]);
    const keeps = leased;
    expect(back).toContainEqual({
      type: "AdoptJob",
      agent: "a",
      job: "j",
      epoch: 2,
      slots: 1,
      keeps,
    });
    const stale = { type: "WorkWanted", agent: "a", job: "j", epoch: 1 } as const;
    expect(step(state, stale)).toEqual([]);
  });

  it("ignores words about an earlier opening", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(8) });
    step(state, { type: "AgentLeft", agent: "a", isDeath: true });
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    const ranges = [{ start: 0, end: 8 }];
    const stale = {
      type: "RangesReturned",
      agent: "a",
      job: "j",
      ranges,
      isRecall: false,
    } as const;
    expect(step(state, { ...stale, epoch: 1 })).toEqual([]);
  });

  it("takes back a host that a restarted head does not know, with what it holds", () => {
    const state = emptyHeadState();
    const settled = [{ start: 0, end: 4 }];
    step(state, { type: "JobSubmitted", request: { ...job(10), settled } });
    const holds = [
      { job: "j", ranges: [{ start: 3, end: 6 }] },
      { job: "unknown", ranges: [] },
    ];
    const effects = step(state, { type: "AgentJoined", agent: "a", slots: 2, holds });
    expect(effects).toMatchObject([
      { type: "AdoptJob", keeps: [{ start: 4, end: 6 }] },
      { type: "CloseJob", job: "unknown" },
    ]);
    const again = step(state, {
      type: "AgentJoined",
      agent: "a2",
      slots: 2,
      replaces: "a",
      holds: [{ job: "j", ranges: [{ start: 4, end: 6 }] }],
    });
    expect(again).toMatchObject([{ type: "AdoptJob", keeps: [{ start: 4, end: 6 }] }]);
  });
});
