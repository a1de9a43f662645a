import { describe, expect, it } from "vitest";
import { emptyHeadState, type HeadState } from "./state.ts";
import { job, step } from "./testing.ts";
import { explain, story } from "./why.ts";

const why = (state: HeadState, id: string, nowMs = 0) => explain(state, nowMs, id)[0]?.sentence;

describe("why", () => {
  it("names what a job waits for: workers, room, its driver, a rival, the last chunks", () => {
    const state = emptyHeadState();
    step(state, { type: "JobSubmitted", request: { ...job(4), memoryBytes: 10 } });
    expect(why(state, "j")).toMatch(/waits for a worker: none has joined/);
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    expect(why(state, "j")).toBe(
      "It is being fitted: 0 of 4 chunks are settled, 2 are not given out yet, and of the others a has 2.",
    );
    step(state, { type: "JobSubmitted", request: { ...job(4), job: "k" } });
    step(state, { type: "JobDeferred", agent: "a", job: "k" });
    expect(why(state, "k")).toMatch(/a has no room for it beside job j/);
    step(state, { type: "JobSubmitted", request: { ...job(40), job: "high", priority: 2 } });
    step(state, { type: "RangeSettled", agent: "a", job: "j", chunks: { start: 0, end: 2 } });
    expect(why(state, "j")).toMatch(/waits for job high, which has a higher priority/);
    expect(why(state, "a")).toMatch(/Job j waits there for job high/);
    step(state, { type: "JobCancelled", job: "high", reason: "enough" });
    step(state, { type: "WorkWanted", agent: "a", job: "j" });
    expect(why(state, "j", 4_000)).toMatch(
      /last 2 chunks: a has 2, the slowest with no news for 4.0 s; 2 of 4 chunks are settled/,
    );
    step(state, { type: "DriverAway", job: "j" }, 1_000);
    expect(why(state, "j", 2_000)).toMatch(/waits for its driver, which cannot be reached/);
    expect(why(state, "nothing")).toBeUndefined();
  });

  it("tells what a job needs of a host's memory beside others, and what helps", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1, memoryBytes: 3 << 20 });
    step(state, { type: "JobSubmitted", request: job(4) });
    step(state, { type: "JobSubmitted", request: { ...job(4), job: "k", memoryBytes: 2 << 20 } });
    step(state, { type: "JobDeferred", agent: "a", job: "k" });
    const room =
      "a chunk needs 2 MiB of its 3 MiB of object memory: raise --object-memory there, or use more chunks";
    expect(why(state, "k")).toBe(
      `It waits for a worker that can take it: a has no room for it beside job j (${room}).`,
    );
    expect(why(state, "a")).toContain(`it has no room yet for job k (${room}).`);
  });

  it("names those that nobody can be had of, and only some of a thousand", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(4) });
    step(state, { type: "AgentDraining", agent: "a" });
    const ranges = [{ start: 0, end: 2 }];
    step(state, { type: "RangesReturned", agent: "a", job: "j", ranges, isRecall: false });
    expect(why(state, "j")).toBe(
      "It waits for its workers: a takes no new work, it is to be left; 0 of 4 chunks are settled.",
    );
    step(state, { type: "JobSubmitted", request: { ...job(100_000), job: "big" } });
    for (let i = 0; i < 1_000; i++) step(state, { type: "AgentJoined", agent: `x${i}`, slots: 1 });
    expect(why(state, "big")).toMatch(/x8 has \d+, x9 has \d+, 990 more\.$/);
  });

  it("says what became of those that ended, and tells the story", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1, memoryBytes: 5 });
    step(state, { type: "JobSubmitted", request: { ...job(4), memoryBytes: 2 ** 30 } });
    expect(why(state, "j")).toMatch(
      /It has ended: no worker can run this fit: a chunk needs 1024 MiB/,
    );
    expect(story(state, "j")?.map(({ text }) => text)[0]).toBe("submitted with 4 chunks");
    expect(story(state, "nobody")).toBeUndefined();
  });
});
