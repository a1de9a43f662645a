/** A scan to measure with: voxels of a phantom, in memory, as many as are wanted. */
import { setImmediate } from "node:timers/promises";
import {
  type Dwi,
  InputError,
  makePhantom,
  measureVoxel,
  type Phantom,
  type PhantomScheme,
  phantomVoxelSize,
} from "@fascicle/models";
import { allocateSignals, blockVoxelsFor, signalView } from "@fascicle/object-store";

export interface PhantomScanOptions {
  readonly scheme: PhantomScheme;
  /** As many as the scan has in its mask. */
  readonly voxels: number;
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  /** Hears the share that is done, 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

const b0Threshold = 50;
/** A head of the phantom fills somewhat more than this of its grid. */
const headShare = 0.37;
/** Height of the grid over its other two edges. */
const gridShape = [1, 1.2, 1] as const;
const largestEdge = 512;
/** This thread listens to its caller this often. */
const turnMs = 20;

/**
 * Voxels spread evenly over the head of the smallest phantom that has as many, with the noise that `writePhantom`
 * gives them. Throws `InputError` where no phantom has as many, and the reason of `signal`.
 */
export async function phantomScan(options: PhantomScanOptions): Promise<Dwi> {
  const { scheme, voxels, seed = 1, signal, onProgress } = options;
  const phantom = phantomOf(voxels, scheme, seed);
  const { bvals, bvecs } = phantom.gradients;
  const width = bvals.length;
  const layout = { voxelCount: voxels, width, dtype: "float32" } as const;
  const blockVoxels = blockVoxelsFor(layout);
  const { slabs, voxelsPerSlab } = allocateSignals(
    { ...layout, blockVoxels },
    (bytes) => new SharedArrayBuffer(bytes),
  );
  const chosen = Uint32Array.from({ length: voxels }, (_, i) =>
    Math.floor((i * phantom.voxels.length) / voxels),
  );
  let breathedMs = performance.now();
  for (let voxel = 0; voxel < voxels; voxel++) {
    const samples = signalView("float32", slabs[Math.floor(voxel / voxelsPerSlab)]);
    const row = (voxel % voxelsPerSlab) * width;
    for (let volume = 0; volume < width; volume++) {
      samples[row + volume] = measureVoxel(phantom, chosen[voxel], volume);
    }
    if (performance.now() - breathedMs < turnMs) continue;
    onProgress?.(voxel / voxels);
    await setImmediate();
    signal?.throwIfAborted();
    breathedMs = performance.now();
  }
  return {
    signals: { ...layout, voxelsPerSlab, slabs },
    scale: { slope: 1, intercept: 0 },
    gradients: { bvals, bvecs, b0Threshold, isB0: Uint8Array.from(bvals, (b) => Number(b === 0)) },
    geometry: {
      shape: phantom.shape,
      voxelSize: [phantomVoxelSize, phantomVoxelSize, phantomVoxelSize],
      affine: phantom.affine,
      header: new Uint8Array(),
      littleEndian: true,
      niftiVersion: 1,
    },
    voxels: chosen.map((at) => phantom.voxels[at]),
    centre: { shape: [0, 0, 0], signals: new Float64Array() },
    selection: { b0Threshold, maxB: null, volumes: width, mask: "file" },
    inputs: [],
    warnings: [],
    close: async () => {},
  };
}

function phantomOf(voxels: number, scheme: PhantomScheme, seed: number): Phantom {
  let edge = Math.cbrt(voxels / headShare / gridShape[1]);
  for (;;) {
    const size = gridShape.map((share) => Math.max(8, Math.ceil(share * edge)));
    if (size.some((n) => n > largestEdge)) {
      throw new InputError(`No phantom has ${voxels} voxels; ask for fewer.`);
    }
    const phantom = makePhantom({ size, scheme, seed });
    if (phantom.voxels.length >= voxels) return phantom;
    edge *= 1.02;
  }
}
