/** A first look: a phantom or the user's own scan, fitted for CSD and free water, with maps and a report page. */
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  csd,
  type Dwi,
  type DwiModel,
  freeWater,
  InputError,
  openDwi,
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
  readonly workers?: number;
  readonly signal?: AbortSignal;
}

/** What the quickstart tells while it works. */
export interface QuickstartEvents {
  /** A step began, or is so far (0 to 1). */
  onStep(text: string, share: number): void;
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

/** Runs it. Throws `InputError` about the scan, and the reason of an aborted signal. */
export async function quickstart(
  options: QuickstartOptions,
  events: QuickstartEvents,
): Promise<QuickstartResult> {
  const { out, signal } = options;
  await mkdir(out, { recursive: true });
  const phantomDirectory = options.scan === undefined ? join(out, "phantom") : undefined;
  const phantom =
    phantomDirectory === undefined
      ? undefined
      : await writePhantom(phantomDirectory, options.phantom ?? {}, {
          signal,
          onProgress: (share) => events.onStep("making a phantom", share),
        });
  const files = options.scan ?? phantomFilesIn(join(out, "phantom"));
  const dwi = await openDwi({
    ...files,
    signal,
    onProgress: (share) => events.onStep(`reading ${files.dwi}`, share),
  });
  for (const warning of dwi.warnings) events.onNote(`warning: ${warning}`);
  const fits: Fit[] = [];
  for (const [name, bind] of [
    ["csd", () => csd(dwi)],
    ["freewater", () => freeWaterIfPossible(dwi, events)],
  ] as const) {
    const model: DwiModel | undefined = bind();
    if (model === undefined) continue;
    for (const warning of model.warnings) events.onNote(`warning: ${warning}`);
    const fit = await fitChunked(model, "auto", {
      engine: "local",
      workers: options.workers,
      signal,
      onProgress: (progress) => events.onFitProgress(name, progress),
    });
    events.onStep(`writing the ${name} maps`, 1);
    await saveMaps(fit, join(out, name), { signal, receipt: { ...fit.receipt } });
    events.onFitted(fit.receipt);
    fits.push(fit);
  }
  events.onStep("drawing the report", 1);
  const response = responseOf(fits[0].model);
  const gfa =
    phantom === undefined ? undefined : await noiseFreeGfa(phantom, dwi, response, signal);
  const commands = commandsFor(
    files,
    out,
    fits.map((fit) => fit.model.name),
  );
  const page = await buildReport({ fits, phantomDirectory, noiseFreeGfa: gfa, commands });
  const receipts = fits.map((fit) => fit.receipt);
  return {
    page: await writeWhole(join(out, "report.html"), renderReport(page)),
    report: await writeWhole(
      join(out, "report.json"),
      `${JSON.stringify({ fits: receipts }, undefined, 2)}\n`,
    ),
    receipts,
  };
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
function commandsFor(files: ScanFiles, out: string, models: readonly string[]): string[] {
  const mask = files.mask === undefined ? "" : ` --mask ${files.mask}`;
  return models.map(
    (name) =>
      `runtime fit ${name} --dwi ${files.dwi} --bval ${files.bval} --bvec ${files.bvec}${mask} --out ${join(out, name)}`,
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
