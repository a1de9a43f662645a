/** The name of a kernel variant: the hash of all code that decides a voxel's answer. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

let cached: string | undefined;

/**
 * sha256 (hex, 16 digits) over the files of the kernels' folder in name order. Two hosts with the
 * same hash give the same bits; a host with another one is refused for the fit.
 */
export function kernelHash(): string {
  cached ??= hashFolder(fileURLToPath(new URL("./kernels/", import.meta.url)));
  return cached;
}

function hashFolder(folder: string): string {
  const isCode = (name: string) => /\.(js|ts)$/.test(name) && !/\.(test|d)\.ts$/.test(name);
  const hash = createHash("sha256");
  for (const name of readdirSync(folder).filter(isCode).sort()) {
    hash
      .update(name)
      .update("\0")
      .update(readFileSync(`${folder}/${name}`))
      .update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}
