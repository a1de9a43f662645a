/** A diffusion-weighted volume, opened: its masked voxels, its gradient table, its geometry. */
import type { VoxelSignals } from "../signals.ts";

/** b-values and directions of every volume that is kept, in file order. */
export interface GradientTable {
  /** s/mm², one per volume; 0 where the volume counts as b0. As given otherwise. */
  readonly bvals: Float64Array;
  /** Unit vectors, 3 per volume, in the frame of the bvecs file; (0,0,0) for b0 volumes. */
  readonly bvecs: Float64Array;
  /** Volumes with b at or below this are b0. */
  readonly b0Threshold: number;
  /** 1 where the volume is a b0, one per volume. */
  readonly isB0: Uint8Array;
  /**
   * The table as the file gives it, by the rule of DIPY's design matrices: a b0 volume keeps its small
   * b-value and vector where that is a unit vector; both are 0 where it is not.
   */
  readonly given?: { readonly bvals: Float64Array; readonly bvecs: Float64Array };
}

/** Where the voxels stand: grid, voxel size, and the header's geometry to the bit. */
export interface Geometry {
  /** Grid size in x, y, z. */
  readonly shape: readonly [number, number, number];
  /** Voxel size in mm. */
  readonly voxelSize: readonly [number, number, number];
  /** Voxel index to scanner millimetres, 4x4 by rows (sform, else qform, else voxel size). */
  readonly affine: Float64Array;
  /** The whole header of the input file, from which written maps take their geometry. */
  readonly header: Uint8Array;
  readonly littleEndian: boolean;
  readonly niftiVersion: 1 | 2;
}

/** Voxels of a cuboid around the centre of the volume, in and out of the mask, for the automatic response. */
export interface CentreRoi {
  /** Size of the cuboid in x, y, z. */
  readonly shape: readonly [number, number, number];
  /** Where a mask file was given, voxels outside it hold 0. Scaled signals in float64, voxel after voxel (x fastest), `width` samples each. */
  readonly signals: Float64Array;
}

/** Which volumes and voxels of a scan are fitted. */
export type DataSelection = {
  /** s/mm². */
  readonly b0Threshold: number;
  /** Volumes with a larger b were left out, s/mm²; null where none were. */
  readonly maxB: number | null;
  /** Volumes that were kept. */
  readonly volumes: number;
  readonly mask: "file" | "mean b0 signal above zero";
};

export interface Dwi {
  /** Masked voxels, raw as stored in the file; the signal is `slope * raw + intercept`. */
  readonly signals: VoxelSignals;
  readonly scale: { readonly slope: number; readonly intercept: number };
  readonly gradients: GradientTable;
  readonly geometry: Geometry;
  /** Flat grid index (x + y*nx + z*nx*ny) of each masked voxel, ascending. */
  readonly voxels: Uint32Array;
  /** Cuboid inclusive both ends, radii 10 about shape//2, clipped as DIPY does. */
  readonly centre: CentreRoi;
  /** What was taken of the files, for sidecars and the receipt. */
  readonly selection: DataSelection;
  /** File name and sha256 of each input file, for sidecars and the receipt. */
  readonly inputs: readonly {
    readonly role: string;
    readonly file: string;
    readonly sha256: string;
  }[];
  readonly warnings: readonly string[];
  /** Removes what lies on disk of it: the signals cannot be read then. Nothing to do where they are in memory. */
  close(): Promise<void>;
}
