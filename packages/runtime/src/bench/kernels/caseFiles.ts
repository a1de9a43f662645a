/** A case on disk, for the processes that fit it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CsdParameters, Dwi, DwiModel } from "@fascicle/models";
import { signalView } from "@fascicle/object-store";
import { b0Threshold, scanOf } from "./benchScan.ts";
import { benchShOrder, type ModelChoice } from "./kernelCases.ts";

const nameOf = (directory: string) => ({
  choice: join(directory, "case.json"),
  signals: join(directory, "signals.f64"),
});

interface StoredCase {
  readonly choice: ModelChoice;
  readonly shOrder: number;
  readonly width: number;
  readonly b0Threshold: number;
  readonly bvals: readonly number[];
  /** 3 for each volume. */
  readonly bvecs: readonly number[];
  /** Those that are fitted, and the b0 volumes. */
  readonly volumes: readonly number[];
}

/** Writes a model's scan (float64, voxel after voxel, in the machine's byte order) and what is to be fitted to it. */
export function writeCase(directory: string, model: DwiModel, choice: ModelChoice): void {
  const scan = model.dwi;
  const { bvals, bvecs } = scan.gradients.given ?? scan.gradients;
  const stored: StoredCase = {
    ...{ choice, shOrder: benchShOrder, width: scan.signals.width, b0Threshold },
    ...{ bvals: Array.from(bvals), bvecs: Array.from(bvecs), volumes: volumesOf(model) },
  };
  const files = nameOf(directory);
  writeFileSync(files.choice, JSON.stringify(stored));
  writeFileSync(files.signals, signalsOf(scan));
}

/** Those that the model fits, and the b0 volumes, ascending. */
function volumesOf({ name, dwi, kernel }: DwiModel): number[] {
  const all = Array.from(dwi.gradients.isB0.keys());
  if (name !== "csd") return all;
  const fitted = new Set((kernel.parameters as CsdParameters).volumes);
  return all.filter((volume) => fitted.has(volume) || dwi.gradients.isB0[volume] === 1);
}

export interface ReadCase {
  readonly scan: Dwi;
  readonly choice: ModelChoice;
  /** Those that are fitted, and the b0 volumes. */
  readonly volumes: readonly number[];
}

export function readCase(directory: string): ReadCase {
  const files = nameOf(directory);
  const stored = JSON.parse(readFileSync(files.choice, "utf8")) as StoredCase;
  const gradients = {
    bvals: Float64Array.from(stored.bvals),
    bvecs: Float64Array.from(stored.bvecs),
  };
  const scan = scanOf(readNumbers(files.signals), gradients);
  return { scan, choice: stored.choice, volumes: stored.volumes };
}

/** The samples of a scan in memory as float64. */
export function signalsOf({ signals }: Dwi): Float64Array {
  return Float64Array.from(signalView(signals.dtype, signals.slabs[0]));
}

/** A file of float64 in the machine's byte order. */
export function readNumbers(file: string): Float64Array {
  const bytes = readFileSync(file);
  const numbers = new Float64Array(bytes.length / 8);
  new Uint8Array(numbers.buffer).set(bytes);
  return numbers;
}
