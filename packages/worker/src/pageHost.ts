/** Carries out what the pages machine wants: takes slabs, has them filled, writes them to disk, gives them back. */
import {
  emptyPagesState,
  type PagesEffect,
  type PagesEvent,
  type ScratchFile,
  type ScratchPiece,
  type ScratchSpace,
  stepPages,
  type WantedPage,
  waitingPortions,
} from "@fascicle/core";
import type { Slab, SlabPool } from "@fascicle/object-store";
import { LoadGivenUp } from "./blockLoader.ts";
import type { ThreadPool } from "./threadPool.ts";

/** What a fit does with its pages. */
export interface PageOwnerHooks {
  /** Fills the page from where it comes from; rejects where that cannot be. */
  load(page: number, into: Uint8Array): PromiseLike<void>;
  /** The portion has its pages. */
  granted(request: number): void;
  /** A page cannot be had: the fit cannot go on here. */
  failed(error: Error): void;
  /** A page is not here any more, neither in memory nor on disk. */
  gone(page: number): void;
}

interface OpenOwner {
  readonly hooks: PageOwnerHooks;
  readonly slabs: Map<number, Slab>;
  readonly bytesOf: (page: number) => number;
  readonly pieces: Map<number, ScratchPiece>;
  /** Readings and writings under way: until they end, slabs are theirs. */
  readonly busy: Set<Promise<void>>;
  file: PromiseLike<ScratchFile> | undefined;
  /** Why what leaves memory is not kept on disk any more; undefined where it is. */
  cannotSpill: string | undefined;
  /** Bytes that came back from disk. */
  restoredBytes: number;
  isClosed: boolean;
}

/** What a fit has here. */
export interface PageOwnerUse {
  readonly owner: string;
  /** In memory, or on their way there. */
  readonly pages: number;
  readonly bytes: number;
  /** What its chunks have, or have reserved. */
  readonly pinnedBytes: number;
  /** On disk. */
  readonly spilledBytes: number;
  /** Came back from there, all in all. */
  readonly restoredBytes: number;
  /** Portions of its chunks that have no room yet, and what the first of them needs, bytes. */
  readonly waitingPortions: number;
  readonly wantedBytes: number;
  /** Why it spills no more, a sentence. */
  readonly cannotSpill: string | undefined;
}

export interface PageHostOptions {
  readonly slabs: SlabPool;
  /** Whose threads must know the slabs. */
  readonly pool: ThreadPool;
  /** Where blocks are kept that must leave memory; without it they come from their source again. */
  readonly spill?: ScratchSpace | undefined;
  readonly log: (sentence: string) => void;
}

export class PageHost {
  readonly #options: PageHostOptions;
  readonly #state;
  readonly #owners = new Map<string, OpenOwner>();
  readonly #events: PagesEvent[] = [];
  #isStepping = false;

  constructor(options: PageHostOptions) {
    this.#options = options;
    this.#state = emptyPagesState(options.slabs.limitBytes);
  }

  /** A fit comes whose largest portion needs `minBytes`; `bytesOf` a page is what is stored of it. */
  open(
    owner: string,
    minBytes: number,
    bytesOf: (page: number) => number,
    hooks: PageOwnerHooks,
  ): void {
    const nothing = { file: undefined, cannotSpill: undefined, restoredBytes: 0, isClosed: false };
    const held = { slabs: new Map(), pieces: new Map(), busy: new Set<Promise<void>>() };
    this.#owners.set(owner, { hooks, bytesOf, ...nothing, ...held });
    this.#apply({ type: "OwnerCame", owner, minBytes });
  }

  want(owner: string, request: number, pages: readonly WantedPage[]): void {
    this.#apply({ type: "PortionWanted", owner, request, pages });
  }

  release(owner: string, request: number, pages: readonly number[]): void {
    this.#apply({ type: "PagesReleased", owner, request, pages });
  }

  spent(owner: string, id: number): void {
    this.#apply({ type: "PageSpent", owner, id });
  }

  /** The slab that a page is in. */
  slabOf(owner: string, page: number): Slab {
    return this.#owners.get(owner)!.slabs.get(page)!;
  }

  /** Whether the whole page is in memory or on disk. */
  has(owner: string, page: number): boolean {
    return this.#isInMemory(owner, page) || this.#owners.get(owner)?.pieces.has(page) === true;
  }

  /** A copy of a page that is here, which may go meanwhile; undefined where it is not. Rejects where it cannot be read. */
  async copyOf(owner: string, page: number): Promise<Uint8Array | undefined> {
    const open = this.#owners.get(owner);
    if (open === undefined || open.isClosed) return undefined;
    if (this.#isInMemory(owner, page)) return new Uint8Array(this.#bytesIn(open, page));
    const piece = open.pieces.get(page);
    if (piece === undefined) return undefined;
    const copy = new Uint8Array(piece.bytes);
    const reading = (async () => {
      const file = await open.file!;
      await file.read(piece, copy);
    })();
    this.#keepBusy(
      open,
      reading.catch(() => {}),
    );
    await reading;
    return copy;
  }

  #isInMemory(owner: string, page: number): boolean {
    const place = this.#state.owners.get(owner)?.pages.get(page)?.place;
    return place === "here" || place === "spilling";
  }

  /** Gives all its memory and its place on disk back; nothing may be touching its pages any more. */
  async close(owner: string): Promise<void> {
    const open = this.#owners.get(owner);
    if (open === undefined || open.isClosed) return;
    open.isClosed = true;
    while (open.busy.size > 0) await Promise.allSettled(open.busy);
    for (const slab of open.slabs.values()) this.#options.slabs.giveBack(slab);
    this.#owners.delete(owner);
    this.#apply({ type: "OwnerGone", owner });
    try {
      // One that could not be made was told of when it was wanted.
      const file = await open.file?.then(undefined, () => undefined);
      await file?.remove();
    } catch (error) {
      this.#options.log(
        `what fit ${owner} had on disk cannot be removed: ${(error as Error).message}`,
      );
    }
  }

  /** What each fit has here. */
  list(): PageOwnerUse[] {
    return [...this.#owners].map(([owner, { slabs, pieces, restoredBytes, cannotSpill }]) => {
      const entry = this.#state.owners.get(owner);
      const waiting = entry && waitingPortions(entry);
      return {
        owner,
        pages: slabs.size,
        bytes: sumOf(slabs.values()),
        pinnedBytes: entry?.pinnedBytes ?? 0,
        spilledBytes: sumOf(pieces.values()),
        restoredBytes,
        waitingPortions: waiting?.count ?? 0,
        wantedBytes: waiting?.firstBytes ?? 0,
        cannotSpill,
      };
    });
  }

  /** What is asked for at once is decided after what was asked for before it. */
  #apply(event: PagesEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const effects: PagesEffect[] = [];
        stepPages(this.#state, next, effects);
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#isStepping = false;
    }
  }

  #perform(effect: PagesEffect): void {
    const { owner } = effect;
    const open = this.#owners.get(owner);
    if (open === undefined) return;
    switch (effect.type) {
      case "Load":
        this.#load(owner, open, effect.id, effect.from);
        return;
      case "Grant":
        if (!open.isClosed) open.hooks.granted(effect.request);
        return;
      case "Spill":
        this.#keepBusy(open, this.#spill(owner, open, effect.id));
        return;
      case "Drop":
        this.#options.slabs.giveBack(open.slabs.get(effect.id)!);
        open.slabs.delete(effect.id);
        this.#goneIfNowhere(open, effect.id);
        return;
      case "FreeCopy":
        this.#freeCopy(open, effect.id);
    }
  }

  #freeCopy(open: OpenOwner, id: number): void {
    const piece = open.pieces.get(id);
    if (piece === undefined) return;
    open.pieces.delete(id);
    void open.file?.then((file) => file.free(piece));
    if (!open.slabs.has(id)) this.#goneIfNowhere(open, id);
  }

  /** Others that were told that the page is here are told that it is not. */
  #goneIfNowhere(open: OpenOwner, id: number): void {
    if (!open.pieces.has(id) && !open.isClosed) open.hooks.gone(id);
  }

  #load(owner: string, open: OpenOwner, id: number, from: "source" | "disk" | "nothing"): void {
    try {
      // A damaged copy has the slab already that its source is to fill.
      if (!open.slabs.has(id)) {
        const { bytes } = this.#state.owners.get(owner)!.pages.get(id)!;
        const slab = this.#options.slabs.take(bytes);
        this.#options.pool.addSlab(slab);
        open.slabs.set(id, slab);
      }
    } catch (error) {
      if (!open.isClosed) open.hooks.failed(error as Error);
      return;
    }
    if (from === "nothing") this.#apply({ type: "PageLoaded", owner, id });
    else if (from === "disk") this.#keepBusy(open, this.#restore(owner, open, id));
    else this.#keepBusy(open, this.#fill(owner, open, id));
  }

  async #fill(owner: string, open: OpenOwner, id: number): Promise<void> {
    try {
      await open.hooks.load(id, this.#bytesIn(open, id));
      this.#apply({ type: "PageLoaded", owner, id });
    } catch (error) {
      if (error instanceof LoadGivenUp) this.#apply({ type: "LoadGivenUp", owner, id });
      else if (!open.isClosed) open.hooks.failed(error as Error);
    }
  }

  async #restore(owner: string, open: OpenOwner, id: number): Promise<void> {
    const piece = open.pieces.get(id)!;
    try {
      const file = await open.file!;
      await file.read(piece, this.#bytesIn(open, id));
      open.restoredBytes += piece.bytes;
      this.#apply({ type: "PageLoaded", owner, id });
    } catch (error) {
      open.pieces.delete(id);
      if (open.isClosed) return;
      const { message } = error as Error;
      this.#options.log(`a block of fit ${owner} comes from its source again: ${message}`);
      this.#apply({ type: "CopyLost", owner, id });
    }
  }

  /** What finds no room on disk is dropped: its source has it. */
  async #spill(owner: string, open: OpenOwner, id: number): Promise<void> {
    const { spill } = this.#options;
    let isOnDisk = false;
    try {
      if (spill !== undefined && open.cannotSpill === undefined) {
        open.file ??= spill.create("blocks");
        const file = await open.file;
        const [piece] = await file.write([this.#bytesIn(open, id)]);
        open.pieces.set(id, piece);
        isOnDisk = true;
      }
    } catch (error) {
      // Its blocks come from their source again; what is on disk already stays good.
      const { message } = error as Error;
      open.cannotSpill = message;
      if (!open.isClosed) this.#options.log(`fit ${owner} spills no more: ${message}`);
    }
    this.#apply({ type: "PageSpilled", owner, id, isOnDisk });
  }

  #bytesIn(open: OpenOwner, id: number): Uint8Array {
    return new Uint8Array(open.slabs.get(id)!.buffer, 0, open.bytesOf(id));
  }

  #keepBusy(open: OpenOwner, work: Promise<void>): void {
    const kept = work.finally(() => open.busy.delete(kept));
    open.busy.add(kept);
  }
}

function sumOf(things: Iterable<{ readonly bytes: number }>): number {
  let sum = 0;
  for (const { bytes } of things) sum += bytes;
  return sum;
}
