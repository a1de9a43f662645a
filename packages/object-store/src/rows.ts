/** Rows of a matrix of signals, be they in shared memory or with their source. */
import type { VoxelSignals } from "@fascicle/core";
import { bytesPerValue, rowBytesOf, signalView, spansOfVoxels } from "./slabs.ts";

/**
 * The samples of the voxels `[start, end)`, voxel after voxel. Not to be written to: where they lie in one slab this
 * is a view of it. Throws what the source throws.
 */
export async function readRows(
  signals: VoxelSignals,
  start: number,
  end: number,
): Promise<Float32Array | Float64Array> {
  const { width, dtype, voxelsPerSlab, slabs, source } = signals;
  const valueBytes = bytesPerValue[dtype];
  const rowBytes = width * valueBytes;
  const isInMemory = slabs.length > 0 || source === undefined;
  const spans = isInMemory ? spansOfVoxels(rowBytes, voxelsPerSlab, start, end) : [];
  if (spans.length === 1) {
    const [{ slab, offset, bytes }] = spans;
    const first = offset / valueBytes;
    return signalView(dtype, slabs[slab]).subarray(first, first + bytes / valueBytes);
  }
  const count = (end - start) * width;
  const rows = dtype === "float32" ? new Float32Array(count) : new Float64Array(count);
  const into = new Uint8Array(rows.buffer);
  if (!isInMemory) await source.read(start, end, into);
  let at = 0;
  for (const { slab, offset, bytes } of spans) {
    into.set(new Uint8Array(slabs[slab], offset, bytes), at);
    at += bytes;
  }
  return rows;
}

/** The rows `[start, end)` as they lie in memory, in one piece or several; from disk in one. */
export async function rowPieces(
  signals: VoxelSignals,
  start: number,
  end: number,
): Promise<Uint8Array[]> {
  const rowBytes = rowBytesOf(signals);
  const { slabs, source, voxelsPerSlab } = signals;
  if (source === undefined) {
    return spansOfVoxels(rowBytes, voxelsPerSlab, start, end).map(
      ({ slab, offset, bytes }) => new Uint8Array(slabs[slab], offset, bytes),
    );
  }
  const rows = new Uint8Array((end - start) * rowBytes);
  await source.read(start, end, rows);
  return [rows];
}
