/** What the journal of a fit's ledger says. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { RangeSet } from "@fascicle/core";
import { z } from "zod";
import { descriptionSchema } from "./fitDescription.ts";
import { decodeLog } from "./recordFormat.ts";

const count = z.number().int().nonnegative();

const headerSchema = z.object({
  type: z.literal("fit"),
  key: z.string(),
  parts: z.object({
    model: z.string(),
    version: z.string(),
    data: z.string(),
    options: z.string(),
  }),
  /** Ledgers of earlier versions have none. */
  description: descriptionSchema.optional().catch(undefined),
  chunkCount: count.positive(),
  voxelCount: count.positive(),
  /** Milliseconds since 1970. */
  beganAtMs: z.number(),
  /** Directories above the ledger that were made for it. */
  levelsMade: count,
});

const settledSchema = z.object({
  type: z.literal("settled"),
  /** First voxel, voxel behind the last, CRC-32 over their rows, output after output. */
  slices: z.array(z.tuple([count, count, count])),
});

/** The first record: which fit it is. */
export type LedgerHeader = z.infer<typeof headerSchema>;

/** Rows that are in the file of slices. */
export interface Slice {
  readonly start: number;
  readonly end: number;
  readonly crc: number;
}

/** A ledger as an earlier process left it. */
export interface LedgerContent {
  readonly header: LedgerHeader;
  readonly slices: readonly Slice[];
  /** Share of the voxels, from 0 to 1. */
  readonly share: number;
}

export const journalFile = (path: string) => join(path, "journal");
export const slicesFile = (path: string) => join(path, "slices");

export function settledRecord(slices: readonly Slice[]) {
  return { type: "settled", slices: slices.map(({ start, end, crc }) => [start, end, crc]) };
}

/** Undefined where the records are not those of a ledger. */
export function parseLedger(records: readonly unknown[]): LedgerContent | undefined {
  const header = headerSchema.safeParse(records[0]);
  if (!header.success) return undefined;
  const { voxelCount } = header.data;
  const slices: Slice[] = [];
  for (const record of records.slice(1)) {
    const settled = settledSchema.safeParse(record);
    if (!settled.success) break;
    for (const [start, end, crc] of settled.data.slices) {
      if (start < end && end <= voxelCount) slices.push({ start, end, crc });
    }
  }
  const share = new RangeSet(...slices).size / voxelCount;
  return { header: header.data, slices, share };
}

/** Reads a ledger that this process does not hold. Throws JournalVersionError; undefined where there is nothing to believe. */
export async function readLedger(path: string): Promise<LedgerContent | undefined> {
  const name = journalFile(path);
  const bytes = await readFile(name).catch(() => undefined);
  return bytes === undefined ? undefined : parseLedger(decodeLog(bytes, name).records);
}
