/** How a fit's signals and results are cut into pages on a host, and its chunks into portions that share pages. */
import {
  chunkStart,
  type OutputField,
  type Range,
  type SignalDtype,
  voxelsOfChunks,
} from "@fascicle/core";
import { outputsRowBytes, rowBytesOf } from "@fascicle/object-store";
import { outputPageLayout } from "./pagedRows.ts";

export interface FitShape {
  readonly voxelCount: number;
  readonly chunkCount: number;
  readonly signals: {
    readonly width: number;
    readonly dtype: SignalDtype;
    readonly blockVoxels: number;
  };
  readonly outputs: readonly OutputField[];
}

/** Pages of one matrix: of `pageVoxels` rows each, `pageBytes` large at most. */
export interface PageLayout {
  readonly pageVoxels: number;
  readonly pages: number;
  readonly pageBytes: number;
}

export interface FitLayout {
  readonly voxelCount: number;
  readonly chunkCount: number;
  /** Undefined where all signals are in memory anyhow. */
  readonly signals: PageLayout | undefined;
  /** Undefined where the results have their places in memory, whole. */
  readonly outputs: PageLayout | undefined;
}

/** Chunks that need the same pages. */
export interface PortionPlan {
  readonly chunks: Range;
  readonly signalPages: Range;
  readonly outputPages: Range;
}

const nothing: Range = { start: 0, end: 0 };

export function fitLayout(
  { voxelCount, chunkCount, signals, outputs }: FitShape,
  paged: { readonly signals: boolean; readonly outputs: boolean },
): FitLayout {
  const rowBytes = rowBytesOf(signals);
  const blockVoxels = Math.min(voxelCount, signals.blockVoxels);
  // Results take pages of the size of the signals', so that slabs serve for both.
  const blockBytes = blockVoxels * rowBytes;
  const outputVoxels = Math.min(
    voxelCount,
    Math.max(1, Math.floor(blockBytes / outputsRowBytes(outputs))),
  );
  const { pageBytes } = outputPageLayout(outputs, outputVoxels);
  return {
    voxelCount,
    chunkCount,
    signals: paged.signals ? pageLayout(voxelCount, blockVoxels, blockBytes) : undefined,
    outputs: paged.outputs ? pageLayout(voxelCount, outputVoxels, pageBytes) : undefined,
  };
}

function pageLayout(voxelCount: number, pageVoxels: number, pageBytes: number): PageLayout {
  const pages = Math.ceil(voxelCount / pageVoxels);
  return { pageVoxels, pages, pageBytes };
}

/** Bytes of memory that the largest portion may need: one chunk, wherever it lies. */
export function largestPortionBytes(layout: FitLayout): number {
  const chunkVoxels = Math.ceil(layout.voxelCount / layout.chunkCount);
  return [layout.signals, layout.outputs].reduce((sum, pages) => {
    if (pages === undefined) return sum;
    const spanned = Math.ceil((chunkVoxels - 1) / pages.pageVoxels) + 1;
    return sum + Math.min(spanned, pages.pages) * pages.pageBytes;
  }, 0);
}

/** Cuts chunks into portions, in order. */
export function portionsOf(layout: FitLayout, chunks: Range): PortionPlan[] {
  const portions: PortionPlan[] = [];
  const { voxelCount, chunkCount } = layout;
  for (let chunk = chunks.start; chunk < chunks.end; ) {
    const voxels = voxelsOfChunks(voxelCount, chunkCount, { start: chunk, end: chunk + 1 });
    const signalPages = pagesOf(layout.signals, voxels);
    const outputPages = pagesOf(layout.outputs, voxels);
    const sharedUntil = Math.min(
      endOfPages(layout.signals, signalPages, voxelCount),
      endOfPages(layout.outputs, outputPages, voxelCount),
    );
    // More than one page belongs to the chunk alone: those behind it need fewer.
    const isAlone = sizeOf(signalPages) > 1 || sizeOf(outputPages) > 1;
    const end = isAlone
      ? chunk + 1
      : lastChunkWithin(voxelCount, chunkCount, chunk + 1, chunks.end, sharedUntil);
    portions.push({ chunks: { start: chunk, end }, signalPages, outputPages });
    chunk = end;
  }
  return portions;
}

const sizeOf = ({ start, end }: Range) => end - start;

function pagesOf(layout: PageLayout | undefined, voxels: Range): Range {
  if (layout === undefined) return nothing;
  const { pageVoxels } = layout;
  return {
    start: Math.floor(voxels.start / pageVoxels),
    end: Math.floor((voxels.end - 1) / pageVoxels) + 1,
  };
}

function endOfPages(layout: PageLayout | undefined, pages: Range, voxelCount: number): number {
  return layout === undefined ? voxelCount : Math.min(voxelCount, pages.end * layout.pageVoxels);
}

/** The end of the longest run of chunks from `start` whose voxels all lie before `voxelEnd`. */
function lastChunkWithin(
  voxelCount: number,
  chunkCount: number,
  start: number,
  end: number,
  voxelEnd: number,
): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (chunkStart(voxelCount, chunkCount, middle) <= voxelEnd) low = middle;
    else high = middle - 1;
  }
  return low;
}
