/** How many chunks, where the user leaves it to us. */
import type { ChunkedModel, KernelModule, VoxelSignals } from "@fascicle/core";
import { bytesPerValue, outputView, readRows } from "@fascicle/object-store";
import { kernelModuleUrl } from "./kernelModules.ts";

/** A chunk of about this much work: long against what a chunk costs, short against a fit. */
const chunkSeconds = 0.02;
/** Each worker gets at least so many, so that they end together. */
const chunksPerWorker = 16;
const probeVoxels = 48;
/** Where voxels are read from disk, so many that follow each other are tried out. */
const probeStretch = 6;
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
  const probes = await readProbes(signals);
  const scratch = model.outputs.map((field) =>
    outputView(field.dtype, new SharedArrayBuffer(field.width * bytesPerValue[field.dtype])),
  );
  const fitOne = ({ rows, row }: Probe) => {
    try {
      fitter.fit(rows, row, 1, scratch, 0);
    } catch {
      // A voxel that crashes the kernel has its place in the fit, not in this measure.
    }
  };
  for (const probe of probes.slice(0, warmUpVoxels)) fitOne(probe);
  const begunMs = performance.now();
  for (const probe of probes) fitOne(probe);
  return (performance.now() - begunMs) / 1000 / probes.length;
}

/** A voxel to be tried out. */
interface Probe {
  readonly rows: Float32Array | Float64Array;
  readonly row: number;
}

async function readProbes(signals: VoxelSignals): Promise<Probe[]> {
  const { voxelCount } = signals;
  const length = signals.slabs.length > 0 ? 1 : Math.min(probeStretch, voxelCount);
  const stretches = Math.floor(Math.min(probeVoxels, voxelCount) / length);
  const probes: Probe[] = [];
  for (let i = 0; i < stretches; i++) {
    const first = Math.min(voxelCount - length, Math.floor((i * voxelCount) / stretches));
    const rows = await readRows(signals, first, first + length);
    for (let row = 0; row < length; row++) probes.push({ rows, row });
  }
  return probes;
}
