import { type Range, RangeSet } from "@fascicle/core";

/** The chunks of one job that the threads of a host may draw, in order. Drawing costs the same however many there are. */
export class Board {
  readonly #ready = new RangeSet();
  /** The range that is drawn from now. */
  #next = 0;
  #end = 0;

  get size(): number {
    return this.#ready.size + this.#end - this.#next;
  }

  add(chunks: Range): void {
    this.#ready.add(chunks);
  }

  /** The next chunk, or -1. */
  draw(): number {
    if (this.#next === this.#end) {
      const range = this.#ready.takeFirst(Number.POSITIVE_INFINITY);
      if (range === undefined) return -1;
      this.#next = range.start;
      this.#end = range.end;
    }
    return this.#next++;
  }

  /** Takes back a chunk that no thread has begun, or -1. */
  takeBack(): number {
    if (this.#next === this.#end) return this.draw();
    return --this.#end;
  }

  /** Takes back what no thread has begun. */
  withdraw(chunks: Range): Range[] {
    this.#ready.add({ start: this.#next, end: this.#end });
    this.#next = 0;
    this.#end = 0;
    return this.#ready.remove(chunks);
  }
}
