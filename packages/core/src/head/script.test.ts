import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HeadEvent, MapRequest } from "./events.ts";
import { emptyHeadState } from "./state.ts";
import { job, step, type Untimed } from "./testing.ts";

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
