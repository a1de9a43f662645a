/** Which fit is which: everything that decides the bytes of its results, and nothing else. */
import { createHash } from "node:crypto";
import type { ChunkedModel } from "@fascicle/core";
import { readRows, rowBytesOf } from "@fascicle/object-store";
import { encodeValue } from "@fascicle/transport";
import { version } from "../version.ts";

/** What two fits may differ in, in the words of a sentence. */
export const identityParts = ["model", "version", "data", "options"] as const;

export interface FitIdentity {
  /** The same for fits that give the same bytes; not for others. */
  readonly key: string;
  /** A hash of each part. */
  readonly parts: Readonly<Record<(typeof identityParts)[number], string>>;
}

/** A model that knows the files its signals are from, and its options by name. */
export type FittableModel = ChunkedModel & {
  readonly options?: unknown;
  readonly dwi?: { readonly inputs?: unknown; readonly selection?: unknown };
};

/** Signals are hashed in pieces of this size, and others get their turn in between. */
const hashedPieceBytes = 16 << 20;
const keyLength = 24;

/** Engine, workers and chunks are no part of it. Models without input digests have their signals hashed. */
export async function fitIdentity(
  model: FittableModel,
  voxelTimeoutSeconds?: number,
): Promise<FitIdentity> {
  const { kernel, signals, outputs, name } = model;
  const layout = [signals.voxelCount, signals.width, signals.dtype];
  const fields = outputs.map((field) => [field.name, field.width, field.dtype, field.units]);
  const parts = {
    model: hashOf(name, kernel.module, kernel.name),
    version: hashOf(version, kernel.hash),
    data: hashOf(layout, model.dwi?.selection ?? null, await digestsOf(model)),
    // Voxels that were given up after one second are not the answer for who grants more.
    options: hashOf(fields, kernel.parameters, voxelTimeoutSeconds ?? null),
  };
  return { key: hashOf(parts).slice(0, keyLength), parts };
}

function hashOf(...values: readonly unknown[]): string {
  return createHash("sha256").update(encodeValue(values)).digest("hex");
}

async function digestsOf({ dwi, signals }: FittableModel): Promise<readonly string[]> {
  const inputs = Array.isArray(dwi?.inputs)
    ? (dwi.inputs as { role?: string; sha256?: string }[])
    : [];
  if (inputs.length > 0 && inputs.every(({ sha256 }) => typeof sha256 === "string")) {
    return inputs.map(({ role, sha256 }) => `${role} ${sha256}`);
  }
  const hash = createHash("sha256");
  const rowBytes = rowBytesOf(signals);
  const pieceVoxels = Math.max(1, Math.floor(hashedPieceBytes / rowBytes));
  for (let start = 0; start < signals.voxelCount; start += pieceVoxels) {
    const end = Math.min(signals.voxelCount, start + pieceVoxels);
    hash.update(await readRows(signals, start, end));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return [hash.digest("hex")];
}
