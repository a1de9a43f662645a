import { describe, expect, it } from "vitest";
import type { HeadEffect } from "./events.ts";
import { emptyHeadState } from "./state.ts";
import { job, step, typesOf } from "./testing.ts";

describe("a job that hosts cannot run, or that takes them down", () => {
  it("leases alone and carefully what was lost with several hosts, and gives up in the end", () => {
    const state = emptyHeadState();
    step(state, { type: "JobSubmitted", request: job(2) });
    let failure: HeadEffect | undefined;
    for (let death = 1; death <= 30; death++) {
      const agent = `a${death}`;
      const [, lease] = step(state, { type: "AgentJoined", agent, slots: 2 });
      expect(lease).toMatchObject({ type: "Lease", isCareful: death > 5 });
      failure = step(state, { type: "AgentLeft", agent, isDeath: true }).at(-1);
    }
    expect(failure).toMatchObject({ type: "FailJob" });
  });

  it("lets a host rest that ran out of memory, twice as long each time, and in the end does without it", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(1) });
    const chunks = { start: 0, end: 1 };
    const failed = { agent: "a", job: "j", chunks, failure: "outOfMemory", reason: "x" } as const;
    let nowMs = 0;
    for (const restMs of [1_000, 2_000, 4_000, 8_000, 16_000]) {
      const closed = step(state, { type: "RangeFailed", ...failed }, nowMs);
      expect(typesOf(closed)).toEqual(["CloseJob"]);
      expect(step(state, { type: "Tick" }, nowMs + restMs - 1)).toEqual([]);
      nowMs += restMs;
      expect(typesOf(step(state, { type: "Tick" }, nowMs))).toEqual(["OpenJob", "Lease"]);
    }
    expect(step(state, { type: "RangeFailed", ...failed }, nowMs).at(-1)).toEqual({
      type: "FailJob",
      job: "j",
      reason: "no worker can run this fit: memory ran out 6 times: x",
    });
  });

  it("lets a host rest for one job, though another runs out of memory there as well", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(1) });
    step(state, { type: "JobSubmitted", request: { job: "k", chunkCount: 1 } });
    const chunks = { start: 0, end: 1 };
    const failed = { agent: "a", chunks, failure: "outOfMemory", reason: "x" } as const;
    expect(typesOf(step(state, { type: "RangeFailed", job: "j", ...failed }))).toEqual([
      "CloseJob",
    ]);
    expect(typesOf(step(state, { type: "RangeFailed", job: "k", ...failed }))).toEqual([
      "CloseJob",
    ]);
    expect(typesOf(step(state, { type: "Tick" }, 1_000))).toEqual([
      "OpenJob",
      "Lease",
      "OpenJob",
      "Lease",
    ]);
  });

  it("gives what a host without memory had to others at once", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(2) });
    step(state, { type: "RangeSettled", agent: "b", job: "j", chunks: { start: 1, end: 2 } });
    const chunks = { start: 0, end: 1 };
    const failed = { agent: "a", job: "j", chunks, failure: "outOfMemory", reason: "x" } as const;
    expect(step(state, { type: "RangeFailed", ...failed })).toMatchObject([
      { type: "CloseJob", agent: "a" },
      { type: "Lease", agent: "b", chunks },
    ]);
  });

  it("asks a second host before it believes that a map's kernel fails, where there is one", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(2) });
    const first = { start: 0, end: 1 };
    const failed = { job: "j", chunks: first, failure: "application", reason: "x" } as const;
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    expect(step(state, { type: "RangeFailed", agent: "a", ...failed })).toMatchObject([
      { type: "CloseJob", agent: "a" },
    ]);
    expect(state.jobs.has("j")).toBe(true);
    expect(step(state, { type: "RangeFailed", agent: "b", ...failed }).at(-1)).toMatchObject({
      type: "FailJob",
      reason: "x",
    });
  });

  it("takes a host that comes back under another name for the one it was", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(2) });
    const chunks = { start: 0, end: 1 };
    const failed = { job: "j", chunks, failure: "application", reason: "x" } as const;
    step(state, { type: "RangeFailed", agent: "a", ...failed });
    const holds = [{ job: "j", ranges: [chunks] }];
    const back = { agent: "a2", slots: 1, replaces: "a", holds } as const;
    expect(typesOf(step(state, { type: "AgentJoined", ...back }))).toEqual(["CloseJob"]);
    expect([...state.jobs.get("j")!.kernelFailures]).toEqual(["a2"]);
  });

  it("does not let suspects that wait for their turn stop the recall of other chunks", () => {
    const state = emptyHeadState();
    step(state, { type: "JobSubmitted", request: job(40) });
    const join = (agent: string) => step(state, { type: "AgentJoined", agent, slots: 8 });
    const leave = (agent: string) => step(state, { type: "AgentLeft", agent, isDeath: true });
    for (let i = 0; i < 5; i++) {
      join(`dead ${i}`);
      leave(`dead ${i}`);
    }
    const suspects = state.jobs.get("j")!.losses[4];
    expect(suspects.size).toBeGreaterThan(8);
    // Plain chunks lie behind the suspects: the first host takes four of these and then all of those.
    join("a");
    for (let i = 0; i < 20; i++) step(state, { type: "WorkWanted", agent: "a", job: "j" });
    const begun = join("b");
    for (let i = 0; i < 4; i++) {
      begun.push(...step(state, { type: "WorkWanted", agent: "b", job: "j" }));
    }
    const { pending } = state.jobs.get("j")!;
    expect(pending.size).toBeGreaterThan(0);
    begun.push(...step(state, { type: "Tick" }));
    expect(typesOf(begun)).toContain("Recall");
  });

  it("believes the only host there is", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(2) });
    const chunks = { start: 0, end: 1 };
    const failed = { agent: "a", job: "j", chunks, failure: "application", reason: "x" } as const;
    expect(step(state, { type: "RangeFailed", ...failed }).at(-1)).toMatchObject({
      type: "FailJob",
      reason: "x",
    });
  });

  it("says at once that a job is too large for every host", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1, memoryBytes: 2 ** 30 });
    const request = { ...job(1), memoryBytes: 2 ** 31 };
    expect(step(state, { type: "JobSubmitted", request })).toEqual([
      {
        type: "FailJob",
        job: "j",
        reason:
          "no worker can run this fit: a chunk needs 2048 MiB of object memory, and the last worker asked may use 1024 MiB: use more chunks, or raise --object-memory where workers start",
      },
    ]);
    expect(state.ended.at(-1)?.outcome).toContain("no worker can run this fit");
  });

  it("gives a job up when those that could run it have left, and none is back after a while", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "AgentJoined", agent: "small", slots: 1, memoryBytes: 2 ** 30 });
    step(state, { type: "JobSubmitted", request: { ...job(2), memoryBytes: 2 ** 31 } });
    step(state, { type: "AgentLeft", agent: "a", isDeath: true }, 1_000);
    expect(step(state, { type: "Tick" }, 1_000)).toEqual([]);
    expect(step(state, { type: "Tick" }, 10_900)).toEqual([]);
    expect(typesOf(step(state, { type: "Tick" }, 11_000))).toEqual(["FailJob"]);
  });

  it("does not give a fit of the last head up because the first host to be back is too small", () => {
    const request = { ...job(2), memoryBytes: 2 ** 31, patienceMs: 10_000 };
    const small = { type: "AgentJoined", agent: "a", slots: 1, memoryBytes: 2 ** 30 } as const;
    const restarted = emptyHeadState();
    step(restarted, { type: "JobSubmitted", request });
    expect(step(restarted, small, 100)).toEqual([]);
    const holds = [{ job: "j", ranges: [{ start: 0, end: 2 }] }];
    const back = step(restarted, { type: "AgentJoined", agent: "b", slots: 1, holds }, 2_000);
    expect(typesOf(back)).toEqual(["AdoptJob"]);
    expect(step(restarted, { type: "Tick" }, 20_000)).toEqual([]);
    const alone = emptyHeadState();
    step(alone, { type: "JobSubmitted", request });
    step(alone, small, 100);
    expect(step(alone, { type: "Tick" }, 9_000)).toEqual([]);
    expect(typesOf(step(alone, { type: "Tick" }, 10_000))).toEqual(["FailJob"]);
  });

  it("drops a job whose driver stays away", () => {
    const state = emptyHeadState();
    step(state, { type: "JobSubmitted", request: job(3) });
    step(state, { type: "DriverAway", job: "j" }, 0);
    expect(step(state, { type: "Tick" }, 19_000)).toEqual([]);
    step(state, { type: "DriverBack", job: "j", settled: [{ start: 0, end: 2 }] }, 19_500);
    expect(step(state, { type: "Tick" }, 30_000)).toEqual([]);
    expect(state.jobs.get("j")?.settled.size).toBe(2);
    step(state, { type: "DriverAway", job: "j" }, 30_000);
    expect(typesOf(step(state, { type: "Tick" }, 60_000))).toEqual(["FailJob"]);
  });
});
