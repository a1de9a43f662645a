/** Which blocks of a fit's signals are under way to which worker: nothing else is passed on. */
import { bytesPerValue } from "@fascicle/object-store";
import { type JobSpec, wantedBlocksLimit } from "@fascicle/transport";

export class BlockLedger {
  readonly #spec: JobSpec;
  /** Bytes that are still to come, by worker and block. */
  readonly #missing = new Map<string, Map<number, number>>();

  constructor(spec: JobSpec) {
    this.#spec = spec;
  }

  /** A worker asks for a block. Throws where it may not. */
  want(agent: string, block: number): void {
    const { voxelCount, signals } = this.#spec;
    if (block * signals.blockVoxels >= voxelCount)
      throw new Error(`block ${block} is not in fit ${this.#spec.job}`);
    const blocks = this.#missing.get(agent) ?? new Map<number, number>();
    if (blocks.size >= wantedBlocksLimit || blocks.has(block)) {
      throw new Error("a worker asked for too many blocks at once");
    }
    blocks.set(block, this.#bytesOf(block));
    this.#missing.set(agent, blocks);
  }

  /** A piece comes from the driver: true where it was asked for, false where the worker is gone. Throws otherwise. */
  deliver(agent: string, block: number, bytes: number): boolean {
    const blocks = this.#missing.get(agent);
    if (blocks === undefined) return false;
    const left = (blocks.get(block) ?? 0) - bytes;
    if (left < 0 || bytes === 0) throw new Error(`block ${block} was not asked for`);
    if (left === 0) blocks.delete(block);
    else blocks.set(block, left);
    return true;
  }

  /** What workers still wait for, and from which byte of each block on. */
  outstanding(): { agent: string; block: number; offset: number }[] {
    return [...this.#missing].flatMap(([agent, blocks]) =>
      [...blocks].map(([block, left]) => ({ agent, block, offset: this.#bytesOf(block) - left })),
    );
  }

  #bytesOf(block: number): number {
    const { voxelCount, signals } = this.#spec;
    const voxels = Math.min(voxelCount - block * signals.blockVoxels, signals.blockVoxels);
    return voxels * signals.width * bytesPerValue[signals.dtype];
  }

  agentLeft(agent: string): void {
    this.#missing.delete(agent);
  }
}
