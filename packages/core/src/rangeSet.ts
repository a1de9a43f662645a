import type { Range } from "./chunks.ts";

/** A set of integers kept as sorted, disjoint, non-touching ranges: its cost follows the ranges, not the integers. */
export class RangeSet {
  readonly #ranges: { start: number; end: number }[] = [];
  #size = 0;

  constructor(...ranges: readonly Range[]) {
    for (const range of ranges) this.add(range);
  }

  /** How many integers are in the set. */
  get size(): number {
    return this.#size;
  }

  ranges(): readonly Range[] {
    return this.#ranges;
  }

  /** Index of the first range that ends at or after `value`. */
  #firstEndingFrom(value: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle].end < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Adds a range; returns how many integers were new. */
  add({ start, end }: Range): number {
    if (start >= end) return 0;
    const from = this.#firstEndingFrom(start);
    let to = from;
    let merged = 0;
    const union = { start, end };
    while (to < this.#ranges.length && this.#ranges[to].start <= end) {
      const range = this.#ranges[to++];
      merged += range.end - range.start;
      union.start = Math.min(union.start, range.start);
      union.end = Math.max(union.end, range.end);
    }
    this.#ranges.splice(from, to - from, union);
    const added = union.end - union.start - merged;
    this.#size += added;
    return added;
  }

  /** Takes a range out; returns the parts of it that were in the set. */
  remove({ start, end }: Range): Range[] {
    const removed: Range[] = [];
    if (start >= end) return removed;
    const from = this.#firstEndingFrom(start + 1);
    let to = from;
    const kept: { start: number; end: number }[] = [];
    while (to < this.#ranges.length && this.#ranges[to].start < end) {
      const range = this.#ranges[to++];
      const cut = { start: Math.max(range.start, start), end: Math.min(range.end, end) };
      removed.push(cut);
      this.#size -= cut.end - cut.start;
      if (range.start < cut.start) kept.push({ start: range.start, end: cut.start });
      if (cut.end < range.end) kept.push({ start: cut.end, end: range.end });
    }
    this.#ranges.splice(from, to - from, ...kept);
    return removed;
  }

  /** Takes up to `count` integers from the front, as one range; undefined where the set is empty. */
  takeFirst(count: number): Range | undefined {
    const first = this.#ranges[0];
    if (first === undefined || count < 1) return undefined;
    const taken = { start: first.start, end: Math.min(first.end, first.start + count) };
    this.remove(taken);
    return taken;
  }

  /** Takes up to `count` integers from the back, as one range; undefined where the set is empty. */
  takeLast(count: number): Range | undefined {
    const last = this.#ranges.at(-1);
    if (last === undefined || count < 1) return undefined;
    const taken = { start: Math.max(last.start, last.end - count), end: last.end };
    this.remove(taken);
    return taken;
  }

  /** The smallest integer of the set that is at least `value`; undefined where there is none. */
  firstFrom(value: number): number | undefined {
    const range = this.#ranges[this.#firstEndingFrom(value + 1)];
    return range === undefined ? undefined : Math.max(range.start, value);
  }

  /** Whether every integer of the range is in the set. */
  covers({ start, end }: Range): boolean {
    if (start >= end) return true;
    const range = this.#ranges[this.#firstEndingFrom(start + 1)];
    return range !== undefined && range.start <= start && end <= range.end;
  }

  /** How many integers of the range are in the set. */
  overlap({ start, end }: Range): number {
    let count = 0;
    for (let at = this.#firstEndingFrom(start + 1); at < this.#ranges.length; at++) {
      const range = this.#ranges[at];
      if (range.start >= end) break;
      count += Math.min(end, range.end) - Math.max(start, range.start);
    }
    return count;
  }

  /** Whether any integer of the range is in the set. */
  intersects({ start, end }: Range): boolean {
    if (start >= end) return false;
    const range = this.#ranges[this.#firstEndingFrom(start + 1)];
    return range !== undefined && range.start < end;
  }
}
