import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HeadEffect, HeadEvent, MapRequest } from "./events.ts";
import { checkHeadInvariants } from "./invariants.ts";
import { emptyHeadState, type HeadState } from "./state.ts";
import { stepHead } from "./step.ts";

const job = (chunkCount: number, slotLimit?: number): MapRequest => ({
  job: "j",
  chunkCount,
  slotLimit,
});

type Untimed<E> = E extends HeadEvent ? Omit<E, "nowMs" | "epoch"> & { epoch?: number } : never;

/** Steps at a time, by default 0, with the epoch of the present opening. */
function step(state: HeadState, event: Untimed<HeadEvent>, nowMs = 0): HeadEffect[] {
  const effects: HeadEffect[] = [];
  const { job, agent, epoch } = event as { job?: string; agent?: string; epoch?: number };
  const present = state.jobs.get(job ?? "")?.assignments.get(agent ?? "")?.epoch ?? 0;
  stepHead(state, { epoch: epoch ?? present, ...event, nowMs } as HeadEvent, effects);
  checkHeadInvariants(state);
  return effects;
}

const typesOf = (effects: readonly HeadEffect[]) =>
  effects.map((effect) => effect.type).filter((type) => type !== "RecordSettled");

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

  it("leases alone and carefully what was lost with several hosts, and gives up in the end", () => {
    const state = emptyHeadState();
    step(state, { type: "JobSubmitted", request: job(2) });
    let failure: HeadEffect | undefined;
    for (let death = 1; death <= 20; death++) {
      const agent = `a${death}`;
      const [, lease] = step(state, { type: "AgentJoined", agent, slots: 2 });
      expect(lease).toMatchObject({ type: "Lease", isCareful: death > 3 });
      failure = step(state, { type: "AgentLeft", agent, isDeath: true }).at(-1);
    }
    expect(failure).toMatchObject({ type: "FailJob" });
  });

  it("lets chunks rest that ran out of memory", () => {
    const state = emptyHeadState();
    step(state, { type: "AgentJoined", agent: "a", slots: 1 });
    step(state, { type: "JobSubmitted", request: job(1) });
    const chunks = { start: 0, end: 1 };
    const failed = { agent: "a", job: "j", chunks, failure: "outOfMemory", reason: "x" } as const;
    expect(step(state, { type: "RangeFailed", ...failed })).toEqual([]);
    expect(step(state, { type: "Tick" }, 999)).toEqual([]);
    expect(typesOf(step(state, { type: "Tick" }, 1000))).toEqual(["Lease"]);
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
          "no worker can run this fit: it needs 2.00 GiB of object memory on a host, and may use 1.00 GiB there",
      },
    ]);
    expect(state.ended.at(-1)?.outcome).toContain("no worker can run this fit");
  });

  it("drops a job whose driver stays away", () => {
    const state = emptyHeadState();
    step(state, { type: "JobSubmitted", request: job(3) });
    step(state, { type: "DriverAway", job: "j" }, 0);
    expect(step(state, { type: "Tick" }, 59_000)).toEqual([]);
    step(state, { type: "DriverBack", job: "j", settled: [{ start: 0, end: 2 }] }, 59_500);
    expect(step(state, { type: "Tick" }, 70_000)).toEqual([]);
    expect(state.jobs.get("j")?.settled.size).toBe(2);
    step(state, { type: "DriverAway", job: "j" }, 70_000);
    expect(typesOf(step(state, { type: "Tick" }, 140_000))).toEqual(["FailJob"]);
  });
});

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

describe("whatever happens", () => {
  const agents = ["a", "b", "c"];
  const script = fc.array(fc.tuple(fc.nat(17), fc.constantFrom(...agents), fc.nat(1000)), {
    maxLength: 150,
  });

  it("the scheduler does not contradict itself, and maps end once the trouble does", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), script, (n, events) => {
        const state = emptyHeadState();
        const ended = new Map<string, number>();
        let nowMs = 0;
        let calls = 0;
        const apply = (event: Untimed<HeadEvent>) => {
          nowMs += 100;
          for (const effect of step(state, event, nowMs)) {
            if (effect.type !== "CompleteJob" && effect.type !== "FailJob") continue;
            ended.set(effect.job, (ended.get(effect.job) ?? 0) + 1);
          }
        };
        const submit = (request: MapRequest) => apply({ type: "JobSubmitted", request });
        submit(job(n));
        submit({ ...job(n, 2), job: "k", priority: 1 });
        apply({ type: "ActorRequested", actor: "c", restarts: 1_000 });
        for (const [what, agent, salt] of events) {
          const id = salt % 2 === 0 ? "j" : "k";
          const held = state.jobs.get(id)?.assignments.get(agent)?.leased.ranges().at(-1);
          const chunks = held && { start: held.start, end: held.start + 1 };
          const isHere = state.agents.has(agent);
          if (what === 0 && !isHere) apply({ type: "AgentJoined", agent, slots: 1 + (salt % 8) });
          else if (what === 1) apply({ type: "AgentLeft", agent, isDeath: salt % 50 === 0 });
          else if (what === 2) apply({ type: "AgentAway", agent });
          else if (what === 3) apply({ type: "AgentBack", agent });
          else if (what === 4) apply({ type: "AgentDraining", agent });
          else if (what === 5) apply({ type: "JobDeferred", agent, job: id });
          else if (what === 6) apply({ type: "Tick" });
          else if (what === 7) apply({ type: "WorkWanted", agent, job: id });
          else if (what === 8 && chunks)
            apply({
              type: "RangeFailed",
              agent,
              job: id,
              chunks,
              failure: "outOfMemory",
              reason: "x",
            });
          else if (what === 9 && state.jobs.has(id)) {
            const start = salt % n;
            const late = { start, end: start + 1 };
            apply({ type: "RangeSettled", agent, job: id, chunks: late });
          } else if (what === 10 && isHere)
            apply({
              type: "AgentJoined",
              agent: `${agent}${nowMs}`,
              slots: 2,
              replaces: agent,
              holds: [{ job: id, ranges: held ? [held] : [] }],
            });
          else if (what === 11 && !state.objects.has("x"))
            submit({ job: "make", chunkCount: 1, makes: "x" });
          else if (what === 12 && state.objects.has("x"))
            submit({ job: `use${++calls}`, chunkCount: 1, needs: ["x"] });
          else if (what === 13 && state.actors.has("c"))
            submit({ job: `call${++calls}`, chunkCount: 1, actor: "c", retries: salt % 2 });
          else if (what === 14 && state.actors.get("c")?.phase === "starting") {
            const { agent: where, incarnation } = state.actors.get("c")!;
            apply({ type: "ActorStarted", agent: where!, actor: "c", incarnation });
          } else if (what === 15)
            apply({ type: "RangesReturned", agent, job: id, ranges: [], isRecall: true });
          else if (what === 16 && held)
            apply({ type: "RangesReturned", agent, job: id, ranges: [held], isRecall: true });
          else if (what === 17 && chunks) apply({ type: "RangeSettled", agent, job: id, chunks });
        }
        for (const agent of [...state.agents.keys()]) {
          apply({ type: "AgentLeft", agent, isDeath: false });
        }
        apply({ type: "AgentJoined", agent: "z", slots: 3 });
        for (let round = 0; state.jobs.size > 0; round++) {
          expect(round).toBeLessThan(200);
          nowMs += 20_000;
          apply({ type: "Tick" });
          const actor = state.actors.get("c");
          if (actor?.phase === "starting") {
            const { incarnation } = actor;
            apply({ type: "ActorStarted", agent: "z", actor: "c", incarnation });
          }
          for (const [id, { assignments }] of [...state.jobs]) {
            apply({ type: "WorkWanted", agent: "z", job: id });
            for (const chunks of [...(assignments.get("z")?.leased.ranges() ?? [])]) {
              apply({ type: "RangeSettled", agent: "z", job: id, chunks });
            }
          }
        }
        expect([ended.get("j"), ended.get("k")]).toEqual([1, 1]);
      }),
      { numRuns: 500 },
    );
  });
});
