/** Chance from a seed: the same numbers in the same order on every machine. */

/** A 32-bit hash of whole numbers (the finisher of MurmurHash3 over each). */
export function hash32(...words: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const word of words) {
    hash = Math.imul(hash ^ (word >>> 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

function hashText(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = hash32(hash, text.charCodeAt(i));
  return hash;
}

/** The sfc32 generator (Doty-Humphrey, PractRand): 128 bits of state, seeded by a hash of seed and purpose. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** Streams for different purposes do not disturb each other: what one draws does not change what another gets. */
  constructor(seed: number, purpose: string) {
    const salt = hashText(purpose);
    this.#a = hash32(seed, salt, 1);
    this.#b = hash32(seed, salt, 2);
    this.#c = hash32(seed, salt, 3);
    for (let i = 0; i < 12; i++) this.word();
  }

  /** 32 random bits. */
  word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** At least 0 and below 1. */
  fraction(): number {
    return this.word() / 2 ** 32;
  }

  /** A whole number, `low` and `high` included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  between(low: number, high: number): number {
    return low + this.fraction() * (high - low);
  }

  /** A whole number whose size, not whose value, is even: as many from 10 to 19 as from 20 to 39. */
  sized(low: number, high: number): number {
    let octaves = 0;
    while (low * 2 ** (octaves + 1) <= high) octaves++;
    const least = low * 2 ** this.whole(0, octaves);
    return this.whole(least, Math.min(high, least * 2 - 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.whole(0, items.length - 1)];
  }
}
