/** Gathers what a report page shows from finished fits. */
import { type Dwi, InputError, type Json } from "@fascicle/models";
import { version } from "../version.ts";
import { csdSection } from "./csdSection.ts";
import type { ReportFit } from "./fit.ts";
import { formatNumber, formatSeconds } from "./html.ts";
import type { ReportInput, ReportSection } from "./input.ts";
import { type Plane, type PlaneName, planeAt, planesThroughMask } from "./planes.ts";
import { scanSection } from "./scanSection.ts";
import { isTensorModel, tensorSection } from "./tensorSection.ts";
import { type PhantomVoxels, readPhantomTruth } from "./truth.ts";

export interface BuildReportOptions {
  /** Fits of one scan, in the order they are shown. */
  readonly fits: readonly ReportFit[];
  /** Directory that `writePhantom` filled, if the scan is a phantom: its truth stands beside the fits. */
  readonly phantomDirectory?: string;
  /** GFA of the CSD fit to the phantom's signal without noise, over the masked voxels: GFA's truth. */
  readonly noiseFreeGfa?: Float64Array;
  readonly title?: string;
  /** The commands that made the fits, as the reader would type them. */
  readonly commands?: readonly string[];
  /** Indices of the planes shown along the file's axes; by default planes through the mask's middle. */
  readonly planes?: Partial<Readonly<Record<PlaneName, number>>>;
}

/**
 * Everything that `renderReport` draws. Throws `InputError` where there is no fit, where the fits are
 * not of one scan, or where the phantom's truth cannot be read or is not on the scan's grid.
 */
export async function buildReport(options: BuildReportOptions): Promise<ReportInput> {
  const { fits, phantomDirectory } = options;
  const dwi = fits[0]?.model.dwi;
  if (dwi === undefined) throw new InputError("A report needs at least one fit; none was given.");
  for (const { model } of fits) checkSameGrid(dwi, model.dwi, model.name);
  const planes = chosenPlanes(dwi, options.planes ?? {});
  const truth =
    phantomDirectory === undefined
      ? undefined
      : { ...(await readPhantomTruth(phantomDirectory, dwi)), gfa: options.noiseFreeGfa };
  return {
    title: options.title ?? (truth ? "Fascicle on a brain phantom" : "Fascicle report"),
    lead: leadOf(fits, truth),
    facts: factsOf(dwi, fits),
    sections: [await scanSection(dwi, planes), ...sectionsOf(fits, planes, truth)],
    provenance: provenanceOf(options, dwi),
  };
}

function sectionsOf(
  fits: readonly ReportFit[],
  planes: readonly Plane[],
  truth: PhantomVoxels | undefined,
): ReportSection[] {
  return fits.map((fit) => {
    const { name } = fit.model;
    if (name === "csd") return csdSection(fit, planes, truth);
    if (isTensorModel(name)) return tensorSection(name, fit, planes, truth);
    throw new InputError(`A report can show csd, freewater and dti, but not the model "${name}".`);
  });
}

function checkSameGrid(one: Dwi, other: Dwi, name: string): void {
  const same =
    one.geometry.shape.every((n, i) => n === other.geometry.shape[i]) &&
    one.voxels.length === other.voxels.length &&
    one.voxels.every((at, i) => at === other.voxels[i]);
  if (!same) {
    throw new InputError(
      `The ${name} fit has other voxels than the first one; give fits of one scan and one mask.`,
    );
  }
}

function chosenPlanes(dwi: Dwi, chosen: Partial<Readonly<Record<PlaneName, number>>>): Plane[] {
  return planesThroughMask(dwi.geometry, dwi.voxels).map((plane) => {
    const index = chosen[plane.name];
    return index === undefined ? plane : planeAt(dwi.geometry, plane.name, index);
  });
}

const modelNames: Readonly<Record<string, string>> = {
  csd: "fibre orientations",
  freewater: "free water",
  dti: "diffusion tensor",
};

function leadOf(fits: readonly ReportFit[], truth: PhantomVoxels | undefined): string {
  const names = fits.map(({ model }) => modelNames[model.name] ?? model.name);
  const list = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  const what = `${list[0].toUpperCase()}${list.slice(1)}, fitted voxel by voxel`;
  return truth === undefined
    ? `${what}.`
    : `${what} to a simulated scan whose truth is known, so that every fitted map can be held against it.`;
}

function factsOf(dwi: Dwi, fits: readonly ReportFit[]): ReportInput["facts"] {
  const { shape, voxelSize } = dwi.geometry;
  const size = voxelSize.map((mm) => formatNumber(Number(mm.toPrecision(3))));
  const facts = [
    { label: "Grid", value: shape.join("×") },
    { label: "Voxel, mm", value: new Set(size).size === 1 ? size[0] : size.join("×") },
    { label: "Volumes", value: formatNumber(dwi.gradients.bvals.length) },
    { label: "Voxels fitted", value: formatNumber(dwi.voxels.length) },
  ];
  for (const { model, receipt } of fits) {
    const total = receipt?.seconds?.total;
    if (total !== undefined)
      facts.push({ label: `${model.name} fit`, value: formatSeconds(total) });
  }
  return facts;
}

type ProvenanceRows = ReportInput["provenance"][number]["rows"];

function provenanceOf(
  { fits, commands = [] }: BuildReportOptions,
  dwi: Dwi,
): ReportInput["provenance"] {
  const inputs: ProvenanceRows = dwi.inputs.map(({ role, file, sha256 }) => ({
    label: role,
    value: `${file}  sha256 ${sha256}`,
  }));
  const options = fits.map(({ model }) => ({
    heading: `Options of ${model.name}`,
    rows: [
      ...Object.entries(model.options).map(([label, value]) => ({ label, value: jsonText(value) })),
      { label: "kernel", value: `${model.kernel.name} ${model.kernel.hash}` },
    ],
  }));
  return [
    { heading: "Inputs", rows: inputs },
    ...(commands.length === 0
      ? []
      : [
          { heading: "Commands", rows: commands.map((value, i) => ({ label: `${i + 1}`, value })) },
        ]),
    ...options,
    {
      heading: "Versions",
      rows: [
        { label: "Fascicle", value: version },
        { label: "Node", value: process.version },
        { label: "Platform", value: `${process.platform} ${process.arch}` },
      ],
    },
  ];
}

function jsonText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
