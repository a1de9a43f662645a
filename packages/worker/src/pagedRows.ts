/** Rows that lie in pages of consecutive voxels; a table in shared memory says in which slab each page is. */
import type { OutputField, OutputView, SignalDtype } from "@fascicle/core";
import { outputRowBytes, outputView } from "@fascicle/object-store";

/**
 * Where the pages are: one Int32 for each. Above zero it names a slab of the host, below zero (-1 - n) the nth of the
 * job's own; 0 is nowhere. A page that a thread may touch stays where it is until its chunk is done.
 */
export interface PageTable {
  readonly pageVoxels: number;
  readonly table: SharedArrayBuffer;
}

/** Gives the memory of a slab by its name. */
export type BufferOf = (slab: number) => SharedArrayBuffer;

/** Names below zero are the job's own slabs. */
export function ownOrShared(own: readonly SharedArrayBuffer[], shared: BufferOf): BufferOf {
  return (slab) => (slab < 0 ? own[-1 - slab] : shared(slab));
}

/** Where a voxel's row is, and how many rows of that page begin there. */
export function placeIn(pageVoxels: number, voxel: number) {
  const page = Math.floor(voxel / pageVoxels);
  const row = voxel - page * pageVoxels;
  return { page, row, left: pageVoxels - row };
}

/** A table with every page in the job's own slabs, one behind the other. */
export function tableOfOwn(first: number, count: number): SharedArrayBuffer {
  const table = new SharedArrayBuffer(4 * count);
  new Int32Array(table).forEach((_, page, words) => {
    words[page] = -1 - (first + page);
  });
  return table;
}

export const emptyTable = (pages: number) => new SharedArrayBuffer(4 * pages);

/** Views of pages. That of the last page only is kept: any other would hold memory that its page has long left. */
class PageViews<V> {
  readonly #table: Int32Array;
  readonly #make: (slab: number, page: number) => V;
  #last: { readonly page: number; readonly slab: number; readonly view: V } | undefined;

  constructor(table: SharedArrayBuffer, make: (slab: number, page: number) => V) {
    this.#table = new Int32Array(table);
    this.#make = make;
  }

  at(page: number): V {
    const slab = Atomics.load(this.#table, page);
    if (slab === 0) throw new Error(`page ${page} is not in memory`);
    const last = this.#last;
    if (last?.page === page && last.slab === slab) return last.view;
    const view = this.#make(slab, page);
    this.#last = { page, slab, view };
    return view;
  }
}

export interface PagedSignalsSpec extends PageTable {
  readonly width: number;
  readonly dtype: SignalDtype;
}

export class PagedSignals {
  readonly pageVoxels: number;
  readonly #pages: PageViews<Float32Array | Float64Array>;

  constructor(spec: PagedSignalsSpec, voxelCount: number, bufferOf: BufferOf) {
    const { pageVoxels, width, dtype } = spec;
    this.pageVoxels = pageVoxels;
    this.#pages = new PageViews(spec.table, (slab, page) => {
      const values = width * Math.min(pageVoxels, voxelCount - page * pageVoxels);
      const buffer = bufferOf(slab);
      return dtype === "float32"
        ? new Float32Array(buffer, 0, values)
        : new Float64Array(buffer, 0, values);
    });
  }

  /** The rows of a page. */
  page(page: number): Float32Array | Float64Array {
    return this.#pages.at(page);
  }
}

/** One output in pages. */
export interface PagedOutput extends OutputField {
  readonly table: SharedArrayBuffer;
  /** Where its rows begin in each page. */
  readonly byteOffset: number;
}

export class PagedOutputs {
  readonly pageVoxels: number;
  readonly #fields: readonly PageViews<OutputView>[];
  readonly #rowBytes: readonly number[];
  readonly #views: OutputView[] = [];

  constructor(
    outputs: readonly PagedOutput[],
    pageVoxels: number,
    voxelCount: number,
    bufferOf: BufferOf,
  ) {
    this.pageVoxels = pageVoxels;
    this.#rowBytes = outputs.map(outputRowBytes);
    this.#fields = outputs.map(
      ({ dtype, width, table, byteOffset }) =>
        new PageViews(table, (slab, page) => {
          const values = width * Math.min(pageVoxels, voxelCount - page * pageVoxels);
          return outputView(dtype, bufferOf(slab), byteOffset, values);
        }),
    );
  }

  /** The rows of a page, output after output; until another page is asked for. */
  page(page: number): readonly OutputView[] {
    for (let i = 0; i < this.#fields.length; i++) this.#views[i] = this.#fields[i].at(page);
    return this.#views;
  }

  /** The bytes of rows `[start, end)` of one page, output after output; a view of the page itself. */
  rowsOf(page: number, start: number, end: number): Uint8Array[] {
    return this.page(page).map((view, i) => {
      const rowBytes = this.#rowBytes[i];
      return new Uint8Array(
        view.buffer,
        view.byteOffset + start * rowBytes,
        (end - start) * rowBytes,
      );
    });
  }
}

/** Voxels `[start, end)` cut where a page ends. */
export function* byPage(
  pageVoxels: number,
  start: number,
  end: number,
): Generator<{ readonly page: number; readonly row: number; readonly count: number }> {
  for (let voxel = start; voxel < end; ) {
    const { page, row, left } = placeIn(pageVoxels, voxel);
    const count = Math.min(end - voxel, left);
    yield { page, row, count };
    voxel += count;
  }
}

/** Where each output's rows begin in a page of `pageVoxels`, 8-byte aligned, and the bytes of the page. */
export function outputPageLayout(
  outputs: readonly OutputField[],
  pageVoxels: number,
): { readonly byteOffsets: readonly number[]; readonly pageBytes: number } {
  let pageBytes = 0;
  const byteOffsets = outputs.map((field) => {
    const byteOffset = pageBytes;
    pageBytes += Math.ceil((pageVoxels * outputRowBytes(field)) / 8) * 8;
    return byteOffset;
  });
  return { byteOffsets, pageBytes };
}
