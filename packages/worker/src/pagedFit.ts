/** The pages of one fit on a host: which portions of its chunks have theirs, and when they may go again. */
import { type OutputField, type Range, RangeSet, voxelsOfChunks } from "@fascicle/core";
import { rowBytesOf } from "@fascicle/object-store";
import {
  type FitLayout,
  type FitShape,
  fitLayout,
  largestPortionBytes,
  portionsOf,
} from "./fitLayout.ts";
import { byPage, emptyTable, outputPageLayout, type PagedOutput } from "./pagedRows.ts";
import type { PageHost } from "./pageHost.ts";

export interface PagedFitHooks {
  /** Fills rows `[start, end)` of the signals. */
  load(start: number, end: number, into: Uint8Array): PromiseLike<void>;
  /** Chunks whose pages are here. */
  ready(chunks: Range): void;
  /** Chunks that are forgotten, and that no thread is at or will report any more. */
  ended?(chunks: Range): void;
  failed(error: Error): void;
  /** A page of signals is here no more. */
  gone?(page: number): void;
}

interface Portion {
  readonly request: number;
  readonly chunks: Range;
  /** None once they are given back. */
  signalPages: readonly number[];
  readonly outputPages: readonly number[];
  /** Chunks that may still be fitted. */
  readonly open: RangeSet;
  /** Chunks whose results may still be read. */
  readonly held: RangeSet;
  /** Chunks that nobody wants any more, and that a thread is at all the same, or has done and will report. */
  readonly orphans: RangeSet;
  /** Chunks whose results are being read. */
  readonly kept: RangeSet;
  isGranted: boolean;
}

export class PagedFit {
  readonly layout: FitLayout;
  /** What one chunk may need. */
  readonly largestPortionBytes: number;
  /** Tables of the signals and of the results, for threads. */
  readonly tables: {
    readonly signals: SharedArrayBuffer | undefined;
    readonly outputs: SharedArrayBuffer | undefined;
  };
  readonly #shape: FitShape;
  readonly #owner: string;
  readonly #host: PageHost;
  readonly #hooks: PagedFitHooks;
  readonly #portions = new Map<number, Portion>();
  /** By page of signals: voxels of chunks that were fitted here. */
  readonly #fitted: Float64Array;
  #nextRequest = 0;

  constructor(
    owner: string,
    shape: FitShape,
    paged: { readonly signals: boolean; readonly outputs: boolean },
    host: PageHost,
    hooks: PagedFitHooks,
  ) {
    this.#owner = owner;
    this.#shape = shape;
    this.#host = host;
    this.#hooks = hooks;
    this.layout = fitLayout(shape, paged);
    const { signals, outputs } = this.layout;
    this.tables = {
      signals: signals && emptyTable(signals.pages),
      outputs: outputs && emptyTable(outputs.pages),
    };
    this.#fitted = new Float64Array(signals?.pages ?? 0);
    this.largestPortionBytes = largestPortionBytes(this.layout);
    host.open(owner, this.largestPortionBytes, (id) => this.#bytesOf(id), {
      load: (id, into) => {
        const { start, end } = this.#voxelsOf(id);
        return hooks.load(start, end, into);
      },
      granted: (request) => this.#granted(request),
      failed: (error) => hooks.failed(error),
      gone: (id) => {
        if (id < (this.layout.signals?.pages ?? 0)) hooks.gone?.(id);
      },
    });
  }

  /** Sees to it that these chunks get their pages, in order; those that are on their way already are not asked for twice. */
  want(chunks: Range): void {
    const fresh = new RangeSet(chunks);
    for (const portion of this.#touching(chunks)) {
      this.#takeBack(portion, chunks);
      for (const range of portion.held.ranges()) fresh.remove(range);
    }
    for (const range of fresh.ranges()) {
      for (const plan of portionsOf(this.layout, range)) this.#want(plan);
    }
  }

  /** Threads are done with these chunks: their signals may go. */
  fitted(chunks: Range): void {
    for (const portion of this.#touching(chunks)) {
      // One that waits for its pages has begun nothing: this is told a second time, of an earlier lease.
      if (!portion.isGranted) continue;
      for (const range of portion.open.remove(chunks)) this.#countFitted(range);
      this.#endOrphans(portion, chunks);
    }
  }

  /**
   * These are wanted no more: their results may go, too. Threads are still at some of `begun`, or have done them and will
   * say so: their pages stay until `fitted`.
   */
  forget(chunks: Range, begun: readonly Range[]): void {
    for (const portion of this.#touching(chunks)) {
      const open = new RangeSet(...portion.open.remove(chunks));
      const ended = portion.held.remove(chunks);
      if (portion.isGranted) {
        for (const range of begun) {
          for (const part of open.parts(range)) portion.orphans.add(part);
        }
      }
      for (const range of ended.flatMap((gone) => portion.orphans.gaps(gone))) {
        this.#hooks.ended?.(range);
      }
      this.#settle(portion);
    }
  }

  /** No thread will do these: they were taken off the board. */
  withdrawn(chunks: Range): void {
    for (const portion of this.#touching(chunks)) this.#endOrphans(portion, chunks);
  }

  /** Results of these are being read: they stay, even if they are forgotten meanwhile. */
  keep(chunks: Range): void {
    for (const portion of this.#touching(chunks)) {
      for (const range of portion.held.parts(chunks)) portion.kept.add(range);
    }
  }

  letGo(chunks: Range): void {
    for (const portion of this.#touching(chunks)) {
      portion.kept.remove(chunks);
      this.#settle(portion);
    }
  }

  /** Whether a portion needs this page of signals. */
  isWanted(page: number): boolean {
    return [...this.#portions.values()].some(({ signalPages }) => signalPages.includes(page));
  }

  /** Whether all of this page of signals is here. */
  hasPage(page: number): boolean {
    return page < (this.layout.signals?.pages ?? 0) && this.#host.has(this.#owner, page);
  }

  /** A copy of a page of signals; undefined where it is not here. */
  async copyOf(page: number): Promise<Uint8Array | undefined> {
    return this.hasPage(page) ? this.#host.copyOf(this.#owner, page) : undefined;
  }

  /** Gives everything back; nothing may be touching it any more. */
  close(): Promise<void> {
    this.#portions.clear();
    return this.#host.close(this.#owner);
  }

  #endOrphans(portion: Portion, chunks: Range): void {
    for (const range of portion.orphans.remove(chunks)) this.#hooks.ended?.(range);
    this.#settle(portion);
  }

  /** Orphans that are wanted again: what their threads do counts after all. */
  #takeBack(portion: Portion, chunks: Range): void {
    for (const range of portion.orphans.remove(chunks)) {
      portion.open.add(range);
      portion.held.add(range);
      this.#hooks.ready(range);
    }
  }

  #touching(chunks: Range): Portion[] {
    return [...this.#portions.values()].filter(
      (portion) => portion.chunks.start < chunks.end && chunks.start < portion.chunks.end,
    );
  }

  #want(plan: ReturnType<typeof portionsOf>[number]): void {
    const { signals, outputs } = this.layout;
    const request = this.#nextRequest++;
    const signalPages = numbersOf(plan.signalPages, 0);
    const outputPages = numbersOf(plan.outputPages, signals?.pages ?? 0);
    const { chunks } = plan;
    const portion = { request, chunks, signalPages, outputPages, isGranted: false };
    const sets = {
      open: new RangeSet(chunks),
      held: new RangeSet(chunks),
      orphans: new RangeSet(),
      kept: new RangeSet(),
    };
    this.#portions.set(request, { ...portion, ...sets });
    this.#host.want(this.#owner, request, [
      ...signalPages.map((id) => ({ id, bytes: signals!.pageBytes, isScratch: false })),
      ...outputPages.map((id) => ({ id, bytes: outputs!.pageBytes, isScratch: true })),
    ]);
  }

  #granted(request: number): void {
    const portion = this.#portions.get(request);
    if (portion === undefined) return;
    portion.isGranted = true;
    const { signals } = this.layout;
    this.#place(this.tables.signals, portion.signalPages, 0);
    this.#place(this.tables.outputs, portion.outputPages, signals?.pages ?? 0);
    for (const range of portion.open.ranges()) this.#hooks.ready(range);
  }

  /** Tells threads in which slabs pages are. */
  #place(table: SharedArrayBuffer | undefined, ids: readonly number[], first: number): void {
    if (table === undefined) return;
    const words = new Int32Array(table);
    for (const id of ids) {
      Atomics.store(words, id - first, this.#host.slabOf(this.#owner, id).id);
    }
  }

  /** Lets go of what a portion needs no more. */
  #settle(portion: Portion): void {
    const { request, signalPages, outputPages, open, held, orphans, kept } = portion;
    if (orphans.size + kept.size > 0) return;
    if (held.size === 0) {
      this.#portions.delete(request);
      this.#host.release(this.#owner, request, [...signalPages, ...outputPages]);
    } else if (open.size === 0 && signalPages.length > 0) {
      portion.signalPages = [];
      this.#host.release(this.#owner, request, signalPages);
    }
  }

  /** A page whose voxels were all fitted here is not worth the disk. */
  #countFitted(chunks: Range): void {
    const { signals, voxelCount } = this.layout;
    if (signals === undefined) return;
    const { start, end } = voxelsOfChunks(voxelCount, this.layout.chunkCount, chunks);
    for (const { page, count } of byPage(signals.pageVoxels, start, end)) {
      this.#fitted[page] += count;
      const voxels = Math.min(signals.pageVoxels, voxelCount - page * signals.pageVoxels);
      if (this.#fitted[page] >= voxels) this.#host.spent(this.#owner, page);
    }
  }

  #voxelsOf(id: number): Range {
    const { signals, voxelCount } = this.layout;
    const start = id * signals!.pageVoxels;
    return { start, end: Math.min(voxelCount, start + signals!.pageVoxels) };
  }

  #bytesOf(id: number): number {
    const { start, end } = this.#voxelsOf(id);
    return (end - start) * rowBytesOf(this.#shape.signals);
  }
}

const numbersOf = ({ start, end }: Range, first: number): number[] =>
  Array.from({ length: end - start }, (_, i) => first + start + i);

/** The outputs of a fit in pages, for threads. */
export function pagedOutputs(
  outputs: readonly OutputField[],
  pageVoxels: number,
  table: SharedArrayBuffer,
): PagedOutput[] {
  const { byteOffsets } = outputPageLayout(outputs, pageVoxels);
  return outputs.map((field, i) => ({ ...field, table, byteOffset: byteOffsets[i] }));
}
