/** What the tests of spill files share: bytes, a place that goes with the test, and small disks. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SpillError } from "./spillErrors.ts";
import { SpillSpace, type SpillSpaceOptions } from "./spillSpace.ts";

export const mebibyte = 1 << 20;

/** Bytes that no others look like. */
export function bytesOf(count: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(count);
  let state = seed * 2654435761;
  for (let n = 0; n < count; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[n] = state >>> 24;
  }
  return bytes;
}

/** A directory, spaces in it and disks mounted below it, until `end`. */
export class SpillPlace {
  readonly directory = mkdtempSync(join(tmpdir(), "fascicle-test-spill-"));
  readonly #mounts: string[] = [];
  readonly #spaces: SpillSpace[] = [];

  space(options: Partial<SpillSpaceOptions> = {}): SpillSpace {
    const space = new SpillSpace({
      directory: async () => this.directory,
      limitBytes: 64 * mebibyte,
      freeFloorBytes: 0,
      ...options,
    });
    this.#spaces.push(space);
    return space;
  }

  /** A file system of this size; its path. */
  mount(sizeBytes: number): string {
    const path = join(this.directory, `disk${this.#mounts.length}`);
    mkdirSync(path);
    const options = ["-t", "tmpfs", "-o", `size=${sizeBytes}`, "tmpfs", path];
    if (spawnSync("mount", options).status !== 0) throw new Error("mount failed");
    this.#mounts.push(path);
    return path;
  }

  async end(): Promise<void> {
    for (const space of this.#spaces) await space.close().catch(() => {});
    for (const path of this.#mounts) spawnSync("umount", [path]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Whether this user may mount file systems; says so where not. */
export function canMountDisks(): boolean {
  const path = mkdtempSync(join(tmpdir(), "fascicle-test-mount-"));
  const can = spawnSync("mount", ["-t", "tmpfs", "tmpfs", path]).status === 0;
  if (can) spawnSync("umount", [path]);
  rmSync(path, { recursive: true });
  if (!can) console.log("full and read-only disks are not tried: this user may not mount any");
  return can;
}

/** What went wrong; throws where nothing did. */
export async function errorOf(work: PromiseLike<unknown>): Promise<SpillError> {
  try {
    await work;
  } catch (error) {
    return error as SpillError;
  }
  throw new Error("that should have failed");
}

/** Whether it is still not settled after so long. */
export async function isPending(work: Promise<unknown>, forMs = 50): Promise<boolean> {
  const pause = new Promise((resolve) => setTimeout(resolve, forMs, "pending"));
  return (await Promise.race([work, pause])) === "pending";
}
