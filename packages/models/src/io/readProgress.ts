/** How far reading is, over one pass through a file or several. */
export class ReadProgress {
  readonly #tell: (fraction: number) => void;
  #told = 0;
  #from = 0;
  #to = 0;
  #passBytes = 1;
  #bytes = 0;

  constructor(tell: ((fraction: number) => void) | undefined) {
    this.#tell = tell ?? (() => {});
  }

  /** A pass over `bytes` begins; when it is done, about this share of what is left will be. */
  begin(bytes: number, share: number): void {
    this.#from = this.#told;
    this.#to = this.#told + (1 - this.#told) * share;
    this.#passBytes = Math.max(1, bytes);
    this.#bytes = 0;
  }

  /** So many bytes more of the pass were read. */
  readonly onBytes = (count: number): void => {
    this.#bytes += count;
    this.#hear(this.#from + (this.#to - this.#from) * Math.min(1, this.#bytes / this.#passBytes));
  };

  done(): void {
    this.#hear(1);
  }

  /** Never goes back. */
  #hear(fraction: number): void {
    if (fraction <= this.#told) return;
    this.#told = fraction;
    this.#tell(fraction);
  }
}
