/** What was sent and is not acknowledged: numbered consecutively, added at the end, dropped from the front. */
export class FrameQueue<T> {
  #items: (T | undefined)[] = [];
  /** Dropped places at the front of `#items`; removed when they outweigh the rest. */
  #dropped = 0;
  #first = 1;

  /** The number of the first frame that is here; one more than the last ever added where none is. */
  get first(): number {
    return this.#first;
  }

  get size(): number {
    return this.#items.length - this.#dropped;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  get(sequence: number): T | undefined {
    return this.#items[this.#dropped + sequence - this.#first];
  }

  /** Takes the first one out. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#dropped];
    this.#items[this.#dropped] = undefined;
    this.#dropped++;
    this.#first++;
    if (this.#dropped === this.#items.length) {
      this.#items.length = 0;
      this.#dropped = 0;
    } else if (this.#dropped > 1_024 && this.#dropped * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#dropped);
      this.#dropped = 0;
    }
    return item;
  }
}
