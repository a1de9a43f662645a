/** What a voxel takes, tried out on a few before a fit. */
import type { ChunkedModel, KernelModule, VoxelSignals } from "@fascicle/core";
import { bytesPerValue, outputView, readRows } from "@fascicle/object-store";
import { kernelModuleUrl } from "./kernelModules.ts";

/** Of so many voxels one is tried out, and no more than these. */
const voxelsPerProbe = 50;
const probesLimit = 48;
/** Where voxels are read from disk, so many that follow each other are tried out. */
const probeStretch = 6;
/** The first run before the engine has compiled the kernel: they are not timed. */
const warmUpProbes = 16;
/** So many are timed at least; more only while there is time, since nobody else works meanwhile, milliseconds. */
const fewestTimed = 4;
const patienceMs = 25;
/** One that takes as long as this was tried out enough: an abort is not seen meanwhile. */
const slowVoxelMs = 250;

/** What a voxel counts as where it is not tried out. */
export const unmeasuredVoxelSeconds = 1e-4;

/** In a fit of fewer voxels, trying some out would take longer than it is worth. */
export const measuredVoxelsLeast = 2000;

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
  const begunMs = performance.now();
  const isLate = (shareOfPatience: number) =>
    performance.now() - begunMs > shareOfPatience * patienceMs;
  for (const probe of probes.slice(0, warmUpProbes)) {
    const startMs = performance.now();
    fitOne(probe);
    const voxelMs = performance.now() - startMs;
    if (voxelMs >= slowVoxelMs) return voxelMs / 1000;
    if (isLate(0.5)) break;
  }
  const timedMs = performance.now();
  let timed = 0;
  for (const probe of probes) {
    fitOne(probe);
    timed++;
    if (timed >= fewestTimed && isLate(1)) break;
  }
  return (performance.now() - timedMs) / 1000 / timed;
}

/** A voxel to be tried out. */
interface Probe {
  readonly rows: Float32Array | Float64Array;
  readonly row: number;
}

/** Voxels in an order that goes over the volume more than once, so that the first few are spread as well. */
async function readProbes(signals: VoxelSignals): Promise<Probe[]> {
  const { voxelCount } = signals;
  const length = signals.slabs.length > 0 ? 1 : Math.min(probeStretch, voxelCount);
  const wanted = Math.min(probesLimit, Math.ceil(voxelCount / voxelsPerProbe));
  const stretches = Math.ceil(wanted / length);
  const probes: Probe[] = [];
  for (let i = 0; i < stretches; i++) {
    // Steps of the golden section of a ring meet every part of it soon.
    const place = (i * goldenSection) % 1;
    const first = Math.floor(place * (voxelCount - length + 1));
    const rows = await readRows(signals, first, first + length);
    for (let row = 0; row < length; row++) probes.push({ rows, row });
  }
  return probes;
}

const goldenSection = (Math.sqrt(5) - 1) / 2;
