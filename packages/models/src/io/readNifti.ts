/** A whole small NIfTI file in memory. */
import type { NiftiDtype } from "./datatype.ts";
import type { Geometry } from "./dwi.ts";
import { geometryOf } from "./header.ts";
import { openInput } from "./inputFile.ts";
import { openVolumes, readVolumes } from "./volumeReader.ts";

export interface NiftiImage {
  /** Axis lengths, x first; trailing axes of length 1 beyond the third are gone. */
  readonly shape: readonly number[];
  readonly dtype: NiftiDtype;
  /** Scaled values, x fastest. */
  readonly data: Float64Array;
  /** Voxel index to scanner millimetres, 4x4 by rows. */
  readonly affine: Float64Array;
  /** The header's own bytes, 348 (NIfTI-1) or 540 (NIfTI-2). */
  readonly header: Uint8Array;
  readonly geometry: Geometry;
}

/** Reads .nii or .nii.gz, any real type. Throws InputError on a file that cannot be read whole. */
export async function readNifti(path: string): Promise<NiftiImage> {
  const file = await openInput(path, "NIfTI");
  try {
    const header = await openVolumes(file);
    const { slope, intercept, shape } = header;
    const [nx, ny, nz, ...rest] = shape;
    const volumeVoxels = nx * ny * nz;
    const volumes = rest.reduce((product, length) => product * length, 1);
    const data = new Float64Array(volumeVoxels * volumes);
    await readVolumes(
      file,
      header,
      { wanted: new Uint8Array(volumes).fill(1), stopEarly: false },
      (volume, first, values) => {
        const offset = volume * volumeVoxels + first;
        for (let i = 0; i < values.length; i++) data[offset + i] = slope * values[i] + intercept;
      },
    );
    const geometry = geometryOf(header);
    return {
      shape,
      dtype: header.datatype.dtype,
      data,
      affine: geometry.affine,
      header: header.bytes,
      geometry,
    };
  } finally {
    await file.handle.close();
  }
}
