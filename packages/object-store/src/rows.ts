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
  const { dtype } = signals;
  const pieces = await rowPieces(signals, start, end);
  const whole = pieces.length === 1 ? pieces[0] : joined(pieces);
  return signalView(dtype, whole.buffer, whole.byteOffset, whole.length / bytesPerValue[dtype]);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** The rows `[start, end)` as they lie in memory, in one piece or several; from disk in one. */
export async function rowPieces(
  signals: VoxelSignals,
  start: number,
  end: number,
): Promise<Uint8Array[]> {
  const rowBytes = rowBytesOf(signals);
  const { slabs, source, voxelsPerSlab } = signals;
  if (slabs.length > 0 || source === undefined) {
    return spansOfVoxels(rowBytes, voxelsPerSlab, start, end).map(
      ({ slab, offset, bytes }) => new Uint8Array(slabs[slab], offset, bytes),
    );
  }
  const rows = new Uint8Array((end - start) * rowBytes);
  await source.read(start, end, rows);
  return [rows];
}
