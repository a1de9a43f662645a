/** Writes the maps of a fit as NIfTI files with a JSON sidecar each. */
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DwiModel, FittedField, FittedMaps, Json, MapFile, OutputField } from "../model.ts";
import { VoxelStatus } from "../model.ts";
import type { Dwi } from "./dwi.ts";
import { encodeHeader } from "./headerWriter.ts";
import { mapVolumes } from "./mapVolumes.ts";
import { software, softwareName, version } from "./software.ts";
import { StagingDirectory, writeError } from "./stagingDirectory.ts";
import type { WrittenDtype } from "./writeNifti.ts";
import { sinkFor, writeValues } from "./writeNifti.ts";

const statusField = "status";
const reportFile = "report.json";
const defaultMemoryBytes = 256 * 1024 * 1024;

export interface SaveMapsOptions {
  /** Type of the floating-point maps; integer maps keep theirs. Default float32. */
  readonly dtype?: "float32" | "float64";
  /** Default nii.gz. */
  readonly nifti?: "nii.gz" | "nii";
  /** For volumes that are put together at the same time, at least one. Default 256 MiB. */
  readonly memoryBytes?: number;
  readonly signal?: AbortSignal;
  /** Written as report.json where given; a function is asked when the maps are written. */
  readonly receipt?: object | (() => object);
}

export type SaveableFit = FittedMaps & { readonly model: DwiModel };

/**
 * Writes each of the model's files to `directory`, which is made if need be: `<file>.nii.gz`, zeros
 * outside the mask (the status map: 255), on the input's geometry to the bit, and `<file>.json`. The
 * same values give the same bytes. All or nothing: on failure or abort nothing is left. Gives back
 * the names of the files. Throws InputError where the directory takes no files.
 */
export async function saveMaps(
  fit: SaveableFit,
  directory: string,
  options: SaveMapsOptions = {},
): Promise<readonly string[]> {
  const { nifti = "nii.gz", signal, memoryBytes = defaultMemoryBytes } = options;
  signal?.throwIfAborted();
  const staging = await StagingDirectory.open(directory);
  try {
    const names: string[] = [];
    for (const file of fit.model.files) {
      const map = mapOf(fit, file, options.dtype ?? "float32");
      const name = `${file.file}.${nifti}`;
      const settings = { gz: nifti === "nii.gz", memoryBytes, signal };
      await writeMap(join(staging.path, name), map, fit.model.dwi, settings);
      const sidecar = `${file.file}.json`;
      await writeFile(join(staging.path, sidecar), toJson(sidecarOf(fit.model, map)), { signal });
      names.push(name, sidecar);
    }
    if (options.receipt !== undefined) {
      const { receipt } = options;
      const report = typeof receipt === "function" ? (receipt as () => object)() : receipt;
      await writeFile(join(staging.path, reportFile), toJson(report), { signal });
      names.push(reportFile);
    }
    signal?.throwIfAborted();
    // A map of an earlier run with the other ending would contradict the new one.
    const other = nifti === "nii" ? "nii.gz" : "nii";
    await staging.commit(
      names,
      fit.model.files.map((file) => `${file.file}.${other}`),
    );
    return names;
  } catch (error) {
    await staging.discard();
    throw signal?.aborted ? signal.reason : writeError(error, directory);
  }
}

interface FittedMap {
  readonly file: MapFile;
  readonly field: OutputField;
  readonly fitted: FittedField;
  readonly dtype: WrittenDtype;
  readonly shape: readonly number[];
}

function mapOf(fit: SaveableFit, file: MapFile, floatDtype: "float32" | "float64"): FittedMap {
  const { dwi, outputs } = fit.model;
  const field = outputs.find((output) => output.name === file.field);
  const fitted = fit.maps[file.field];
  if (field === undefined || fitted === undefined) {
    throw new Error(`The fit has no field "${file.field}" to write as ${file.file}.`);
  }
  const [voxels, width] = fitted.shape;
  // The values of rows on disk are looked at as they are read.
  const values = fitted.isOnDisk ? voxels * width : fitted.data.length;
  if (voxels !== dwi.voxels.length || values !== voxels * width) {
    throw new Error(
      `The field "${file.field}" holds ${values} values in ${voxels} voxels of ${width}; the mask has ${dwi.voxels.length} voxels.`,
    );
  }
  const { shape } = dwi.geometry;
  return {
    file,
    field,
    fitted,
    dtype: field.dtype === "float64" ? floatDtype : field.dtype,
    shape: width === 1 ? shape : [...shape, width],
  };
}

async function writeMap(
  path: string,
  map: FittedMap,
  dwi: Dwi,
  { gz, memoryBytes, signal }: { gz: boolean; memoryBytes: number; signal?: AbortSignal },
): Promise<void> {
  const { dtype, shape, fitted } = map;
  const { geometry, voxels } = dwi;
  const gridVoxels = shape[0] * shape[1] * shape[2];
  const outside = map.field.name === statusField ? VoxelStatus.outside : 0;
  const handle = await open(path, "wx");
  try {
    const sink = sinkFor(handle, dtype, gz, signal);
    await sink.write(encodeHeader({ shape, dtype, geometry, description: softwareName }));
    const layout = { dtype, gridVoxels, voxels, outside, memoryBytes, signal };
    for await (const volume of mapVolumes(fitted, layout)) await writeValues(sink, volume);
    await sink.end();
    // A rename that outlives a power cut must not point to bytes that do not.
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What the sidecar says; nothing that depends on when, where or how the fit was run. */
function sidecarOf(model: DwiModel, map: FittedMap): { readonly [key: string]: Json } {
  const { dwi, kernel, name, options } = model;
  return {
    description: map.file.description,
    model: name,
    options,
    units: map.fitted.units,
    ...(map.field.name === statusField ? { levels: statusLevels() } : {}),
    shape: map.shape,
    voxelCount: dwi.voxels.length,
    data: dwi.selection,
    inputs: dwi.inputs.map(({ role, file, sha256 }) => ({ role, file, sha256 })),
    kernelHash: kernel.hash,
    software,
    version,
  };
}

function statusLevels(): { readonly [key: string]: Json } {
  return Object.fromEntries(
    Object.entries(VoxelStatus).map(([name, code]) => [String(code), name]),
  );
}

function toJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
