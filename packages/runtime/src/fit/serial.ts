/** The serial engine: one thread, this one; the measure that the others are held against. */
import { chunkStart } from "@fascicle/core";
import { nextBatch } from "@fascicle/object-store";
import { abortReason } from "../errors.ts";
import { BatchFitter } from "./batchFitter.ts";
import type { Engine } from "./engine.ts";

/** Voxels between two looks at the clock. */
const batchVoxels = 32;
/** This thread listens to its caller (abort, timers) this often. */
const turnMs = 20;

const breathe = () => new Promise((resolve) => setImmediate(resolve));

export const serialEngine: Engine = async ({ model, chunkCount, outputs, signal, progress }) => {
  const { signals } = model;
  const fitter = await BatchFitter.make(model, outputs);
  const begunMs = performance.now();
  let breathedMs = begunMs;
  let awayMs = 0;
  for (let chunk = 0; chunk < chunkCount; chunk++) {
    const end = chunkStart(signals.voxelCount, chunkCount, chunk + 1);
    for (let voxel = chunkStart(signals.voxelCount, chunkCount, chunk); voxel < end; ) {
      const batch = nextBatch(voxel, end, signals.voxelsPerSlab, batchVoxels);
      fitter.fit(batch, voxel);
      voxel += batch.count;
      const nowMs = performance.now();
      if (nowMs - breathedMs < turnMs) continue;
      progress.update(voxel, 1, nowMs);
      await breathe();
      if (signal?.aborted) throw abortReason(signal);
      breathedMs = performance.now();
      awayMs += breathedMs - nowMs;
    }
  }
  progress.update(signals.voxelCount, 1);
  return {
    workers: 1,
    physicalCores: 1,
    computeSeconds: (performance.now() - begunMs - awayMs) / 1000,
    copySeconds: 0,
    queueSeconds: 0,
    tailSeconds: 0,
    attempts: { run: chunkCount, lost: 0, retried: 0 },
  };
};
