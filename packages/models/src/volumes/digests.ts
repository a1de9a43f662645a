/** Digests of files, calculated once for each state of a file and kept while the process lives. */
import { createHash } from "node:crypto";
import { readRange } from "../io/inputFile.ts";
import type { SameFile } from "./sameFile.ts";

const maxKept = 64;
/** A file that was changed this short a time ago may be changed again without a new time. */
const settledMs = 2000;

/** sha256, hexadecimal, of files by their key. */
const kept = new Map<string, string>();

export function knownDigest(file: SameFile): string | undefined {
  return kept.get(file.key);
}

export function keepDigest(file: SameFile, sha256: string): void {
  if (Date.now() - file.changedMs < settledMs) return;
  kept.delete(file.key);
  kept.set(file.key, sha256);
  for (const [oldest] of kept) {
    if (kept.size <= maxKept) break;
    kept.delete(oldest);
  }
}

/** Reads the whole file, where its digest is not known. */
export async function digestOf(file: SameFile, signal?: AbortSignal): Promise<string> {
  const known = knownDigest(file);
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  for await (const _ of readRange(file.input, 0, Number.POSITIVE_INFINITY, { hash, signal }));
  const sha256 = hash.digest("hex");
  await file.confirm();
  keepDigest(file, sha256);
  return sha256;
}
