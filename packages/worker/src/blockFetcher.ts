/** The signals of one job on this host: which blocks are here, which are asked for, which are needed next. */
import {
  blockCount,
  bytesPerValue,
  type SignalLayout,
  spansOfVoxels,
} from "@fascicle/object-store";
import { wantedBlocksLimit } from "@fascicle/transport";

const state = { absent: 0, wanted: 1, here: 2 } as const;

export class BlockFetcher {
  readonly #layout: SignalLayout;
  readonly #voxelsPerSlab: number;
  readonly #slabs: readonly Uint8Array[];
  readonly #states: Uint8Array;
  /** Bytes of each block that have come. */
  readonly #received: Float64Array;
  readonly #queue: number[] = [];
  readonly #ask: (block: number) => void;
  #asked = 0;

  constructor(
    layout: SignalLayout,
    memory: { readonly voxelsPerSlab: number; readonly slabs: readonly SharedArrayBuffer[] },
    ask: (block: number) => void,
  ) {
    this.#layout = layout;
    this.#voxelsPerSlab = memory.voxelsPerSlab;
    this.#slabs = memory.slabs.map((slab) => new Uint8Array(slab));
    this.#states = new Uint8Array(blockCount(layout));
    this.#received = new Float64Array(blockCount(layout));
    this.#ask = ask;
  }

  /** Sees to it that the blocks of voxels `[start, end)` come. */
  need(start: number, end: number): void {
    const { blockVoxels } = this.#layout;
    for (let block = Math.floor(start / blockVoxels); block * blockVoxels < end; block++) {
      if (this.#states[block] !== state.absent) continue;
      this.#states[block] = state.wanted;
      this.#queue.push(block);
    }
    this.#askNext();
  }

  /** Puts a piece of a block in its place; true when the block is whole now. */
  store(block: number, offset: number, piece: Uint8Array): boolean {
    const { blockVoxels, voxelCount, width, dtype } = this.#layout;
    if (this.#states[block] !== state.wanted) {
      throw new Error(`block ${block} came without having been asked for`);
    }
    const rowBytes = width * bytesPerValue[dtype];
    const start = block * blockVoxels;
    const end = Math.min(voxelCount, start + blockVoxels);
    if (offset !== this.#received[block] || offset + piece.length > (end - start) * rowBytes) {
      throw new Error(`a piece of block ${block} came out of place`);
    }
    // A block lies in one slab: slabs hold whole blocks.
    const [span] = spansOfVoxels(rowBytes, this.#voxelsPerSlab, start, end);
    this.#slabs[span.slab].set(piece, span.offset + offset);
    this.#received[block] += piece.length;
    if (this.#received[block] < (end - start) * rowBytes) return false;
    this.#states[block] = state.here;
    this.#asked--;
    this.#askNext();
    return true;
  }

  /** What was asked for will not come: it has to be needed again. */
  forgetWanted(): void {
    for (const [block, at] of this.#states.entries()) {
      if (at !== state.wanted) continue;
      this.#states[block] = state.absent;
      this.#received[block] = 0;
    }
    this.#queue.length = 0;
    this.#asked = 0;
  }

  /** The voxel up to which everything from `voxel` on is here. */
  hereUntil(voxel: number): number {
    const { blockVoxels, voxelCount } = this.#layout;
    let block = Math.floor(voxel / blockVoxels);
    while (this.#states[block] === state.here) block++;
    return Math.min(voxelCount, Math.max(voxel, block * blockVoxels));
  }

  #askNext(): void {
    while (this.#asked < wantedBlocksLimit && this.#queue.length > 0) {
      this.#asked++;
      this.#ask(this.#queue.shift()!);
    }
  }
}
