import { createHash } from "node:crypto";
import type { FittedMaps } from "@fascicle/runtime";

/** One hash over every byte of a fit's maps. */
export function hashOfMaps({ maps }: FittedMaps): string {
  const hash = createHash("sha256");
  for (const name of Object.keys(maps).sort()) {
    const { buffer, byteOffset, byteLength } = maps[name].data;
    hash.update(name).update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest("hex");
}
