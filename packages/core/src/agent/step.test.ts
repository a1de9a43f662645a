import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AgentEffect, AgentEvent } from "./events.ts";
import { type AgentState, checkAgentInvariants, emptyAgentState, heldJobs } from "./state.ts";
import { stepAgent } from "./step.ts";

const opened: AgentEvent = {
  type: "JobOpened",
  job: "j",
  epoch: 1,
  slots: 2,
  chunksPerRun: 4,
  windowBytes: 100,
};

function step(state: AgentState, event: AgentEvent): AgentEffect[] {
  const effects: AgentEffect[] = [];
  stepAgent(state, event, effects);
  checkAgentInvariants(state);
  return effects;
}

function leased(start: number, end: number, isCareful = false): AgentEvent {
  return { type: "Leased", job: "j", epoch: 1, chunks: { start, end }, isCareful };
}

/** A host with chunks 0 to 9 with its threads. */
function working(): AgentState {
  const state = emptyAgentState();
  step(state, opened);
  step(state, leased(0, 10));
  step(state, { type: "SignalsHere", job: "j", chunks: { start: 0, end: 10 } });
  return state;
}

const fitted = (start: number, end: number, busySlots = 2): AgentEvent => ({
  type: "ChunksFitted",
  job: "j",
  ranges: [{ start, end }],
  busySlots,
});

describe("the host's half of the scheduler", () => {
  it("fetches signals, opens chunks to the threads, and asks before they run dry", () => {
    const state = emptyAgentState();
    expect(step(state, opened)).toEqual([]);
    const chunks = { start: 0, end: 10 };
    expect(step(state, leased(0, 10))).toEqual([{ type: "FetchSignals", job: "j", chunks }]);
    const here: AgentEvent = { type: "SignalsHere", job: "j", chunks };
    expect(step(state, here)).toEqual([{ type: "MakeReady", job: "j", chunks }]);
    expect(step(state, fitted(0, 3))).toEqual([{ type: "Gather", job: "j" }]);
    expect(step(state, { type: "SendDue", job: "j" })).toMatchObject([{ type: "SendRun" }]);
    expect(step(state, fitted(3, 6))).toEqual([]);
    // One chunk is left that nobody has begun, and there are two slots.
    expect(step(state, fitted(6, 7))).toEqual([{ type: "AskForWork", job: "j", epoch: 1 }]);
    expect(step(state, fitted(7, 8))).toEqual([]);
    expect(step(state, leased(10, 11))).toMatchObject([
      { type: "FetchSignals" },
      { type: "AskForWork" },
    ]);
  });

  it("asks the sooner the shorter its chunks are", () => {
    const state = working();
    const [early] = step(state, {
      ...(fitted(0, 3) as Extract<AgentEvent, { type: "ChunksFitted" }>),
      chunksAhead: 6,
    });
    expect(early).toEqual({ type: "AskForWork", job: "j", epoch: 1 });
  });

  it("sends results in runs, within its window, and forgets them when they are settled", () => {
    const state = working();
    const run = { type: "SendRun", job: "j", epoch: 1 };
    // A frame is full.
    expect(step(state, fitted(0, 9))).toContainEqual({ ...run, chunks: { start: 0, end: 4 } });
    const sent: AgentEvent = { type: "RunSent", job: "j", epoch: 1, bytes: 60 };
    expect(step(state, sent)).toEqual([{ ...run, chunks: { start: 4, end: 8 } }]);
    expect(step(state, sent)).toEqual([]);
    expect(step(state, { type: "Credited", job: "j", epoch: 0, bytes: 60 })).toEqual([]);
    expect(step(state, { type: "Credited", job: "j", epoch: 1, bytes: 60 })).toEqual([
      { type: "Gather", job: "j" },
    ]);
    expect(step(state, { type: "SendDue", job: "j" })).toEqual([
      { ...run, chunks: { start: 8, end: 9 } },
    ]);
    step(state, { type: "Settled", job: "j", chunks: { start: 0, end: 8 } });
    expect(heldJobs(state)).toEqual([{ job: "j", ranges: [{ start: 8, end: 10 }] }]);
  });

  it("hands the tail back that no thread has begun, and answers when there is none", () => {
    const state = working();
    const chunks = { start: 6, end: 10 };
    const recalled: AgentEvent = { type: "Recalled", job: "j", epoch: 1, chunks };
    expect(step(state, recalled)).toEqual([
      { type: "Withdraw", job: "j", chunks, purpose: "recall" },
    ]);
    const answer = { type: "ReturnRanges", job: "j", epoch: 1, isRecall: true };
    const ranges = [{ start: 8, end: 10 }];
    expect(step(state, { type: "Withdrawn", job: "j", ranges, purpose: "recall" })).toEqual([
      { type: "ForgetChunks", job: "j", chunks: ranges[0] },
      { ...answer, ranges },
    ]);
    expect(step(state, { type: "Withdrawn", job: "j", ranges: [], purpose: "recall" })).toEqual([
      { ...answer, ranges: [] },
    ]);
  });

  it("keeps to itself while no head knows it, and sends again what was not settled", () => {
    const state = working();
    step(state, fitted(0, 5));
    step(state, { type: "SendDue", job: "j" });
    step(state, { type: "HeadLost" });
    expect(step(state, { type: "RunSent", job: "j", epoch: 1, bytes: 60 })).toEqual([]);
    expect(step(state, fitted(5, 10, 0))).toEqual([]);
    const keeps = [{ start: 0, end: 8 }];
    expect(step(state, { type: "JobAdopted", job: "j", epoch: 7, keeps })).toEqual([
      { type: "ForgetChunks", job: "j", chunks: { start: 8, end: 10 } },
      { type: "SendRun", job: "j", epoch: 7, chunks: { start: 0, end: 4 } },
      { type: "AskForWork", job: "j", epoch: 7 },
    ]);
    expect(step(state, leased(20, 30))).toEqual([]);
  });

  it("says again to a head that takes it in what the last one may not have heard", () => {
    const state = working();
    const reason = "it threw";
    const failure = { type: "ExecutionFailed", job: "j", reason } as const;
    const thrown = { chunks: { start: 1, end: 2 }, failure: "application" } as const;
    const tooLarge = { chunks: { start: 3, end: 4 }, failure: "outOfMemory" } as const;
    step(state, { type: "HeadLost" });
    step(state, { ...failure, ...thrown });
    step(state, { ...failure, ...tooLarge });
    const keeps = [{ start: 0, end: 10 }];
    const said = step(state, { type: "JobAdopted", job: "j", epoch: 7, keeps });
    expect(said.slice(0, 2)).toEqual([
      { type: "ReportFailure", job: "j", epoch: 7, ...thrown, reason },
      { type: "ReportFailure", job: "j", epoch: 7, ...tooLarge, reason },
    ]);
    expect(step(state, { type: "JobAdopted", job: "k", epoch: 2, keeps: [] })).toEqual([
      { type: "DeferJob", job: "k", epoch: 2 },
    ]);
  });

  it("runs suspects alone", () => {
    const state = emptyAgentState();
    step(state, opened);
    step(state, leased(0, 2));
    step(state, leased(2, 3, true));
    expect(step(state, { type: "SignalsHere", job: "j", chunks: { start: 0, end: 3 } })).toEqual([
      { type: "RunCarefully", job: "j", chunks: { start: 2, end: 3 } },
      { type: "MakeReady", job: "j", chunks: { start: 0, end: 2 } },
    ]);
  });

  it("takes nothing new when it is to leave", () => {
    const state = working();
    expect(step(state, { type: "Draining" })).toMatchObject([{ type: "Withdraw" }]);
    expect(step(state, leased(10, 12))).toMatchObject([{ type: "ReturnRanges", isRecall: false }]);
    expect(step(state, fitted(0, 10, 0))).toMatchObject([{ type: "SendRun" }]);
  });

  it("never contradicts itself", () => {
    const event = fc.tuple(fc.nat(10), fc.nat(19), fc.nat(5), fc.boolean());
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100 }), (script) => {
        const state = emptyAgentState();
        let epoch = 1;
        step(state, opened);
        for (const [what, start, length, flag] of script) {
          const chunks = { start, end: start + 1 + length };
          const ranges = [chunks];
          const purpose = flag ? "recall" : "drain";
          const events: AgentEvent[] = [
            { type: "Leased", job: "j", epoch, chunks, isCareful: flag },
            { type: "SignalsHere", job: "j", chunks },
            { type: "ChunksFitted", job: "j", ranges, busySlots: length % 3 },
            { type: "Withdrawn", job: "j", ranges, purpose },
            { type: "SendDue", job: "j" },
            { type: "RunSent", job: "j", epoch, bytes: 50 },
            { type: "Credited", job: "j", epoch, bytes: 50 },
            { type: "Settled", job: "j", chunks },
            { type: "HeadLost" },
            { type: "JobAdopted", job: "j", epoch: ++epoch, keeps: ranges },
            { type: "Recalled", job: "j", epoch, chunks },
          ];
          const held = state.jobs.get("j")!.leased;
          if (what === 0 && held.intersects(chunks)) continue;
          step(state, events[what]);
        }
      }),
    );
  });
});
