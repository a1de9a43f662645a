/** The same fit without noise: what the noise did to it is its error. */
import { csd, type Dwi, type Phantom, phantomSignal } from "@fascicle/models";
import { allocateSignals, blockVoxelsFor, signalView } from "@fascicle/object-store";
import { fitChunked } from "../fit/fitChunked.ts";

/**
 * GFA of a CSD fit to the phantom's signal without noise, one value for each voxel of `dwi`, whose mask must be
 * the phantom's own. `response` is that of the fit it is held against.
 */
export async function noiseFreeGfa(
  phantom: Phantom,
  dwi: Dwi,
  response: readonly [number, number, number, number],
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const clean: Dwi = {
    ...dwi,
    signals: noiseFreeSignals(phantom),
    scale: { slope: 1, intercept: 0 },
  };
  const fit = await fitChunked(csd(clean, { response }), "auto", { engine: "local", signal });
  return fit.maps.gfa.data as Float64Array;
}

/** Signals of the head's voxels in every volume, voxel after voxel. */
function noiseFreeSignals(phantom: Phantom) {
  const width = phantom.gradients.bvals.length;
  const layout = {
    voxelCount: phantom.voxels.length,
    width,
    dtype: "float64",
    blockVoxels: blockVoxelsFor({ voxelCount: phantom.voxels.length, width, dtype: "float64" }),
  } as const;
  const { slabs, voxelsPerSlab } = allocateSignals(layout, (bytes) => new SharedArrayBuffer(bytes));
  for (const [index, slab] of slabs.entries()) {
    const samples = signalView("float64", slab);
    const first = index * voxelsPerSlab;
    for (let i = 0; i < samples.length; i++) {
      samples[i] = phantomSignal(phantom, first + Math.floor(i / width), i % width);
    }
  }
  return { ...layout, voxelsPerSlab, slabs };
}
