/** The serial engine: one thread, this one; the measure that the others are held against. */
import { voxelsOfChunks } from "@fascicle/core";
import { nextBatch } from "@fascicle/object-store";
import { abortReason } from "../errors.ts";
import { BatchFitter } from "./batchFitter.ts";
import { chunksToFit, type Engine, voxelsSettled } from "./engine.ts";

/** Voxels between two looks at the clock. */
const batchVoxels = 32;
/** This thread listens to its caller (abort, timers) this often. */
const turnMs = 20;

const breathe = () => new Promise((resolve) => setImmediate(resolve));

export const serialEngine: Engine = async (task) => {
  const { model, chunkCount, outputs, signal, progress, settled, onSettled } = task;
  const { signals } = model;
  const fitter = await BatchFitter.make(model, outputs);
  const begunMs = performance.now();
  let breathedMs = begunMs;
  let awayMs = 0;
  let voxelsDone = voxelsSettled(task);
  const left = chunksToFit(task);
  for (let chunks = left.takeFirst(1); chunks !== undefined; chunks = left.takeFirst(1)) {
    const { start, end } = voxelsOfChunks(signals.voxelCount, chunkCount, chunks);
    for (let voxel = start; voxel < end; ) {
      const batch = nextBatch(voxel, end, signals.voxelsPerSlab, batchVoxels);
      fitter.fit(batch, voxel);
      voxel += batch.count;
      voxelsDone += batch.count;
      const nowMs = performance.now();
      if (nowMs - breathedMs < turnMs) continue;
      progress.update(voxelsDone, 1, nowMs);
      await breathe();
      if (signal?.aborted) throw abortReason(signal);
      breathedMs = performance.now();
      awayMs += breathedMs - nowMs;
    }
    onSettled(chunks);
  }
  progress.update(signals.voxelCount, 1);
  return {
    workers: 1,
    physicalCores: 1,
    computeSeconds: (performance.now() - begunMs - awayMs) / 1000,
    copySeconds: 0,
    queueSeconds: 0,
    tailSeconds: 0,
    attempts: { run: chunkCount - settled.size, lost: 0, retried: 0 },
  };
};
