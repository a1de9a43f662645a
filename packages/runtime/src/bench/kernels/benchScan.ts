/** Scans to measure kernels on: a phantom made on the spot, or voxels of a user's own. */
import {
  type Dwi,
  type GradientScheme,
  gradientScheme,
  makePhantom,
  measureVolume,
  type Phantom,
  type PhantomScheme,
} from "@fascicle/models";
import { bytesPerValue, readRows, signalView } from "@fascicle/object-store";

/** b-values up to this count as b0, s/mm². */
export const b0Threshold = 50;

/** Of a cuboid about so large a part is the phantom's head, and of that its white matter. */
const headShare = 0.35;
const whiteShare = 0.2;
const smallestSize = 8;

/** A scheme of the phantom's with another b-value for its largest shell, or cut off after so many volumes. */
export interface BenchScheme {
  readonly scheme: PhantomScheme;
  /** s/mm² */
  readonly largestB?: number;
  readonly volumes?: number;
  /** Default: the whole head. */
  readonly tissue?: "white";
}

/** So many voxels of a phantom, spread over its head or white matter, as a scan in memory. */
export function phantomScan(voxels: number, scheme: BenchScheme): Dwi {
  const { tissue } = scheme;
  const share = headShare * (tissue === "white" ? whiteShare : 1);
  const edge = Math.max(smallestSize, Math.ceil(Math.cbrt(voxels / share)));
  const made = makePhantom({ size: [edge, edge, edge], scheme: scheme.scheme });
  const phantom = { ...made, gradients: gradientsOf(scheme) };
  const inTissue = [...made.voxels.keys()].filter((voxel) => !tissue || isWhite(made, voxel));
  const chosen = spread(inTissue.length, voxels).map((i) => inTissue[i]);
  const width = phantom.gradients.bvals.length;
  const rows = new Float64Array(chosen.length * width);
  const volume = new Int16Array(edge ** 3);
  for (let k = 0; k < width; k++) {
    measureVolume(phantom, k, volume);
    for (const [row, voxel] of chosen.entries()) {
      rows[row * width + k] = volume[phantom.voxels[voxel]];
    }
  }
  return scanOf(rows, phantom.gradients);
}

/** Fibres, and little else. */
function isWhite({ truth }: Phantom, voxel: number): boolean {
  return truth.fibres[voxel] > 0 && truth.coherence[voxel] > 0.6 && truth.water[voxel] < 0.1;
}

function gradientsOf({ scheme, largestB, volumes }: BenchScheme): GradientScheme {
  const { bvals, bvecs } = gradientScheme(scheme);
  const largest = Math.max(...bvals);
  const count = volumes ?? bvals.length;
  return {
    bvals: bvals.slice(0, count).map((b) => (b === largest ? (largestB ?? b) : b)),
    bvecs: bvecs.slice(0, 3 * count),
  };
}

/** So many voxels of a scan, spread over those that are fitted, scaled, in memory. */
export async function voxelsOf(dwi: Dwi, voxels: number): Promise<Dwi> {
  const { signals, scale, gradients } = dwi;
  const { width, voxelCount } = signals;
  const chosen = spread(voxelCount, voxels);
  const rows = new Float64Array(chosen.length * width);
  for (const [row, voxel] of chosen.entries()) {
    const raw = await readRows(signals, voxel, voxel + 1);
    for (let k = 0; k < width; k++) rows[row * width + k] = scale.slope * raw[k] + scale.intercept;
  }
  return { ...dwi, ...scanOf(rows, gradients), gradients, centre: dwi.centre };
}

/** A scan of voxels without a place. `rows` holds their signals, voxel after voxel. */
export function scanOf(rows: Float64Array, { bvals, bvecs }: GradientScheme): Dwi {
  const width = bvals.length;
  const voxelCount = rows.length / width;
  // As a reader would: the narrowest type that holds them.
  const dtype = rows.every((value) => Math.fround(value) === value) ? "float32" : "float64";
  const slab = new SharedArrayBuffer(rows.length * bytesPerValue[dtype]);
  signalView(dtype, slab).set(rows);
  const affine = Float64Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1);
  return {
    signals: { voxelCount, width, dtype, voxelsPerSlab: voxelCount, slabs: [slab] },
    scale: { slope: 1, intercept: 0 },
    gradients: {
      bvals,
      bvecs,
      b0Threshold,
      isB0: Uint8Array.from(bvals, (b) => Number(b <= b0Threshold)),
    },
    geometry: {
      shape: [voxelCount, 1, 1],
      voxelSize: [1, 1, 1],
      affine,
      header: new Uint8Array(),
      littleEndian: true,
      niftiVersion: 1,
    },
    voxels: Uint32Array.from({ length: voxelCount }, (_, voxel) => voxel),
    centre: { shape: [0, 0, 0], signals: new Float64Array() },
    selection: { b0Threshold, maxB: null, volumes: width, mask: "mean b0 signal above zero" },
    inputs: [],
    warnings: [],
    close: async () => {},
  };
}

/** Numbers from 0 to `count`, at most so many, evenly spread. */
function spread(count: number, most: number): number[] {
  const chosen = Math.min(count, most);
  return Array.from({ length: chosen }, (_, i) => Math.floor((i * count) / chosen));
}
