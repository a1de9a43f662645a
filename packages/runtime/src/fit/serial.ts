/** The serial engine: one thread, this one; the measure that the others are held against. */
import { voxelsOfChunks } from "@fascicle/core";
import { placeIn } from "@fascicle/worker";
import { abortReason } from "../errors.ts";
import { BatchFitter } from "./batchFitter.ts";
import { chunksToFit, type Engine, voxelsSettled } from "./engine.ts";
import { SerialPages } from "./serialPages.ts";

/** Voxels between two looks at the clock. */
const batchVoxels = 32;
/** This thread listens to its caller (abort, timers) this often. */
const turnMs = 20;

const breathe = () => new Promise((resolve) => setImmediate(resolve));

export const serialEngine: Engine = async (task) => {
  const { model, chunkCount, signal, progress, settled } = task;
  const { voxelCount } = model.signals;
  const fitter = await BatchFitter.make(model);
  const pages = new SerialPages(task);
  const begunMs = performance.now();
  let breathedMs = begunMs;
  let awayMs = 0;
  let voxelsDone = voxelsSettled(task);
  const left = chunksToFit(task);
  // Small chunks are a batch together: kernels work on several voxels side by side.
  const atOnce = Math.max(1, Math.floor(batchVoxels / Math.ceil(voxelCount / chunkCount)));
  try {
    for (let chunks = left.takeFirst(atOnce); chunks; chunks = left.takeFirst(atOnce)) {
      const { start, end } = voxelsOfChunks(voxelCount, chunkCount, chunks);
      for (let voxel = start; voxel < end; ) {
        await pages.turnTo(voxel);
        const from = placeIn(pages.signals.pageVoxels, voxel);
        const to = placeIn(pages.outputs.pageVoxels, voxel);
        const count = Math.min(batchVoxels, end - voxel, from.left, to.left);
        fitter.fit({
          signals: pages.signals.page(from.page),
          row: from.row,
          count,
          outputs: pages.outputs.page(to.page),
          outputRow: to.row,
          voxel,
        });
        pages.fitted(voxel, voxel + count);
        voxel += count;
        voxelsDone += count;
        const nowMs = performance.now();
        if (nowMs - breathedMs < turnMs) continue;
        progress.update(voxelsDone, 1, nowMs);
        await breathe();
        if (signal?.aborted) throw abortReason(signal);
        breathedMs = performance.now();
        awayMs += breathedMs - nowMs;
      }
      pages.chunksDone(chunks);
    }
    await pages.flush();
  } finally {
    pages.close();
  }
  progress.update(voxelCount, 1);
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
