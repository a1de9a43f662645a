import { describe, expect, it } from "vitest";
import { emptyPagesState, type PagesEvent, type PagesState, stepPages } from "./pages.ts";
import { waitingPortions } from "./waiting.ts";

const step = (state: PagesState, event: PagesEvent) => stepPages(state, event, []);

const want = (request: number, ...ids: number[]): PagesEvent => ({
  type: "PortionWanted",
  owner: "a",
  request,
  pages: ids.map((id) => ({ id, bytes: 10, isScratch: false })),
});

describe("portions that wait for memory", () => {
  it("are those without room, not those whose pages are on their way", () => {
    const state = emptyPagesState(20);
    step(state, { type: "OwnerCame", owner: "a", minBytes: 20 });
    const owner = state.owners.get("a")!;
    expect(waitingPortions(owner)).toEqual({ count: 0, firstBytes: 0 });
    step(state, want(1, 0, 1));
    expect(waitingPortions(owner)).toEqual({ count: 0, firstBytes: 0 });
    step(state, want(2, 1, 2));
    step(state, want(3, 3));
    // Of the first of them, one page is pinned by another already.
    expect(waitingPortions(owner)).toEqual({ count: 2, firstBytes: 10 });
    for (const id of [0, 1]) step(state, { type: "PageLoaded", owner: "a", id });
    for (const id of [0, 1]) step(state, { type: "PageSpent", owner: "a", id });
    step(state, { type: "PagesReleased", owner: "a", request: 1, pages: [0, 1] });
    expect(waitingPortions(owner)).toEqual({ count: 1, firstBytes: 10 });
  });
});
