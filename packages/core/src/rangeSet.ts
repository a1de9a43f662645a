import type { Range } from "./chunks.ts";

/** Ranges in a block, at most. A change moves those of one block, however many there are in all. */
const blockLength = 512;

interface WritableRange {
  start: number;
  end: number;
}

/** Where a range is: of block `block`, at `at`. */
interface Place {
  readonly block: number;
  readonly at: number;
}

/**
 * A set of integers kept as sorted, disjoint, non-touching ranges: its cost follows the ranges, not the integers,
 * and that of one change hardly follows the ranges. Ranges that were given out are never changed.
 */
export class RangeSet {
  /** Never empty, but for the first where the set is. */
  readonly #blocks: Range[][] = [[]];
  #size = 0;

  constructor(...ranges: readonly Range[]) {
    for (const range of ranges) this.add(range);
  }

  /** How many integers are in the set. */
  get size(): number {
    return this.#size;
  }

  ranges(): readonly Range[] {
    return this.#blocks.length === 1 ? this.#blocks[0] : this.#blocks.flat();
  }

  /** The place of the first range that ends at or after `value`; behind the last of a block where there is none. */
  #firstEndingFrom(value: number): Place {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#blocks[middle];
      if (block[block.length - 1].end < value) low = middle + 1;
      else high = middle;
    }
    return { block: low, at: firstEndingFrom(this.#blocks[low], value) };
  }

  #rangeEndingFrom(value: number): Range | undefined {
    const { block, at } = this.#firstEndingFrom(value);
    return this.#blocks[block][at];
  }

  /** Adds a range; returns how many integers were new. */
  add({ start, end }: Range): number {
    if (start >= end) return 0;
    const { block, at } = this.#firstEndingFrom(start);
    const ranges = this.#blocks[block];
    const union = { start, end };
    let merged = 0;
    let to = at;
    while (to < ranges.length && ranges[to].start <= union.end)
      merged += widen(union, ranges[to++]);
    if (to === ranges.length) merged += this.#takeTouching(block + 1, union);
    if (to - at === 1) ranges[at] = union;
    else ranges.splice(at, to - at, union);
    this.#split(block);
    const added = union.end - union.start - merged;
    this.#size += added;
    return added;
  }

  /** Takes the first ranges from a block on into `union`, as far as they touch it; returns how many integers that was. */
  #takeTouching(block: number, union: WritableRange): number {
    let merged = 0;
    while (block < this.#blocks.length) {
      const ranges = this.#blocks[block];
      let to = 0;
      while (to < ranges.length && ranges[to].start <= union.end) {
        merged += widen(union, ranges[to++]);
      }
      if (to < ranges.length) {
        ranges.splice(0, to);
        break;
      }
      this.#blocks.splice(block, 1);
    }
    return merged;
  }

  #split(block: number): void {
    const ranges = this.#blocks[block];
    if (ranges.length <= blockLength) return;
    this.#blocks.splice(block + 1, 0, ranges.splice(ranges.length >>> 1));
  }

  /** Takes a range out; returns the parts of it that were in the set. */
  remove({ start, end }: Range): Range[] {
    const removed: Range[] = [];
    if (start >= end) return removed;
    let { block, at: from } = this.#firstEndingFrom(start + 1);
    for (; block < this.#blocks.length; from = 0) {
      const ranges = this.#blocks[block];
      const kept: Range[] = [];
      let to = from;
      while (to < ranges.length && ranges[to].start < end) {
        const range = ranges[to++];
        const cut = { start: Math.max(range.start, start), end: Math.min(range.end, end) };
        removed.push(cut);
        this.#size -= cut.end - cut.start;
        if (range.start < cut.start) kept.push({ start: range.start, end: cut.start });
        if (cut.end < range.end) kept.push({ start: cut.end, end: range.end });
      }
      const isWhole = to === ranges.length;
      if (to - from === 1 && kept.length === 1) ranges[from] = kept[0];
      else if (kept.length === 0) ranges.splice(from, to - from);
      else ranges.splice(from, to - from, ...kept);
      if (kept.length === 2) {
        // One range was cut in the middle and became two: that was all.
        this.#split(block);
        break;
      }
      if (ranges.length === 0 && this.#blocks.length > 1) this.#blocks.splice(block, 1);
      else block++;
      if (!isWhole) break;
    }
    return removed;
  }

  /** Takes up to `count` integers from the front, as one range; undefined where the set is empty. */
  takeFirst(count: number): Range | undefined {
    const first = this.#blocks[0][0];
    if (first === undefined || count < 1) return undefined;
    const taken = { start: first.start, end: Math.min(first.end, first.start + count) };
    this.remove(taken);
    return taken;
  }

  /** Takes up to `count` integers from the back, as one range; undefined where the set is empty. */
  takeLast(count: number): Range | undefined {
    const last = this.#blocks.at(-1)?.at(-1);
    if (last === undefined || count < 1) return undefined;
    const taken = { start: Math.max(last.start, last.end - count), end: last.end };
    this.remove(taken);
    return taken;
  }

  /** The smallest integer of the set that is at least `value`; undefined where there is none. */
  firstFrom(value: number): number | undefined {
    const range = this.#rangeEndingFrom(value + 1);
    return range === undefined ? undefined : Math.max(range.start, value);
  }

  /** Whether every integer of the range is in the set. */
  covers({ start, end }: Range): boolean {
    if (start >= end) return true;
    const range = this.#rangeEndingFrom(start + 1);
    return range !== undefined && range.start <= start && end <= range.end;
  }

  /** The parts of the range that are in the set, in order. */
  parts({ start, end }: Range): Range[] {
    const parts: Range[] = [];
    if (start >= end) return parts;
    let { block, at } = this.#firstEndingFrom(start + 1);
    for (; block < this.#blocks.length; block++, at = 0) {
      const ranges = this.#blocks[block];
      for (; at < ranges.length; at++) {
        const range = ranges[at];
        if (range.start >= end) return parts;
        parts.push({ start: Math.max(start, range.start), end: Math.min(end, range.end) });
      }
    }
    return parts;
  }

  /** The parts of the range that are not in the set, in order. */
  gaps({ start, end }: Range): Range[] {
    const gaps: Range[] = [];
    let from = start;
    for (const part of this.parts({ start, end })) {
      if (from < part.start) gaps.push({ start: from, end: part.start });
      from = part.end;
    }
    if (from < end) gaps.push({ start: from, end });
    return gaps;
  }

  /** How many integers of the range are in the set. */
  overlap(range: Range): number {
    return this.parts(range).reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** Whether any integer of the range is in the set. */
  intersects({ start, end }: Range): boolean {
    if (start >= end) return false;
    const range = this.#rangeEndingFrom(start + 1);
    return range !== undefined && range.start < end;
  }
}

/** Index of the first range that ends at or after `value`. */
function firstEndingFrom(ranges: readonly Range[], value: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle].end < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Widens `union` by a range that touches it; returns how many integers that range has. */
function widen(union: WritableRange, { start, end }: Range): number {
  union.start = Math.min(union.start, start);
  union.end = Math.max(union.end, end);
  return end - start;
}
