/** The signals of one fit that come from the driver or from other workers: which blocks are asked for, and where their pieces go. */
import { wantedBlocksLimit } from "@fascicle/transport";

/** Nobody wants the block any more. */
export class LoadGivenUp extends Error {}

/** Not `LoadGivenUp`: whoever hears that asks again if the block is still wanted, and would do so without end. */
const fitEnded = () => new Error("the fit has ended here");

interface Wanted {
  readonly into: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  /** Bytes that have come. */
  received: number;
  isAsked: boolean;
}

export interface BlockTeller {
  /** It is wanted: pieces will come, the first first. */
  ask(block: number): void;
  /** It is whole. */
  here(block: number): void;
}

export class BlockLoader {
  /** In the order in which they were wanted. */
  readonly #wanted = new Map<number, Wanted>();
  readonly #tell: BlockTeller;
  #isAway = false;
  #isClosed = false;

  constructor(tell: BlockTeller) {
    this.#tell = tell;
  }

  /** Resolves when `into` holds the whole block. */
  load(block: number, into: Uint8Array): Promise<void> {
    if (this.#isClosed) return Promise.reject(fitEnded());
    return new Promise((resolve, reject) => {
      this.#wanted.set(block, { into, resolve, reject, received: 0, isAsked: false });
      this.#askNext();
    });
  }

  /** How much of a block has come, of how many bytes; undefined where it was not asked for. */
  progress(block: number): { readonly bytes: number; readonly offset: number } | undefined {
    const wanted = this.#wanted.get(block);
    return wanted?.isAsked ? { bytes: wanted.into.length, offset: wanted.received } : undefined;
  }

  /** Puts a piece of a block in its place. Throws where it was not asked for or comes out of order. */
  store(block: number, offset: number, piece: Uint8Array): void {
    const wanted = this.#wanted.get(block);
    if (!wanted?.isAsked) throw new Error(`block ${block} came without having been asked for`);
    if (offset !== wanted.received || offset + piece.length > wanted.into.length) {
      throw new Error(`a piece of block ${block} came out of place`);
    }
    wanted.into.set(piece, offset);
    wanted.received += piece.length;
    if (wanted.received < wanted.into.length) return;
    this.#wanted.delete(block);
    wanted.resolve();
    this.#tell.here(block);
    this.#askNext();
  }

  /** What was asked for will not come before there is a head again. */
  headLost(): void {
    this.#isAway = true;
    for (const wanted of this.#wanted.values()) {
      wanted.isAsked = false;
      wanted.received = 0;
    }
  }

  /** A head has this fit again: what is still wanted is asked for anew. */
  headBack(isWanted: (block: number) => boolean): void {
    this.#isAway = false;
    for (const [block, { isAsked, reject }] of [...this.#wanted]) {
      // What this head was asked for comes.
      if (isAsked || isWanted(block)) continue;
      this.#wanted.delete(block);
      reject(new LoadGivenUp("the block is not wanted any more"));
    }
    this.#askNext();
  }

  /** Nothing will come any more. */
  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#wanted.values()) reject(fitEnded());
    this.#wanted.clear();
  }

  #askNext(): void {
    if (this.#isAway) return;
    let asked = 0;
    for (const [block, wanted] of this.#wanted) {
      if (asked === wantedBlocksLimit) return;
      asked++;
      if (wanted.isAsked) continue;
      wanted.isAsked = true;
      this.#tell.ask(block);
    }
  }
}
