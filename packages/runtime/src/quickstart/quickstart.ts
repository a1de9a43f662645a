/** A first look: a phantom or the user's own scan, fitted for CSD and free water, with maps and a report page. */
import { existsSync } from "node:fs";
import { mkdir, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  csd,
  type Dwi,
  type DwiModel,
  freeWater,
  InputError,
  openDwi,
  phantomFiles,
  saveMaps,
  writePhantom,
} from "@fascicle/models";
import { type FitResult, fitChunked } from "../fit/fitChunked.ts";
import type { FitProgress } from "../fit/progress.ts";
import type { Receipt } from "../fit/receipt.ts";
import { buildReport, renderReport } from "../report/index.ts";
import { noiseFreeGfa } from "./noiseFree.ts";

type Fit = FitResult<DwiModel>;

export interface ScanFiles {
  readonly dwi: string;
  readonly bval: string;
  readonly bvec: string;
  readonly mask?: string;
}

export interface QuickstartOptions {
  /** Directory for everything that is written. */
  readonly out: string;
  /** The user's own scan; without one a phantom is made. */
  readonly scan?: ScanFiles;
  readonly phantom?: Parameters<typeof writePhantom>[1];
  /** Volumes with a larger b are left out, s/mm². */
  readonly maxB?: number;
  readonly workers?: number;
  readonly signal?: AbortSignal;
}

/** What the quickstart tells while it works. */
export interface QuickstartEvents {
  /** The next step begins, of so many; one that the scan is not fit for is left out. */
  onStep(step: number, steps: number): void;
  /** The step is so far (0 to 1). */
  onProgress(text: string, share: number): void;
  onFitProgress(model: string, progress: FitProgress): void;
  /** Something worth a line: a fit is done, a warning, a model that cannot be fitted. */
  onNote(text: string): void;
  onFitted(receipt: Receipt): void;
}

export interface QuickstartResult {
  readonly page: string;
  readonly report: string;
  readonly receipts: readonly Receipt[];
}

/**
 * Runs it. Throws `InputError` about the scan, and the reason of an aborted signal; then everything that this run
 * has made is removed.
 */
export async function quickstart(
  options: QuickstartOptions,
  events: QuickstartEvents,
): Promise<QuickstartResult> {
  const parts = ["phantom", "csd", "freewater"].map((name) => join(options.out, name));
  const made = [options.out, ...parts].filter((path) => !existsSync(path));
  await mkdir(options.out, { recursive: true });
  try {
    return await run(options, events);
  } catch (error) {
    for (const path of made) await rm(path, { recursive: true, force: true });
    throw error;
  }
}

const allSteps = ["phantom", "read", "csd", "freewater", "report"] as const;
type Step = (typeof allSteps)[number];

/** A scan of one's own needs no phantom. */
const stepsFor = ({ scan }: QuickstartOptions): readonly Step[] =>
  scan === undefined ? allSteps : allSteps.slice(1);

async function run(
  options: QuickstartOptions,
  events: QuickstartEvents,
): Promise<QuickstartResult> {
  const { out, signal } = options;
  const steps = stepsFor(options);
  const begin = (step: Step) => events.onStep(steps.indexOf(step) + 1, steps.length);
  const onProgress = (share: number) => events.onProgress("making a phantom", share);
  if (options.scan === undefined) begin("phantom");
  const directory = join(out, "phantom");
  const phantom =
    options.scan === undefined
      ? await writePhantom(directory, options.phantom ?? {}, { signal, onProgress })
      : undefined;
  const files = options.scan ?? phantomFilesIn(directory);
  begin("read");
  const dwi = await openDwi({
    ...files,
    maxB: options.maxB,
    signal,
    onProgress: (share) => events.onProgress(`reading ${files.dwi}`, share),
  });
  for (const warning of dwi.warnings) events.onNote(`warning: ${warning}`);
  const fits = await fitBoth(dwi, options, events, begin);
  await removeStale(out, [
    ...(phantom === undefined
      ? Object.values(phantomFiles).map((name) => join("phantom", name))
      : []),
    ...(fits.some(({ model }) => model.name === "freewater") ? [] : freeWaterFiles),
  ]);
  begin("report");
  events.onProgress("drawing the report", 0);
  const response = responseOf(fits[0].model);
  const page = await buildReport({
    fits,
    phantomDirectory: phantom === undefined ? undefined : directory,
    noiseFreeGfa: phantom && (await noiseFreeGfa(phantom, dwi, response, signal)),
    commands: commandsFor(files, options, fits),
  });
  const receipts = fits.map((fit) => fit.receipt);
  const report = `${JSON.stringify({ fits: receipts }, undefined, 2)}\n`;
  return {
    page: await writeWhole(join(out, "report.html"), renderReport(page)),
    report: await writeWhole(join(out, "report.json"), report),
    receipts,
  };
}

/** CSD and, where the scan has two shells, free water; each with its maps written. */
async function fitBoth(
  dwi: Dwi,
  { out, workers, signal }: QuickstartOptions,
  events: QuickstartEvents,
  begin: (step: Step) => void,
): Promise<Fit[]> {
  const fits: Fit[] = [];
  const told = new Set<string>();
  const models = { csd: () => csd(dwi), freewater: () => freeWaterIfPossible(dwi, events) };
  for (const name of ["csd", "freewater"] as const) {
    const model: DwiModel | undefined = models[name]();
    if (model === undefined) continue;
    begin(name);
    // What is said of the machine is said with each model, and read once.
    for (const warning of model.warnings.filter((sentence) => !told.has(sentence))) {
      told.add(warning);
      events.onNote(`warning: ${warning}`);
    }
    const fit = await fitChunked(model, "auto", {
      engine: "local",
      workers,
      signal,
      onProgress: (progress) => events.onFitProgress(model.name, progress),
    });
    events.onProgress(`writing the ${model.name} maps`, 1);
    await saveMaps(fit, join(out, model.name), { signal, receipt: { ...fit.receipt } });
    events.onFitted(fit.receipt);
    fits.push(fit);
  }
  return fits;
}

/** What free water writes; an earlier quickstart in the same directory may have. */
const freeWaterFiles = ["params", "fa", "md", "f", "s0", "evaluations", "status"]
  .flatMap((map) => [`freewater_${map}.nii.gz`, `freewater_${map}.json`])
  .concat("report.json")
  .map((name) => join("freewater", name));

/** Removes what an earlier quickstart left here and this one has not made again: it is of another scan. */
async function removeStale(out: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rm(join(out, name), { force: true });
  for (const folder of new Set(names.map((name) => dirname(join(out, name))))) {
    await rmdir(folder).catch(() => {
      // It was never there, or holds files that are not ours.
    });
  }
}

function phantomFilesIn(directory: string): ScanFiles {
  return {
    dwi: join(directory, "dwi.nii.gz"),
    bval: join(directory, "dwi.bval"),
    bvec: join(directory, "dwi.bvec"),
    mask: join(directory, "mask.nii.gz"),
  };
}

/** The response that a CSD model settled on, as its options record it. */
function responseOf(model: DwiModel): [number, number, number, number] {
  const { evals, s0 } = model.options.response as unknown as { evals: number[]; s0: number };
  return [evals[0], evals[1], evals[2], s0];
}

/** Free water needs two shells; a scan with one still gets its fibre orientations. */
function freeWaterIfPossible(dwi: Dwi, events: QuickstartEvents): DwiModel | undefined {
  try {
    return freeWater(dwi);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    events.onNote(`free water is left out: ${error.message}`);
    return undefined;
  }
}

/** The same work as commands, for the reader of the report. */
function commandsFor(
  files: ScanFiles,
  { out, maxB }: QuickstartOptions,
  fits: readonly Fit[],
): string[] {
  const mask = files.mask === undefined ? "" : ` --mask ${files.mask}`;
  const limit = maxB === undefined ? "" : ` --max-b ${maxB}`;
  return fits.map(
    ({ model }) =>
      `runtime fit ${model.name} --dwi ${files.dwi} --bval ${files.bval} --bvec ${files.bvec}${mask}${limit} --out ${join(out, model.name)}`,
  );
}

/** Writes a file whole or not at all; returns its path. */
async function writeWhole(path: string, text: string): Promise<string> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  return path;
}
