/**
 * What of a host's fits is in memory. Each fit (owner) has pages: blocks of signals, which can be loaded again, and
 * scratch pages for results. A portion of its chunks asks for all its pages at once and is granted when all are here:
 * it never holds some while it waits for others. Each owner may pin as much as its own largest portion needs, and an
 * equal share of what is left; so portions never wait for each other in a circle, and every one is granted in the end.
 *
 * A pure machine: memory is reserved before `Load`, and given back with `Drop`.
 */

export interface Page {
  readonly id: number;
  readonly bytes: number;
  /** It begins empty and is worth nothing once nobody has it: results on their way. */
  readonly isScratch: boolean;
  /** `absent` takes no memory. */
  place: "absent" | "loading" | "here" | "spilling";
  isOnDisk: boolean;
  /** Portions that have it, or have its place reserved. */
  pins: number;
  /** Nobody will want it again, as far as is known: not worth the disk. */
  isSpent: boolean;
  /** Larger is later. */
  lastUse: number;
}

export interface Portion {
  readonly request: number;
  pages: readonly number[];
  isReserved: boolean;
  isGranted: boolean;
}

export interface PageOwner {
  readonly name: string;
  /** What its largest portion needs. */
  readonly minBytes: number;
  readonly pages: Map<number, Page>;
  /** In the order in which they came. */
  readonly portions: Map<number, Portion>;
  /** Bytes of pages that its portions have, or have reserved. */
  pinnedBytes: number;
}

export interface PagesState {
  readonly limitBytes: number;
  readonly owners: Map<string, PageOwner>;
  /** Bytes of all pages that take memory. */
  residentBytes: number;
  uses: number;
}

/** A page that a portion needs. */
export interface WantedPage {
  readonly id: number;
  readonly bytes: number;
  readonly isScratch: boolean;
}

export type PagesEvent =
  /** A fit has room here; `limitBytes` is shared by all. */
  | { readonly type: "OwnerCame"; readonly owner: string; readonly minBytes: number }
  | {
      readonly type: "PortionWanted";
      readonly owner: string;
      readonly request: number;
      readonly pages: readonly WantedPage[];
    }
  /** A portion needs these of its pages no more. */
  | {
      readonly type: "PagesReleased";
      readonly owner: string;
      readonly request: number;
      readonly pages: readonly number[];
    }
  | { readonly type: "PageLoaded"; readonly owner: string; readonly id: number }
  /** It did not come, because nobody wanted it any more. */
  | { readonly type: "LoadGivenUp"; readonly owner: string; readonly id: number }
  /** No chunk that is known of needs it again. */
  | { readonly type: "PageSpent"; readonly owner: string; readonly id: number }
  /** The answer to `Spill`. */
  | {
      readonly type: "PageSpilled";
      readonly owner: string;
      readonly id: number;
      readonly isOnDisk: boolean;
    }
  /** The copy on disk is damaged or gone: it comes from its source again. */
  | { readonly type: "CopyLost"; readonly owner: string; readonly id: number }
  /** Nothing can touch its pages any more, and their memory is given back. */
  | { readonly type: "OwnerGone"; readonly owner: string };

export type PagesEffect =
  /** Take memory and fill it; `PageLoaded` says when. A scratch page is loaded when it has its memory. */
  | {
      readonly type: "Load";
      readonly owner: string;
      readonly id: number;
      readonly from: "source" | "disk" | "nothing";
    }
  /** All pages of the portion are here and stay until they are released. */
  | { readonly type: "Grant"; readonly owner: string; readonly request: number }
  /** Write it to disk; `PageSpilled` answers. */
  | { readonly type: "Spill"; readonly owner: string; readonly id: number }
  | { readonly type: "Drop"; readonly owner: string; readonly id: number }
  /** What is on disk of it is wanted no more. */
  | { readonly type: "FreeCopy"; readonly owner: string; readonly id: number };

export function emptyPagesState(limitBytes: number): PagesState {
  return { limitBytes, owners: new Map(), residentBytes: 0, uses: 0 };
}

export function stepPages(state: PagesState, event: PagesEvent, effects: PagesEffect[]): void {
  if (event.type === "OwnerCame") {
    const { owner: name, minBytes } = event;
    state.owners.set(name, {
      name,
      minBytes,
      pages: new Map(),
      portions: new Map(),
      pinnedBytes: 0,
    });
    return;
  }
  const owner = state.owners.get(event.owner);
  if (owner === undefined) return;
  stepOwner(state, owner, event, effects);
  decide(state, effects);
}

function stepOwner(
  state: PagesState,
  owner: PageOwner,
  event: Exclude<PagesEvent, { type: "OwnerCame" }>,
  effects: PagesEffect[],
): void {
  switch (event.type) {
    case "PortionWanted":
      portionWanted(owner, event.request, event.pages);
      return;
    case "PagesReleased":
      pagesReleased(state, owner, event.request, event.pages, effects);
      return;
    case "PageLoaded":
      pageLoaded(owner, pageOf(owner, event.id), effects);
      return;
    case "LoadGivenUp":
      loadGivenUp(state, owner, pageOf(owner, event.id), effects);
      return;
    case "PageSpent":
      pageSpent(owner, pageOf(owner, event.id), effects);
      return;
    case "PageSpilled":
      pageSpilled(state, owner, pageOf(owner, event.id), event.isOnDisk, effects);
      return;
    case "CopyLost":
      copyLost(owner, pageOf(owner, event.id), effects);
      return;
    case "OwnerGone":
      for (const page of owner.pages.values()) {
        if (page.place !== "absent") state.residentBytes -= page.bytes;
      }
      state.owners.delete(owner.name);
  }
}

function pageOf(owner: PageOwner, id: number): Page {
  const page = owner.pages.get(id);
  if (page === undefined) throw new Error(`Page ${id} of ${owner.name} is not known.`);
  return page;
}

function portionWanted(owner: PageOwner, request: number, wanted: readonly WantedPage[]): void {
  const bytes = wanted.reduce((sum, page) => sum + page.bytes, 0);
  if (bytes > owner.minBytes) {
    throw new Error(`A portion of ${owner.name} needs ${bytes} bytes, more than was said.`);
  }
  for (const { id, bytes: size, isScratch } of wanted) {
    const known = owner.pages.get(id);
    if (known !== undefined) {
      known.isSpent = false;
      continue;
    }
    owner.pages.set(id, {
      id,
      bytes: size,
      isScratch,
      place: "absent",
      isOnDisk: false,
      pins: 0,
      isSpent: false,
      lastUse: 0,
    });
  }
  const pages = wanted.map(({ id }) => id);
  owner.portions.set(request, { request, pages, isReserved: false, isGranted: false });
}

function pagesReleased(
  state: PagesState,
  owner: PageOwner,
  request: number,
  ids: readonly number[],
  effects: PagesEffect[],
): void {
  const portion = owner.portions.get(request);
  if (portion === undefined) return;
  const kept = portion.pages.filter((id) => !ids.includes(id));
  if (portion.isReserved) {
    for (const id of portion.pages) if (ids.includes(id)) unpin(state, owner, id, effects);
  }
  portion.pages = kept;
  if (kept.length === 0) owner.portions.delete(request);
  else grantIfHere(owner, portion, effects);
}

function unpin(state: PagesState, owner: PageOwner, id: number, effects: PagesEffect[]): void {
  const page = pageOf(owner, id);
  page.pins--;
  page.lastUse = ++state.uses;
  if (page.pins > 0) return;
  owner.pinnedBytes -= page.bytes;
  // What is being loaded is kept: it comes anyhow, and may be wanted again.
  if (page.isScratch && page.place === "here") drop(state, owner, page, effects);
}

function pageLoaded(owner: PageOwner, page: Page, effects: PagesEffect[]): void {
  if (page.place !== "loading") return;
  page.place = "here";
  for (const portion of owner.portions.values()) {
    if (portion.pages.includes(page.id)) grantIfHere(owner, portion, effects);
  }
}

/** Somebody may have come to want it meanwhile. */
function loadGivenUp(
  state: PagesState,
  owner: PageOwner,
  page: Page,
  effects: PagesEffect[],
): void {
  if (page.place !== "loading") return;
  if (page.pins === 0) drop(state, owner, page, effects);
  else effects.push({ type: "Load", owner: owner.name, id: page.id, from: "source" });
}

function grantIfHere(owner: PageOwner, portion: Portion, effects: PagesEffect[]): void {
  if (!portion.isReserved || portion.isGranted) return;
  const isHere = (id: number) => {
    const { place } = pageOf(owner, id);
    return place === "here" || place === "spilling";
  };
  if (!portion.pages.every(isHere)) return;
  portion.isGranted = true;
  effects.push({ type: "Grant", owner: owner.name, request: portion.request });
}

function pageSpilled(
  state: PagesState,
  owner: PageOwner,
  page: Page,
  isOnDisk: boolean,
  effects: PagesEffect[],
): void {
  if (page.place !== "spilling") return;
  page.place = "here";
  page.isOnDisk ||= isOnDisk;
  if (page.isSpent) pageSpent(owner, page, effects);
  // Without room on disk it goes all the same: its source has it.
  if (page.pins === 0) drop(state, owner, page, effects);
}

/** Its place on disk is better used by others. */
function pageSpent(owner: PageOwner, page: Page, effects: PagesEffect[]): void {
  page.isSpent = true;
  if (!page.isOnDisk || page.place === "loading") return;
  page.isOnDisk = false;
  effects.push({ type: "FreeCopy", owner: owner.name, id: page.id });
}

function copyLost(owner: PageOwner, page: Page, effects: PagesEffect[]): void {
  page.isOnDisk = false;
  if (page.place !== "loading") return;
  effects.push({ type: "Load", owner: owner.name, id: page.id, from: "source" });
}

function drop(state: PagesState, owner: PageOwner, page: Page, effects: PagesEffect[]): void {
  page.place = "absent";
  state.residentBytes -= page.bytes;
  effects.push({ type: "Drop", owner: owner.name, id: page.id });
}

/** What an owner may pin: its largest portion, and an equal part of what no owner's largest portion needs. */
export function entitlementBytes(state: PagesState, owner: PageOwner): number {
  let needed = 0;
  for (const { minBytes } of state.owners.values()) needed += minBytes;
  const spare = Math.max(0, state.limitBytes - needed);
  return owner.minBytes + Math.floor(spare / state.owners.size);
}

/** Reserves what can be, portions of each owner in the order in which they came. */
function decide(state: PagesState, effects: PagesEffect[]): void {
  for (const owner of state.owners.values()) {
    const entitled = entitlementBytes(state, owner);
    for (const portion of owner.portions.values()) {
      if (portion.isReserved) continue;
      if (!reserve(state, owner, portion, entitled, effects)) break;
    }
  }
}

/** Pins all pages of a portion and has those loaded that are not here; false where there is no room yet. */
function reserve(
  state: PagesState,
  owner: PageOwner,
  portion: Portion,
  entitled: number,
  effects: PagesEffect[],
): boolean {
  const pages = portion.pages.map((id) => pageOf(owner, id));
  const unpinned = sum(pages.filter(({ pins }) => pins === 0));
  if (owner.pinnedBytes + unpinned > entitled) return false;
  const absent = sum(pages.filter(({ place }) => place === "absent"));
  if (!makeRoom(state, absent, new Set(pages), effects)) return false;
  portion.isReserved = true;
  for (const page of pages) {
    if (page.pins++ === 0) owner.pinnedBytes += page.bytes;
    page.lastUse = ++state.uses;
    if (page.place !== "absent") continue;
    page.place = "loading";
    state.residentBytes += page.bytes;
    const from = page.isScratch ? "nothing" : page.isOnDisk ? "disk" : "source";
    effects.push({ type: "Load", owner: owner.name, id: page.id, from });
  }
  grantIfHere(owner, portion, effects);
  return true;
}

const sum = (pages: readonly Page[]) => pages.reduce((bytes, page) => bytes + page.bytes, 0);

/** Frees memory by what nobody has, least recently used first; false where it has to be written to disk first. */
function makeRoom(
  state: PagesState,
  bytes: number,
  keeps: ReadonlySet<Page>,
  effects: PagesEffect[],
): boolean {
  let missing = state.residentBytes + bytes - state.limitBytes;
  if (missing <= 0) return true;
  const idle: { readonly owner: PageOwner; readonly page: Page }[] = [];
  for (const owner of state.owners.values()) {
    for (const page of owner.pages.values()) {
      if (page.pins > 0 || keeps.has(page)) continue;
      if (page.place === "spilling") missing -= page.bytes;
      else if (page.place === "here") idle.push({ owner, page });
    }
  }
  idle.sort((a, b) => a.page.lastUse - b.page.lastUse);
  for (const { owner, page } of idle) {
    if (missing <= 0) break;
    missing -= page.bytes;
    if (page.isOnDisk || page.isSpent) {
      drop(state, owner, page, effects);
    } else {
      page.place = "spilling";
      effects.push({ type: "Spill", owner: owner.name, id: page.id });
    }
  }
  return state.residentBytes + bytes <= state.limitBytes;
}

/** Throws where memory is counted wrongly, is more than there is, or a portion waits for what is free. */
export function checkPagesInvariants(state: PagesState): void {
  let resident = 0;
  let isBusy = false;
  for (const owner of state.owners.values()) {
    let pinned = 0;
    const pins = new Map<number, number>();
    for (const portion of owner.portions.values()) {
      if (!portion.isReserved) continue;
      for (const id of portion.pages) pins.set(id, (pins.get(id) ?? 0) + 1);
    }
    for (const page of owner.pages.values()) {
      if (page.place !== "absent") resident += page.bytes;
      if (page.place === "loading" || page.place === "spilling") isBusy = true;
      if (page.pins > 0) pinned += page.bytes;
      assertThat(page.pins === (pins.get(page.id) ?? 0), `page ${page.id} has other pins`);
      assertThat(
        page.pins === 0 || page.place !== "absent",
        `page ${page.id} is pinned in no place`,
      );
    }
    assertThat(pinned === owner.pinnedBytes, `${owner.name} has pinned ${pinned} bytes`);
  }
  assertThat(resident === state.residentBytes, `${resident} bytes are resident`);
  assertThat(resident <= state.limitBytes, `${resident} of ${state.limitBytes} bytes are taken`);
  if (isBusy) return;
  for (const owner of state.owners.values()) {
    const portions = [...owner.portions.values()];
    const isWaiting = portions.some(({ isGranted }) => !isGranted);
    const hasSome = portions.some(({ isReserved }) => isReserved);
    assertThat(!isWaiting || hasSome || isOverdrawn(state), `${owner.name} waits for nothing`);
  }
}

/** After an owner came, others may have more than their share for a while. */
function isOverdrawn(state: PagesState): boolean {
  return [...state.owners.values()].some(
    (owner) => owner.pinnedBytes > entitlementBytes(state, owner),
  );
}

function assertThat(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Pages invariant broken: ${message}.`);
}
