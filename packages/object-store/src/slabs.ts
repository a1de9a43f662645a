/** Shared memory that every thread of a host sees, and the blocks of it that travel between hosts. */

import type { OutputDtype, OutputField, OutputView, SignalDtype } from "@fascicle/core";
import { bytesInWords } from "./bytesInWords.ts";

/** A slab is at most this large, so that every view of it stays below the engine's limits. */
export const slabBytesLimit = 2 ** 30;

/** Signals travel in blocks of consecutive voxels of about this size. */
export const blockBytesTarget = 8 << 20;

export const bytesPerValue: Readonly<Record<SignalDtype | OutputDtype, number>> = {
  float64: 8,
  float32: 4,
  uint16: 2,
  uint8: 1,
};

/** The object memory asked for is more than there may be. */
export class ObjectMemoryError extends Error {
  readonly code = "OBJECT_MEMORY";
  override readonly name: string = "ObjectMemoryError";

  static of(neededBytes: number, limitBytes: number): ObjectMemoryError {
    return new ObjectMemoryError(
      `This fit needs at least ${bytesInWords(neededBytes)} of object memory and may use ${bytesInWords(limitBytes)}: raise --object-memory, or fit fewer voxels at a time with --mask.`,
    );
  }

  /** One chunk, with all that it touches, must fit. */
  static ofChunk(
    neededBytes: number,
    limitBytes: number,
    { chunkCount, voxelCount }: { readonly chunkCount: number; readonly voxelCount: number },
  ): ObjectMemoryError {
    const what = chunkCount === 1 ? "The only chunk" : `One of ${chunkCount} chunks`;
    const needed = bytesInWords(neededBytes);
    const raise = `raise --object-memory to ${needed} or more`;
    const advice = chunkCount < voxelCount ? `${raise}, or use more chunks` : raise;
    return new ObjectMemoryError(
      `${what} of this fit needs ${needed} of object memory and may use ${bytesInWords(limitBytes)}: ${advice}.`,
    );
  }
}

/** The budget allows what the system does not give. */
export class SystemMemoryError extends ObjectMemoryError {
  override readonly name = "SystemMemoryError";

  static ofBytes(bytes: number): SystemMemoryError {
    return new SystemMemoryError(
      `The system did not give ${bytesInWords(bytes)} of memory that --object-memory allows: end other programs here, or lower --object-memory.`,
    );
  }
}

/** How a matrix of signals is cut into blocks and slabs. */
export interface SignalLayout {
  readonly voxelCount: number;
  readonly width: number;
  readonly dtype: SignalDtype;
  readonly blockVoxels: number;
}

/** A volume is cut into this many blocks at least, if they are not too small for that: a small part of it can then be in memory. */
const blocksWanted = 64;
const blockBytesLeast = 256 << 10;

/** Voxels in each block of these signals: 8 MiB of them, fewer where the volume is small. */
export function blockVoxelsFor(signals: {
  readonly voxelCount: number;
  readonly width: number;
  readonly dtype: SignalDtype;
}): number {
  const rowBytes = rowBytesOf(signals);
  const share = (signals.voxelCount * rowBytes) / blocksWanted;
  // Powers of two, so that blocks of many volumes fit each other's slabs.
  const bytes = 2 ** Math.floor(Math.log2(Math.max(1, share)));
  const blockBytes = Math.min(blockBytesTarget, Math.max(blockBytesLeast, bytes));
  return Math.max(1, Math.min(signals.voxelCount, Math.floor(blockBytes / rowBytes)));
}

/** Bytes of one voxel's signals. */
export const rowBytesOf = (signals: { readonly width: number; readonly dtype: SignalDtype }) =>
  signals.width * bytesPerValue[signals.dtype];

/** Whole blocks to a slab. */
export function slabVoxelsFor(layout: SignalLayout): number {
  const blockBytes = layout.blockVoxels * rowBytesOf(layout);
  const blocks = Math.max(1, Math.floor(slabBytesLimit / blockBytes));
  return Math.min(layout.voxelCount, blocks * layout.blockVoxels);
}

/** Allocates the slabs of a matrix of signals. */
export function allocateSignals(
  layout: SignalLayout,
  allocate: (bytes: number) => SharedArrayBuffer,
): { voxelsPerSlab: number; slabs: SharedArrayBuffer[] } {
  const voxelsPerSlab = slabVoxelsFor(layout);
  const rowBytes = rowBytesOf(layout);
  const slabs: SharedArrayBuffer[] = [];
  for (let first = 0; first < layout.voxelCount; first += voxelsPerSlab) {
    slabs.push(allocate(Math.min(voxelsPerSlab, layout.voxelCount - first) * rowBytes));
  }
  return { voxelsPerSlab, slabs };
}

/** A stretch of bytes within a slab. */
export interface SlabSpan {
  readonly slab: number;
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Where the voxels `[start, end)` lie: one span, or several where they cross slabs. Any `voxelsPerSlab` will do,
 * so a sender and a receiver may lay their slabs differently.
 */
export function spansOfVoxels(
  rowBytes: number,
  voxelsPerSlab: number,
  start: number,
  end: number,
): SlabSpan[] {
  const spans: SlabSpan[] = [];
  for (let voxel = start; voxel < end; ) {
    const slab = Math.floor(voxel / voxelsPerSlab);
    const stop = Math.min(end, (slab + 1) * voxelsPerSlab);
    spans.push({
      slab,
      offset: (voxel - slab * voxelsPerSlab) * rowBytes,
      bytes: (stop - voxel) * rowBytes,
    });
    voxel = stop;
  }
  return spans;
}

/** A typed array over an output's memory: all of it, or `length` values from `byteOffset` on. */
export function outputView(
  dtype: OutputDtype,
  buffer: ArrayBufferLike,
  byteOffset?: number,
  length?: number,
): OutputView {
  switch (dtype) {
    case "float64":
      return new Float64Array(buffer, byteOffset, length);
    case "uint16":
      return new Uint16Array(buffer, byteOffset, length);
    case "uint8":
      return new Uint8Array(buffer, byteOffset, length);
  }
}

/** A typed array over the memory of signals: all of it, or `length` values from `byteOffset` on. */
export function signalView(
  dtype: SignalDtype,
  buffer: ArrayBufferLike,
  byteOffset?: number,
  length?: number,
): Float32Array | Float64Array {
  return dtype === "float32"
    ? new Float32Array(buffer, byteOffset, length)
    : new Float64Array(buffer, byteOffset, length);
}

/** Bytes of one voxel of an output. */
export const outputRowBytes = (field: OutputField) => field.width * bytesPerValue[field.dtype];

/** Bytes of one voxel in all outputs of a fit. */
export const outputsRowBytes = (outputs: readonly OutputField[]) =>
  outputs.reduce((sum, field) => sum + outputRowBytes(field), 0);

/** Memory for every output of a fit, whole, in the order of `outputs`. */
export function allocateOutputs(
  outputs: readonly OutputField[],
  voxelCount: number,
  allocate: (bytes: number) => SharedArrayBuffer,
): SharedArrayBuffer[] {
  return outputs.map((field) => allocate(voxelCount * outputRowBytes(field)));
}

/** New shared memory, zeroed; the system gives its pages as they are written. Throws `SystemMemoryError`. */
export function sharedMemory(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes);
  } catch (error) {
    if (error instanceof RangeError) throw SystemMemoryError.ofBytes(bytes);
    throw error;
  }
}
