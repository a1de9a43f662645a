import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkPagesInvariants,
  emptyPagesState,
  type PagesEffect,
  type PagesEvent,
  type PagesState,
  stepPages,
  type WantedPage,
} from "./pages.ts";

function step(state: PagesState, event: PagesEvent): PagesEffect[] {
  const effects: PagesEffect[] = [];
  stepPages(state, event, effects);
  checkPagesInvariants(state);
  return effects;
}

function told(state: PagesState, event: PagesEvent): string[] {
  return step(state, event).map((effect) => {
    if (effect.type === "Grant") return `Grant ${effect.request}`;
    return `${effect.type} ${effect.id}${effect.type === "Load" ? ` from ${effect.from}` : ""}`;
  });
}

const block = (id: number, bytes = 10): WantedPage => ({ id, bytes, isScratch: false });
const result = (id: number, bytes = 10): WantedPage => ({ id, bytes, isScratch: true });
const want = (owner: string, request: number, ...pages: WantedPage[]): PagesEvent => ({
  type: "PortionWanted",
  owner,
  request,
  pages,
});
const loaded = (owner: string, id: number): PagesEvent => ({ type: "PageLoaded", owner, id });
const release = (owner: string, request: number, ...pages: number[]): PagesEvent => ({
  type: "PagesReleased",
  owner,
  request,
  pages,
});
const came = (owner: string, minBytes: number): PagesEvent => ({
  type: "OwnerCame",
  owner,
  minBytes,
});

describe("the pages of a host", () => {
  it("grants a portion when all its pages are here, and drops results that nobody has", () => {
    const state = emptyPagesState(100);
    step(state, came("a", 20));
    const asked = ["Load 0 from source", "Load 100 from nothing"];
    expect(told(state, want("a", 1, block(0), result(100)))).toEqual(asked);
    expect(told(state, loaded("a", 100))).toEqual([]);
    expect(told(state, loaded("a", 0))).toEqual(["Grant 1"]);
    expect(told(state, release("a", 1, 0))).toEqual([]);
    expect(told(state, release("a", 1, 100))).toEqual(["Drop 100"]);
    expect(state.residentBytes).toBe(10);
    expect(told(state, want("a", 2, block(0)))).toEqual(["Grant 2"]);
  });

  it("spills the least recently used block that no chunk has, and restores it", () => {
    const state = emptyPagesState(20);
    step(state, came("a", 10));
    for (const id of [0, 1]) {
      step(state, want("a", id, block(id)));
      step(state, loaded("a", id));
      step(state, release("a", id, id));
    }
    expect(told(state, want("a", 2, block(2)))).toEqual(["Spill 0"]);
    const spilled: PagesEvent = { type: "PageSpilled", owner: "a", id: 0, isOnDisk: true };
    expect(told(state, spilled)).toEqual(["Drop 0", "Load 2 from source"]);
    step(state, loaded("a", 2));
    step(state, { type: "PageSpent", owner: "a", id: 1 });
    expect(told(state, want("a", 3, block(0)))).toEqual(["Drop 1", "Load 0 from disk"]);
    const damaged: PagesEvent = { type: "CopyLost", owner: "a", id: 0 };
    expect(told(state, damaged)).toEqual(["Load 0 from source"]);
  });

  it("forgets a block that nobody wants any more, and asks again for one that is wanted again", () => {
    const state = emptyPagesState(10);
    step(state, came("a", 10));
    step(state, want("a", 0, block(0)));
    step(state, release("a", 0, 0));
    const givenUp: PagesEvent = { type: "LoadGivenUp", owner: "a", id: 0 };
    expect(told(state, givenUp)).toEqual(["Drop 0"]);
    step(state, want("a", 1, block(0)));
    expect(told(state, givenUp)).toEqual(["Load 0 from source"]);
  });

  it("drops what cannot be spilled: its source has it", () => {
    const state = emptyPagesState(10);
    step(state, came("a", 10));
    step(state, want("a", 0, block(0)));
    step(state, loaded("a", 0));
    step(state, release("a", 0, 0));
    expect(told(state, want("a", 1, block(1)))).toEqual(["Spill 0"]);
    const full: PagesEvent = { type: "PageSpilled", owner: "a", id: 0, isOnDisk: false };
    expect(told(state, full)).toEqual(["Drop 0", "Load 1 from source"]);
  });

  it("gives the place on disk back of a block that nobody will want again", () => {
    const state = emptyPagesState(10);
    step(state, came("a", 10));
    step(state, want("a", 0, block(0)));
    step(state, loaded("a", 0));
    step(state, release("a", 0, 0));
    step(state, want("a", 1, block(1)));
    step(state, { type: "PageSpilled", owner: "a", id: 0, isOnDisk: true });
    const spent: PagesEvent = { type: "PageSpent", owner: "a", id: 0 };
    expect(told(state, spent)).toEqual(["FreeCopy 0"]);
    expect(told(state, spent)).toEqual([]);
    step(state, loaded("a", 1));
    step(state, release("a", 1, 1));
    step(state, { type: "PageSpent", owner: "a", id: 1 });
    expect(told(state, want("a", 2, block(0)))).toEqual(["Drop 1", "Load 0 from source"]);
  });

  it("keeps a block that is wanted while it is being written", () => {
    const state = emptyPagesState(10);
    step(state, came("a", 10));
    step(state, want("a", 0, block(0)));
    step(state, loaded("a", 0));
    step(state, release("a", 0, 0));
    step(state, want("a", 1, block(1)));
    step(state, release("a", 1, 1));
    expect(told(state, want("a", 2, block(0)))).toEqual(["Grant 2"]);
    expect(told(state, { type: "PageSpilled", owner: "a", id: 0, isOnDisk: true })).toEqual([]);
  });

  it("shares what is left between fits, and lets neither shut the other out", () => {
    const state = emptyPagesState(60);
    step(state, came("a", 10));
    step(state, came("b", 20));
    for (let i = 0; i < 6; i++) step(state, want("a", i, block(i)));
    // 10 of its own and half of the 30 that nobody needs at least.
    expect(state.owners.get("a")?.pinnedBytes).toBe(20);
    expect(told(state, want("b", 0, block(0, 20)))).toEqual(["Load 0 from source"]);
  });

  it("never takes more than there is and grants every portion in the end", () => {
    const portion = fc.record({
      owner: fc.constantFrom("a", "b", "c"),
      ids: fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 3 }),
      scratch: fc.boolean(),
    });
    const choices = fc.array(fc.nat(), { minLength: 60, maxLength: 60 });
    const property = (
      portions: { owner: string; ids: number[]; scratch: boolean }[],
      random: number[],
      limit: number,
    ) => {
      const state = emptyPagesState(limit);
      for (const owner of ["a", "b", "c"]) step(state, came(owner, 40));
      const open = new Map<number, { owner: string; ids: number[]; kept: boolean }>();
      const todo: PagesEvent[] = portions.map(({ owner, ids, scratch }, request) => {
        const pages = ids.map((id) => block(id));
        if (scratch) pages.push(result(100 + ids[0]));
        const all = pages.map(({ id }) => id);
        open.set(request, { owner, ids: all, kept: true });
        return want(owner, request, ...pages);
      });
      let granted = 0;
      for (let i = 0; todo.length > 0; i++) {
        expect(i).toBeLessThan(5_000);
        const [event] = todo.splice(random[i % random.length] % todo.length, 1);
        for (const effect of step(state, event)) {
          const { owner } = effect;
          if (effect.type === "Load") {
            const isDamaged = effect.from === "disk" && random[i % random.length] % 3 === 0;
            if (isDamaged) todo.push({ type: "CopyLost", owner, id: effect.id });
            else todo.push(loaded(owner, effect.id));
          } else if (effect.type === "Spill") {
            const isOnDisk = random[(i + 7) % random.length] % 2 === 0;
            todo.push({ type: "PageSpilled", owner, id: effect.id, isOnDisk });
          } else if (effect.type === "Grant") {
            granted++;
            const { ids } = open.get(effect.request)!;
            if (random[i % random.length] % 2 === 0)
              todo.push({ type: "PageSpent", owner, id: ids[0] });
            for (const id of ids) todo.push(release(owner, effect.request, id));
          }
        }
      }
      expect(granted).toBe(portions.length);
      expect([...state.owners.values()].every(({ pinnedBytes }) => pinnedBytes === 0)).toBe(true);
      for (const owner of ["a", "b", "c"]) step(state, { type: "OwnerGone", owner });
      expect(state.residentBytes).toBe(0);
    };
    fc.assert(
      fc.property(
        fc.array(portion, { minLength: 1, maxLength: 12 }),
        choices,
        fc.integer({ min: 120, max: 200 }),
        property,
      ),
      { numRuns: 400 },
    );
  });
});
