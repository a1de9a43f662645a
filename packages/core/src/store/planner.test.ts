import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkStoreInvariants,
  emptyStoreState,
  type StoreEffect,
  type StoreEvent,
  type StoreState,
  stepStore,
} from "./planner.ts";

function step(state: StoreState, event: StoreEvent): string[] {
  const effects: StoreEffect[] = [];
  stepStore(state, event, effects);
  checkStoreInvariants(state);
  return effects.map(({ type, job }) => `${type} ${job}`);
}

const want = (job: string, bytes: number): StoreEvent => ({ type: "RoomWanted", job, bytes });

describe("the store planner", () => {
  it("grants what there is, defers what must wait for a job, refuses what can never be", () => {
    const state = emptyStoreState(100);
    expect(step(state, want("a", 60))).toEqual(["GrantRoom a"]);
    expect(step(state, want("b", 60))).toEqual(["DeferJob b"]);
    expect(step(state, want("c", 40))).toEqual(["GrantRoom c"]);
    expect(step(state, want("d", 101))).toEqual(["RefuseJob d"]);
  });

  it("lets a job wait for one that is ending", () => {
    const state = emptyStoreState(100);
    step(state, want("a", 60));
    step(state, { type: "JobLeaving", job: "a" });
    expect(step(state, want("b", 60))).toEqual([]);
    expect(step(state, want("c", 10))).toEqual([]);
    expect(step(state, { type: "JobGone", job: "a" })).toEqual(["GrantRoom b", "GrantRoom c"]);
  });

  it("never grants too much and answers everybody once what leaves has left", () => {
    const event = fc.tuple(fc.constantFrom("want", "leave", "gone"), fc.nat(5), fc.nat(120));
    fc.assert(
      fc.property(fc.array(event), (script) => {
        const state = emptyStoreState(100);
        for (const [what, id, bytes] of script) {
          const job = `${id}`;
          if (what === "leave") step(state, { type: "JobLeaving", job });
          else if (what === "gone") step(state, { type: "JobGone", job });
          else if (!state.granted.has(job) && !state.waiting.has(job))
            step(state, want(job, bytes));
        }
        for (const job of [...state.leaving]) step(state, { type: "JobGone", job });
        expect(state.waiting.size).toBe(0);
      }),
    );
  });
});
