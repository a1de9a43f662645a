/** A disk that is slow, full, and torn by crashes. */
import type { Random } from "./random.ts";

export class Disk {
  readonly #random: Random;
  #bytes = Buffer.alloc(0);
  #length = 0;
  #syncedLength = 0;
  /** Bytes that fit. */
  limitBytes = Number.POSITIVE_INFINITY;
  /** How long a sync takes. */
  syncMs: number;

  constructor(random: Random, syncMs: number) {
    this.#random = random;
    this.syncMs = syncMs;
  }

  /** All that is there. */
  read(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  get sizeBytes(): number {
    return this.#length;
  }

  /** Puts bytes at the end; false where they did not all fit. They are safe after the next `sync`. */
  append(bytes: Uint8Array): boolean {
    const fitting = Math.max(0, Math.min(bytes.length, this.limitBytes - this.#length));
    const needed = this.#length + fitting;
    if (needed > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(needed, 2 * this.#bytes.length, 4096));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes.subarray(0, fitting), this.#length);
    this.#length = needed;
    return fitting === bytes.length;
  }

  /** What was appended before is safe. */
  sync(): void {
    this.#syncedLength = this.#length;
  }

  /** Keeps the first bytes. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
    this.#syncedLength = Math.min(this.#syncedLength, length);
  }

  /** Of what was not synced a part arrives, up to any byte, and what arrives last may be noise. */
  crash(): void {
    this.#length = this.#random.whole(this.#syncedLength, this.#length);
    const noise = this.#random.chance(0.5) ? this.#random.whole(0, 16) : 0;
    for (let i = Math.max(this.#syncedLength, this.#length - noise); i < this.#length; i++) {
      this.#bytes[i] = this.#random.whole(0, 255);
    }
    this.#syncedLength = this.#length;
  }
}
