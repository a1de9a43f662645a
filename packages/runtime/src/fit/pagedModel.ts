/** The signals and results of a fit in pages, for engines in this process. */
import type { ChunkedModel } from "@fascicle/core";
import { blockVoxelsFor } from "@fascicle/object-store";
import {
  type FitShape,
  fitLayout,
  largestPortionBytes,
  type PagedOutput,
  type PagedSignalsSpec,
  type PageTable,
  pagedOutputs,
  tableOfOwn,
} from "@fascicle/worker";
import type { Results } from "./results.ts";

/** How a model's fit is cut, blocks of signals included. */
export function fitShape({ signals, outputs }: ChunkedModel, chunkCount: number): FitShape {
  const { voxelCount, width, dtype } = signals;
  const blockVoxels = blockVoxelsFor(signals);
  return { voxelCount, chunkCount, signals: { width, dtype, blockVoxels }, outputs };
}

/** What of a fit is not in memory as a whole. */
export const pagedParts = ({ signals }: ChunkedModel, results: Results) => ({
  signals: signals.source !== undefined,
  outputs: results.buffers === undefined,
});

/** So many chunks, or as many more as it takes for one of them to fit in the memory for pages. */
export function chunksThatFit(
  model: ChunkedModel,
  results: Results,
  pageBytes: number,
  atLeast: number,
): number {
  const { voxelCount } = model.signals;
  const isTooLarge = (chunks: number) => {
    const layout = fitLayout(fitShape(model, chunks), pagedParts(model, results));
    return largestPortionBytes(layout) > pageBytes;
  };
  let chunks = atLeast;
  while (chunks < voxelCount && isTooLarge(chunks)) chunks = Math.min(voxelCount, 2 * chunks);
  return chunks;
}

export interface PagedModel {
  readonly signals: PagedSignalsSpec;
  readonly outputs: readonly PagedOutput[];
  readonly outputPageVoxels: number;
  /** What is in memory as a whole: page tables name it -1, -2 and so on. */
  readonly slabs: readonly SharedArrayBuffer[];
}

/** Where everything is. `paged` holds the tables of what is not in memory as a whole. */
export function pagedModel(
  model: ChunkedModel,
  results: Results,
  paged: { readonly signals: PageTable | undefined; readonly outputs: PageTable | undefined },
): PagedModel {
  const { width, dtype, slabs, voxelsPerSlab, voxelCount } = model.signals;
  const whole = { pageVoxels: voxelsPerSlab, table: tableOfOwn(0, slabs.length) };
  const signals = { width, dtype, ...(paged.signals ?? whole) };
  const { buffers } = results;
  if (buffers === undefined) {
    const { pageVoxels, table } = paged.outputs!;
    const outputs = pagedOutputs(model.outputs, pageVoxels, table);
    return { signals, outputs, outputPageVoxels: pageVoxels, slabs };
  }
  const outputs = model.outputs.map((field, i) => {
    return { ...field, table: tableOfOwn(slabs.length + i, 1), byteOffset: 0 };
  });
  return { signals, outputs, outputPageVoxels: voxelCount, slabs: [...slabs, ...buffers] };
}
