/** What a sweep found, as `sweep.json` holds it. */
import { z } from "zod";
import { UsageError } from "../../errors.ts";
import { sweepEngines, sweepModels } from "./points.ts";

const model = z.enum(sweepModels);
const count = z.number().int().min(1);

const runSchema = z.object({
  model,
  engine: z.enum(sweepEngines),
  workers: count,
  chunks: count,
  /** From 1 on. Of each round every point was run once, in an order of its own. */
  round: count,
  /** From the fit's submission to its last result in place. */
  seconds: z.number().positive(),
  voxels: count,
  /** Share of the machine's processors that other processes took meanwhile, where that is known. */
  others: z.number().optional(),
});

const modelSchema = z.object({
  name: model,
  voxels: count,
  volumes: count,
  /** What was fitted, in words. */
  data: z.string(),
  /** sha256 of the files, where there are any. */
  inputs: z.array(z.string()),
  options: z.unknown(),
});

const recordSchema = z.object({
  format: z.literal(1),
  begunAt: z.iso.datetime(),
  updatedAt: z.string(),
  /** As it was typed, one for each time that it was run. */
  commands: z.array(z.string()),
  seed: z.number().int(),
  machine: z.object({
    processor: z.string(),
    logicalCores: count,
    physicalCores: count,
    usableCores: count,
    memoryBytes: z.number(),
    system: z.string(),
    node: z.string(),
    version: z.string(),
    kernels: z.string(),
  }),
  engine: z.enum(["local", "cluster"]),
  /** Of a cluster. */
  hosts: z.array(z.object({ name: z.string(), slots: count })),
  workers: z.array(count),
  minChunks: z.number().int().min(0),
  maxChunks: z.number().int().min(0),
  models: z.array(modelSchema),
  /** Versions, where DIPY on Ray was measured beside it. */
  peer: z
    .object({ dipy: z.string(), ray: z.string(), python: z.string(), maxChunks: z.number() })
    .nullable(),
  /** Chunk counts that were left out, because the model has fewer voxels. */
  skipped: z.array(z.object({ model, chunks: count })),
  runs: z.array(runSchema),
});

export type SweepRun = z.infer<typeof runSchema>;
export type SweptModel = z.infer<typeof modelSchema>;
export type SweepRecord = z.infer<typeof recordSchema>;

/** Throws `UsageError` where the text is not that of a sweep. */
export function parseRecord(text: string, path: string): SweepRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError(`${path} is no JSON: give the directory of a sweep.`);
  }
  const { success, data, error } = recordSchema.safeParse(value);
  if (success) return data;
  const where = error.issues[0]?.path.join(".") || "its top";
  throw new UsageError(`${path} does not hold a sweep of this version (wrong at ${where}).`);
}

/** Why runs of `next` must not be put beside those of `before`; undefined where they may. */
export function whyNotContinued(before: SweepRecord, next: SweepRecord): string | undefined {
  const parts = [
    "machine",
    "engine",
    "hosts",
    "workers",
    "minChunks",
    "maxChunks",
    "models",
    "peer",
  ] as const;
  const differing = parts.filter(
    (part) => JSON.stringify(before[part]) !== JSON.stringify(next[part]),
  );
  return differing.length === 0 ? undefined : differing.join(", ");
}
