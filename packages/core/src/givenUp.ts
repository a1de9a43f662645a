/** Voxels that are given up: what stands in their place, and when there are too many of them. */
import { counted } from "./counted.ts";
import type { OutputField, OutputView } from "./model.ts";

/**
 * A fit may lose this many voxels to crashes of its kernel, and this share of its voxels on top. A kernel that has
 * used up the first and not fitted a voxel is broken: the share, which may be many, is for those that fit.
 */
export const crashedVoxelsAllowed = 100;
export const crashedShareAllowed = 0.01;

/** The most voxels of a fit that may crash before the fit fails. */
export const crashedVoxelsLimit = (voxelCount: number) =>
  crashedVoxelsAllowed + Math.floor(voxelCount * crashedShareAllowed);

/** Index of the output that says how each voxel ended; -1 where a model has none. */
export function statusOutput(outputs: readonly OutputField[]): number {
  return outputs.findIndex(
    ({ name, width, dtype }) => name === "status" && width === 1 && dtype === "uint8",
  );
}

/** Writes the row of a voxel that was given up: zeros, and `status` in the status output. */
export function giveUpVoxel(
  outputs: readonly OutputField[],
  views: readonly OutputView[],
  voxel: number,
  status: number,
): void {
  for (const [i, { width }] of outputs.entries()) {
    views[i].fill(0, voxel * width, (voxel + 1) * width);
  }
  views[statusOutput(outputs)][voxel] = status;
}

/** Counts the crashed voxels of a fit and says when it must fail. */
export class CrashTally {
  readonly #voxelCount: number;
  readonly #hasStatus: boolean;
  #crashed = 0;

  constructor(voxelCount: number, outputs: readonly OutputField[]) {
    this.#voxelCount = voxelCount;
    this.#hasStatus = statusOutput(outputs) >= 0;
  }

  get crashed(): number {
    return this.#crashed;
  }

  /** Counts one crash for `reason`; gives the reason to stop the fit, if there is one. `anyFitted`: of this fit, so far. */
  add(voxel: number, reason: string, anyFitted: boolean): string | undefined {
    this.#crashed++;
    const what = `voxel ${voxel} crashed the kernel (${reason})`;
    if (!this.#hasStatus) return `${what}, and this model has no status to say so`;
    const limit = crashedVoxelsLimit(this.#voxelCount);
    if (this.#crashed > limit) {
      return `more than ${counted(limit, "voxel")} crashed the kernel, the last for this reason: ${reason}`;
    }
    const every = Math.min(crashedVoxelsAllowed, this.#voxelCount);
    if (!anyFitted && this.#crashed >= every) {
      return `the kernel crashed on each of the first ${this.#crashed} voxels: ${reason}`;
    }
    return undefined;
  }
}
