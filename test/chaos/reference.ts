/** A scan whose fit takes some seconds, and the maps that the serial engine makes of it: made once. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dwiOptions, type Ended, type Home } from "../support/cli.ts";

/** The part of report.json that a round looks at. */
export interface Report {
  readonly voxels: number;
  readonly chunks: number;
  readonly workers: number;
  readonly chunksResumed?: number;
  readonly attempts: { readonly run: number; readonly lost: number; readonly retried: number };
  readonly bytesLeft: number;
  readonly voxelsByStatus: Readonly<Record<string, number>>;
  readonly seconds: { readonly total: number };
}

export interface Reference {
  /** Words of the command that say what to fit. */
  readonly words: readonly string[];
  readonly hashes: Readonly<Record<string, string>>;
  readonly report: Report;
}

/** Signals of two blocks, so that workers fetch on the way. */
const phantomWords = ["--size", "28,36,26", "--scheme", "hcp"];

export async function makeReference(home: Home): Promise<Reference> {
  const phantom = home.file("phantom");
  mustSucceed(await home.run(["phantom", "--out", phantom, ...phantomWords]));
  const words = [
    "freewater",
    ...dwiOptions(join(phantom, "dwi")),
    ...["--mask", join(phantom, "mask.nii.gz")],
  ];
  const out = home.file("serial");
  mustSucceed(await home.run(["fit", ...words, "--out", out, "--engine", "serial"]));
  return { words, hashes: hashesOf(out), report: reportOf(out) };
}

function mustSucceed({ code, stderr }: Ended): void {
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
}

/** A hash for every file, also hidden ones, but report.json, which tells of the run. */
export function hashesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name !== "report.json");
  return Object.fromEntries(names.sort().map((name) => [name, hashOf(join(folder, name))]));
}

function hashOf(path: string): string {
  try {
    return createHash("sha256").update(readFileSync(path)).digest("hex");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unreadable";
  }
}

export const reportOf = (folder: string): Report =>
  JSON.parse(readFileSync(join(folder, "report.json"), "utf8"));
