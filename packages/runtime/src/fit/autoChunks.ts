/** How many chunks, where the user leaves it to us. */
import type { ChunkedModel, KernelModule } from "@fascicle/core";
import { bytesPerValue, nextBatch, outputView, signalView } from "@fascicle/object-store";
import { kernelModuleUrl } from "./kernelModules.ts";

/** A chunk of about this much work: long against what a chunk costs, short against a fit. */
const chunkSeconds = 0.02;
/** Each worker gets at least so many, so that they end together. */
const chunksPerWorker = 16;
const probeVoxels = 48;
/** The first voxels run before the engine has compiled the kernel: they are not timed. */
const warmUpVoxels = 16;
/** What a voxel counts as where it may not be tried out here, because it may never end. */
export const unmeasuredVoxelSeconds = 1e-3;

/** The count for a fit that takes `secondsPerVoxel` on each of `workers`. Pure. */
export function chooseChunks(voxels: number, workers: number, secondsPerVoxel: number): number {
  const byTime = Math.ceil((voxels * secondsPerVoxel) / chunkSeconds);
  return Math.max(1, Math.min(voxels, Math.max(byTime, workers * chunksPerWorker)));
}

/** Seconds for one voxel on one core, measured on a few that are spread over the volume; results are thrown away. */
export async function measureVoxel(model: ChunkedModel): Promise<number> {
  const { signals, kernel } = model;
  const module = (await import(kernelModuleUrl(kernel.module))) as KernelModule;
  const fitter = module.createKernel(kernel.name, kernel.parameters);
  const slabs = signals.slabs.map((slab) => signalView(signals.dtype, slab));
  const scratch = model.outputs.map((field) =>
    outputView(field.dtype, new SharedArrayBuffer(field.width * bytesPerValue[field.dtype])),
  );
  const fitOne = (voxel: number) => {
    const { slab, first } = nextBatch(voxel, voxel + 1, signals.voxelsPerSlab, 1);
    try {
      fitter.fit(slabs[slab], first, 1, scratch, 0);
    } catch {
      // A voxel that crashes the kernel has its place in the fit, not in this measure.
    }
  };
  const count = Math.min(probeVoxels, signals.voxelCount);
  const at = (i: number) => Math.floor((i * signals.voxelCount) / count);
  for (let i = 0; i < Math.min(warmUpVoxels, count); i++) fitOne(at(i));
  const begunMs = performance.now();
  for (let i = 0; i < count; i++) fitOne(at(i));
  return (performance.now() - begunMs) / 1000 / count;
}
