/** Which blocks of a fit's signals workers wait for, and which of them the driver is asked for: nothing else is passed on. */
import { rowBytesOf } from "@fascicle/object-store";
import { type JobSpec, wantedBlocksLimit } from "@fascicle/transport";

interface WantedBlock {
  /** The byte up to which it is there, as far as is known. */
  offset: number;
  /** The rest comes from the driver. */
  isRelayed: boolean;
}

export class BlockLedger {
  readonly #spec: JobSpec;
  /** By worker and block. */
  readonly #wanted = new Map<string, Map<number, WantedBlock>>();

  constructor(spec: JobSpec) {
    this.#spec = spec;
  }

  /** A worker asks for a block. Throws where it may not. */
  want(agent: string, block: number): void {
    this.#check(block);
    const blocks = this.#wanted.get(agent) ?? new Map<number, WantedBlock>();
    if (blocks.size >= wantedBlocksLimit || blocks.has(block)) {
      throw new Error("a worker asked for too many blocks at once");
    }
    blocks.set(block, { offset: 0, isRelayed: false });
    this.#wanted.set(agent, blocks);
  }

  /** The driver is asked for it: the byte from which on. */
  relay(agent: string, block: number): number {
    const wanted = this.#wanted.get(agent)?.get(block);
    if (wanted === undefined) return 0;
    wanted.isRelayed = true;
    return wanted.offset;
  }

  /** A piece comes from the driver: whether it is the next one that a worker waits for, and the last. */
  deliver(
    agent: string,
    block: number,
    offset: number,
    bytes: number,
  ): { readonly isNext: boolean; readonly isLast: boolean } {
    const blocks = this.#wanted.get(agent);
    const wanted = blocks?.get(block);
    // Others are of a worker that is gone, or of what it asked for in an earlier opening.
    const isNext = wanted?.isRelayed === true && wanted.offset === offset && bytes > 0;
    if (wanted === undefined || !isNext) return { isNext: false, isLast: false };
    wanted.offset += bytes;
    const left = this.#bytesOf(block) - wanted.offset;
    if (left < 0) throw new Error(`more came of block ${block} than there is`);
    if (left === 0) blocks?.delete(block);
    return { isNext, isLast: left === 0 };
  }

  /** A worker has it up to this byte, and gets no more from whom it asked. Throws where that cannot be. */
  missed(agent: string, block: number, offset: number): void {
    this.#check(block);
    if (offset > this.#bytesOf(block)) throw new Error(`block ${block} is not that long`);
    const wanted = this.#wanted.get(agent)?.get(block);
    if (wanted !== undefined && !wanted.isRelayed) wanted.offset = offset;
  }

  /** A worker has it, or wants it no more. Throws where there is no such block. */
  done(agent: string, block: number): void {
    this.#check(block);
    this.#wanted.get(agent)?.delete(block);
  }

  /** What workers still wait for from the driver, and from which byte of each block on. */
  outstanding(): { agent: string; block: number; offset: number }[] {
    return [...this.#wanted].flatMap(([agent, blocks]) =>
      [...blocks]
        .filter(([, { isRelayed }]) => isRelayed)
        .map(([block, { offset }]) => ({ agent, block, offset })),
    );
  }

  agentLeft(agent: string): void {
    this.#wanted.delete(agent);
  }

  #check(block: number): void {
    if (block * this.#spec.signals.blockVoxels >= this.#spec.voxelCount) {
      throw new Error(`block ${block} is not in fit ${this.#spec.job}`);
    }
  }

  #bytesOf(block: number): number {
    const { voxelCount, signals } = this.#spec;
    const voxels = Math.min(voxelCount - block * signals.blockVoxels, signals.blockVoxels);
    return voxels * rowBytesOf(signals);
  }
}
