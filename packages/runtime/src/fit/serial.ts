/** The serial engine: one thread, this one; the measure that the others are held against. */
import { chunkStart, type KernelModule } from "@fascicle/core";
import { nextBatch, outputView, signalView } from "@fascicle/object-store";
import { abortReason } from "../errors.ts";
import type { Engine } from "./engine.ts";
import { kernelModuleUrl } from "./kernelModules.ts";

/** Voxels between two looks at the clock. */
const batchVoxels = 32;
/** This thread listens to its caller (abort, timers) this often. */
const turnMs = 20;

const breathe = () => new Promise((resolve) => setImmediate(resolve));

export const serialEngine: Engine = async ({ model, chunkCount, outputs, signal, progress }) => {
  const { signals, kernel } = model;
  const module = (await import(kernelModuleUrl(kernel.module))) as KernelModule;
  const fitter = module.createKernel(kernel.name, kernel.parameters);
  const slabs = signals.slabs.map((slab) => signalView(signals.dtype, slab));
  const views = model.outputs.map(({ dtype }, i) => outputView(dtype, outputs[i]));
  const begunMs = performance.now();
  let breathedMs = begunMs;
  let awayMs = 0;
  for (let chunk = 0; chunk < chunkCount; chunk++) {
    const end = chunkStart(signals.voxelCount, chunkCount, chunk + 1);
    for (let voxel = chunkStart(signals.voxelCount, chunkCount, chunk); voxel < end; ) {
      const { slab, first, count } = nextBatch(voxel, end, signals.voxelsPerSlab, batchVoxels);
      fitter.fit(slabs[slab], first, count, views, voxel);
      voxel += count;
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
