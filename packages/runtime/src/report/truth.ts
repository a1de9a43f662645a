/** A phantom's truth for the voxels of a fit. */
import { join } from "node:path";
import { type Dwi, InputError, phantomFiles, readNifti } from "@fascicle/models";
import type { VoxelTruth } from "./errors.ts";

/** One entry per masked voxel of the fit. */
export interface PhantomVoxels extends VoxelTruth {
  readonly fa: Float64Array;
  /** mm²/s. */
  readonly md: Float64Array;
  readonly water: Float64Array;
  readonly fibres: Float64Array;
  /** Three vectors along the file's axes, as long as the fibre's share of the tissue; 9 numbers per voxel. */
  readonly directions: Float64Array;
  /** GFA of the same CSD fit to the signal without noise: an FOD's sharpness has no truth but that. */
  readonly gfa?: Float64Array;
}

/** Reads the truth beside a phantom's scan. Throws `InputError` where it is not on the scan's grid. */
export async function readPhantomTruth(directory: string, dwi: Dwi): Promise<PhantomVoxels> {
  const read = async (name: string, width: number) => {
    const path = join(directory, name);
    const image = await readNifti(path);
    const { shape } = dwi.geometry;
    const count = shape[0] * shape[1] * shape[2];
    if (!shape.every((n, i) => image.shape[i] === n) || image.data.length !== count * width) {
      throw new InputError(
        `"${path}" is ${image.shape.join(" x ")} voxels, but the scan is ${shape.join(" x ")}; give the directory of the phantom that was fitted.`,
      );
    }
    const values = new Float64Array(dwi.voxels.length * width);
    dwi.voxels.forEach((at, row) => {
      for (let k = 0; k < width; k++) values[row * width + k] = image.data[k * count + at];
    });
    return values;
  };
  return {
    fa: await read(phantomFiles.fa, 1),
    md: await read(phantomFiles.md, 1),
    water: await read(phantomFiles.f, 1),
    fibres: await read(phantomFiles.fibres, 1),
    directions: await read(phantomFiles.directions, 9),
  };
}
