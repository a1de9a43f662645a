/** The mask of the mean b0, guessed from the first b0 volume, so that a gzip file need not be inflated twice. */
import type { NumericView } from "./datatype.ts";
import type { NiftiHeader } from "./header.ts";
import { B0Sum } from "./mask.ts";

/** A guess that the second b0 refutes should cost little, and no more memory than a first batch of volumes. */
const latestSecondB0 = 32;

/** Whether the volumes invite to a guess: several b0, of which the second comes early. `isB0`: one for each volume. */
export function invitesGuess(isB0: Uint8Array): boolean {
  const second = isB0.indexOf(1, isB0.indexOf(1) + 1);
  return second > 0 && second < latestSecondB0;
}

/** Only the first b0 volume, in the way of `isB0`. */
export function firstB0(isB0: Uint8Array): Uint8Array {
  return isB0.map((b0, volume) => (b0 === 1 && volume === isB0.indexOf(1) ? 1 : 0));
}

/**
 * Watches the b0 volumes while the guessed voxels are read. Magnitudes are not negative, so that a voxel that joins
 * refutes the guess at once; whether none has left is known at the end.
 */
export class B0Guess {
  readonly #b0: B0Sum;
  readonly #isB0: Uint8Array;
  readonly #isGuessed: Uint8Array;

  /** `isB0`: one for each volume; `voxels`: grid indices. */
  constructor(header: NiftiHeader, isB0: Uint8Array, voxels: Uint32Array) {
    this.#b0 = new B0Sum(header);
    this.#isB0 = isB0;
    const [nx, ny, nz] = header.shape;
    this.#isGuessed = new Uint8Array(nx * ny * nz);
    for (const voxel of voxels) this.#isGuessed[voxel] = 1;
  }

  /** Takes the values from grid index `first` on of a volume, which may be no b0. Throws `GuessRefuted`. */
  take(volume: number, first: number, values: NumericView): void {
    if (this.#isB0[volume] !== 1) return;
    this.#b0.take(first, values);
    for (let voxel = first; voxel < first + values.length; voxel++) {
      if (this.#isGuessed[voxel] === 0 && this.#b0.isInside(voxel)) throw new GuessRefuted();
    }
  }

  /** All b0 volumes have been taken. Throws `GuessRefuted` where a voxel was guessed that does not belong to them. */
  check(): void {
    for (let voxel = 0; voxel < this.#isGuessed.length; voxel++) {
      if (this.#isGuessed[voxel] === 1 && !this.#b0.isInside(voxel)) throw new GuessRefuted();
    }
  }
}

/** The mask is another than the guessed one. */
export class GuessRefuted extends Error {
  constructor() {
    super("The mean b0 signal has other voxels above zero than the first b0 volume.");
  }
}
