/** Where the results of a fit go: into memory if they fit there beside the pages of signals, else to disk. */
import type { ChunkedModel } from "@fascicle/core";
import {
  allocateOutputs,
  bytesInWords,
  ObjectMemoryError,
  outputRowBytes,
  outputsRowBytes,
  rowBytesOf,
  sharedMemory,
} from "@fascicle/object-store";
import { UsageError } from "../errors.ts";
import { type Results, ResultsInMemory, ResultsOnDisk } from "./results.ts";
import type { Scratch } from "./scratch.ts";

/** Where signals are on disk, this part of the memory is for their pages at least. */
const signalShare = 1 / 4;

/** A typed array of bytes ends here; an output that is larger has no place in memory as a whole. */
const arrayBytesLimit = 2 ** 32 - 1;

export interface ResultsPlan {
  readonly results: Results;
  /** What is left for pages. */
  readonly pageBytes: number;
}

/** Throws `ObjectMemoryError` where results do not fit in memory and may not go to disk, `UsageError` where the disk has no room for them. */
export function resultsFor(
  model: ChunkedModel,
  options: { readonly objectMemoryBytes?: number; readonly scratch?: Scratch },
): ResultsPlan {
  const { signals, outputs } = model;
  const { objectMemoryBytes: limitBytes = Number.POSITIVE_INFINITY, scratch } = options;
  const resultBytes = signals.voxelCount * outputsRowBytes(outputs);
  const signalBytes = signals.voxelCount * rowBytesOf(signals);
  const pageBytes =
    signals.source === undefined ? 0 : Math.min(signalBytes, limitBytes * signalShare);
  const largestBytes = signals.voxelCount * Math.max(...outputs.map(outputRowBytes));
  if (resultBytes + pageBytes <= limitBytes && largestBytes <= arrayBytesLimit) {
    const buffers = allocateOutputs(outputs, signals.voxelCount, sharedMemory);
    return { results: new ResultsInMemory(outputs, buffers), pageBytes: limitBytes - resultBytes };
  }
  if (scratch === undefined) throw ObjectMemoryError.of(resultBytes + pageBytes, limitBytes);
  const freeBytes = scratch.limitBytes - scratch.use.usedBytes;
  if (resultBytes > freeBytes) {
    // Better now than after hours: nothing is freed before the fit has ended.
    throw new UsageError(
      `The results of this fit need ${bytesInWords(resultBytes)} on disk, and ${bytesInWords(Math.max(0, freeBytes))} of the spill limit are left: raise --spill-limit or --object-memory.`,
    );
  }
  return {
    results: new ResultsOnDisk(outputs, signals.voxelCount, scratch),
    pageBytes: limitBytes,
  };
}
