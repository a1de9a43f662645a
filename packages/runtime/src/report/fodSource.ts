/** FOD amplitudes of a CSD fit over a mesh in patient axes. */
import { type FittedField, InputError, type Json } from "@fascicle/models";
import type { FodSource } from "./fibres.ts";
import type { ReportFit } from "./fit.ts";
import { gridFromBvec, gridFromPatient, scannerFromGrid } from "./frames.ts";
import type { SphereMesh } from "./sphere.ts";

/** What a CSD model adds to its fit: amplitudes `[voxels, directions]` by rows. */
interface OdfExtras {
  odf(directions: Float64Array): ArrayLike<number>;
}

/**
 * Asks the model itself for amplitudes, a few voxels at a time: all voxels' at once would be larger
 * than the scan. Throws `InputError` for a model that cannot tell them.
 */
export function fodSource(fit: ReportFit, mesh: SphereMesh): FodSource {
  const directions = fodDirections(mesh, fit.model.dwi.geometry.affine, fit.model.options.shBasis);
  return {
    mesh,
    amplitudes: (rows) => {
      const maps = Object.fromEntries(
        Object.entries(fit.maps).map(([name, field]) => [name, rowsOf(field, rows)]),
      );
      const extras: unknown = fit.model.extend({ maps });
      if (!hasOdf(extras)) {
        throw new InputError(`The model "${fit.model.name}" gives no fibre orientations to show.`);
      }
      return Float64Array.from(extras.odf(directions));
    },
  };
}

function hasOdf(extras: unknown): extras is OdfExtras {
  return typeof (extras as Partial<OdfExtras> | null)?.odf === "function";
}

/** The mesh's vertices in the frame of the model's FODs: the bvecs', or the scanner's for MRtrix3. */
function fodDirections(
  mesh: SphereMesh,
  affine: Float64Array,
  basis: Json | undefined,
): Float64Array {
  const toGrid = gridFromPatient(affine);
  const fromGrid = basis === "mrtrix3" ? scannerFromGrid(affine) : gridFromBvec(affine);
  const out = new Float64Array(mesh.vertices.length);
  for (let i = 0; i < out.length; i += 3) {
    out.set(fromGrid(toGrid(mesh.vertices.subarray(i, i + 3))), i);
  }
  return out;
}

/** The field of some voxels alone. */
function rowsOf(field: FittedField, rows: ArrayLike<number>): FittedField {
  const width = field.shape[1];
  const data = field.data.slice(0, 0);
  const picked = new (data.constructor as Float64ArrayConstructor)(rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    picked.set(field.data.subarray(rows[i] * width, (rows[i] + 1) * width), i * width);
  }
  return { data: picked, shape: [rows.length, width], units: field.units };
}
