import { describe, expect, it } from "vitest";
import type { HeadEffect, MapRequest } from "./events.ts";
import { emptyHeadState } from "./state.ts";
import { job, step, typesOf } from "./testing.ts";

describe("tasks with objects", () => {
  const task = (job: string, makes?: string, ...needs: string[]): MapRequest => ({
    job,
    chunkCount: 1,
    makes,
    needs,
  });
  const first = { start: 0, end: 1 };

  it("run when what they need is made, and make again what was lost with its host", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: task("make", "x") });
    expect(step(state, { type: "JobSubmitted", request: task("use", undefined, "x") })).toEqual([]);
    const made = step(state, { type: "RangeSettled", agent: "a", job: "make", chunks: first });
    expect(made).toContainEqual(expect.objectContaining({ type: "Lease", job: "use" }));
    step(state, { type: "AgentLeft", agent: "a", isDeath: true });
    expect(state.jobs.get("use")?.phase).toBe("blocked");
    const again = step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    expect(again).toContainEqual(expect.objectContaining({ type: "Lease", job: "make" }));
    step(state, { type: "RangeSettled", agent: "b", job: "make", chunks: first });
    step(state, { type: "RangeSettled", agent: "b", job: "use", chunks: first });
    expect(step(state, { type: "ObjectReleased", object: "x" })).toEqual([
      { type: "DropObject", agent: "b", object: "x" },
    ]);
    expect([...state.jobs.keys(), ...state.objects.keys()]).toEqual([]);
  });

  it("fail with what they need", () => {
    const state = emptyHeadState();
    expect(typesOf(step(state, { type: "JobSubmitted", request: task("t", "y", "x") }))).toEqual([
      "FailJob",
    ]);
    step(state, { type: "JobSubmitted", request: task("make", "x") });
    step(state, { type: "JobSubmitted", request: task("use", "y", "x") });
    step(state, { type: "JobSubmitted", request: task("last", undefined, "y") });
    const failed = step(state, { type: "JobCancelled", job: "make", reason: "enough" });
    expect(typesOf(failed)).toEqual(["FailJob", "FailJob", "FailJob"]);
    expect(state.objects.size).toBe(0);
  });
});

describe("actors", () => {
  const call = (job: string, retries = 0): MapRequest => ({
    job,
    chunkCount: 1,
    actor: "c",
    retries,
  });
  const first = { start: 0, end: 1 };
  const leases = (effects: readonly HeadEffect[]) =>
    effects.flatMap((effect) => (effect.type === "Lease" ? [effect.job] : []));

  it("have a slot of their own and take their calls one by one, in order", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 2 });
    step(state, { type: "ActorRequested", actor: "c", restarts: 0 });
    step(state, { type: "JobSubmitted", request: call("1") });
    step(state, { type: "JobSubmitted", request: call("2") });
    const opened = step(state, { type: "JobSubmitted", request: job(9) });
    expect(opened[0]).toMatchObject({ type: "OpenJob", slots: 1 });
    const started = { type: "ActorStarted", agent: "a", actor: "c", incarnation: 1 } as const;
    expect(leases(step(state, started))).toEqual(["1"]);
    const settled = { type: "RangeSettled", agent: "a", job: "1", chunks: first } as const;
    expect(leases(step(state, settled))).toEqual(["2"]);
  });

  it("leave their slot to maps that wait for the host", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "ActorRequested", actor: "c", restarts: 0 });
    expect(typesOf(step(state, { type: "JobSubmitted", request: job(2) }))).toEqual([]);
    const released = step(state, { type: "ActorReleased", actor: "c", reason: "enough" });
    expect(typesOf(released)).toEqual(["StopActor", "OpenJob", "Lease"]);
  });

  it("are started again as often as was asked for; a call under way is lost, or made again", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "ActorRequested", actor: "c", restarts: 1 });
    step(state, { type: "ActorStarted", agent: "a", actor: "c", incarnation: 1 });
    step(state, { type: "JobSubmitted", request: call("once") });
    step(state, { type: "JobSubmitted", request: call("again", 1) });
    const lost = step(state, { type: "AgentLeft", agent: "a", isDeath: true });
    expect(lost).toMatchObject([{ type: "FailJob", job: "once" }]);
    expect(typesOf(step(state, { type: "AgentJoined", agent: "b", slots: 1 }))).toEqual([
      "StartActor",
    ]);
    const started = { type: "ActorStarted", agent: "b", actor: "c", incarnation: 2 } as const;
    expect(leases(step(state, started))).toEqual(["again"]);
    const crashed = { ...started, type: "ActorCrashed", reason: "it threw" } as const;
    expect(typesOf(step(state, crashed))).toEqual(["ActorDied", "CloseJob", "FailJob"]);
    expect([state.actors.size, state.jobs.size]).toEqual([0, 0]);
  });

  it("keep a call that their host has no room for until another job there ends", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 2 });
    step(state, { type: "JobSubmitted", request: job(1) });
    step(state, { type: "ActorRequested", actor: "c", restarts: 0 });
    step(state, { type: "ActorStarted", agent: "a", actor: "c", incarnation: 1 });
    step(state, { type: "JobSubmitted", request: call("1") });
    expect(leases(step(state, { type: "JobDeferred", agent: "a", job: "1" }))).toEqual([]);
    const ended = step(state, { type: "RangeSettled", agent: "a", job: "j", chunks: first });
    expect(leases(ended)).toEqual(["1"]);
    const last = step(state, { type: "RangeSettled", agent: "a", job: "1", chunks: first });
    expect(last).toContainEqual(expect.objectContaining({ type: "CompleteJob", job: "1" }));
  });

  it("are not asked again more often because a host handed a call back that was made again", () => {
    const state = emptyHeadState();
    step(state, { type: "ActorRequested", actor: "c", restarts: 5 });
    step(state, { type: "JobSubmitted", request: call("again", 1) });
    const live = (agent: string, incarnation: number) => {
      step(state, { type: "AgentJoined", agent, slots: 1 });
      return step(state, { type: "ActorStarted", agent, actor: "c", incarnation });
    };
    expect(leases(live("a", 1))).toEqual(["again"]);
    step(state, { type: "AgentLeft", agent: "a", isDeath: true });
    expect(leases(live("b", 2))).toEqual(["again"]);
    const back = { agent: "b", job: "again", ranges: [first], isRecall: false } as const;
    expect(leases(step(state, { type: "RangesReturned", ...back }))).toEqual(["again"]);
    const died = step(state, { type: "AgentLeft", agent: "b", isDeath: true });
    expect(typesOf(died)).toContain("FailJob");
  });

  it("leave no call behind on the host where they crashed", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "ActorRequested", actor: "c", restarts: 1 });
    step(state, { type: "ActorStarted", agent: "a", actor: "c", incarnation: 1 });
    step(state, { type: "JobSubmitted", request: call("again", 1) });
    const crashed = { type: "ActorCrashed", agent: "a", actor: "c", incarnation: 1 } as const;
    expect(step(state, { ...crashed, reason: "it threw" })).toMatchObject([
      { type: "CloseJob", agent: "a", job: "again" },
      { type: "StartActor", agent: "a", incarnation: 2 },
    ]);
  });

  it("move away from a host that is to be left, between two calls", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "ActorRequested", actor: "c", restarts: 0 });
    step(state, { type: "ActorStarted", agent: "a", actor: "c", incarnation: 1 });
    step(state, { type: "JobSubmitted", request: call("1") });
    step(state, { type: "JobSubmitted", request: call("2") });
    step(state, { type: "AgentDraining", agent: "a" });
    step(state, { type: "AgentJoined", agent: "b", slots: 1 });
    const settled = { type: "RangeSettled", agent: "a", job: "1", chunks: first } as const;
    expect(step(state, settled).slice(-2)).toMatchObject([
      { type: "StopActor", agent: "a" },
      { type: "StartActor", agent: "b" },
    ]);
  });
});
