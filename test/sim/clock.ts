/** Virtual time: what is to happen, in the order in which it will. There is no other clock in the simulator. */

export interface Sleeper {
  /** `code` is what was given when the time was set. */
  wake(code: number): void;
}

/** Children of a node of the heap: four are found faster than two in a large heap. */
const arity = 4;

/** A heap of appointments by time, and by the order of their making where times are equal. */
export class Clock {
  nowMs = 0;
  /** Appointments kept so far. */
  woken = 0;
  #size = 0;
  #made = 0;
  /** By place in the heap. */
  #timesMs = new Float64Array(1024);
  #entries = new Int32Array(1024);
  /** By entry, so that moving one in the heap moves little. */
  #orders = new Float64Array(1024);
  #codes = new Float64Array(1024);
  readonly #sleepers: (Sleeper | undefined)[] = [];
  readonly #freeEntries: number[] = [];

  get pending(): number {
    return this.#size;
  }

  after(delayMs: number, sleeper: Sleeper, code: number): void {
    this.at(this.nowMs + delayMs, sleeper, code);
  }

  at(timeMs: number, sleeper: Sleeper, code: number): void {
    if (!(timeMs >= this.nowMs)) {
      throw new RangeError(`An appointment at ${timeMs} ms, when it is ${this.nowMs} ms already.`);
    }
    const entry = this.#freeEntries.pop() ?? this.#sleepers.length;
    if (entry >= this.#orders.length) this.#grow();
    this.#orders[entry] = this.#made++;
    this.#codes[entry] = code;
    this.#sleepers[entry] = sleeper;
    this.#rise(this.#size++, timeMs, entry);
  }

  /** Goes on to the next appointment; false where there is none. */
  next(): boolean {
    if (this.#size === 0) return false;
    this.nowMs = this.#timesMs[0];
    const entry = this.#entries[0];
    const last = --this.#size;
    if (last > 0) this.#sink(this.#timesMs[last], this.#entries[last]);
    const sleeper = this.#sleepers[entry]!;
    this.#sleepers[entry] = undefined;
    this.#freeEntries.push(entry);
    this.woken++;
    sleeper.wake(this.#codes[entry]);
    return true;
  }

  #isBefore(timeMs: number, entry: number, place: number): boolean {
    const otherMs = this.#timesMs[place];
    if (timeMs !== otherMs) return timeMs < otherMs;
    return this.#orders[entry] < this.#orders[this.#entries[place]];
  }

  #rise(from: number, timeMs: number, entry: number): void {
    let place = from;
    while (place > 0) {
      const parent = Math.floor((place - 1) / arity);
      if (!this.#isBefore(timeMs, entry, parent)) break;
      this.#timesMs[place] = this.#timesMs[parent];
      this.#entries[place] = this.#entries[parent];
      place = parent;
    }
    this.#timesMs[place] = timeMs;
    this.#entries[place] = entry;
  }

  #sink(timeMs: number, entry: number): void {
    let place = 0;
    for (;;) {
      const first = place * arity + 1;
      if (first >= this.#size) break;
      let least = first;
      const end = Math.min(first + arity, this.#size);
      for (let child = first + 1; child < end; child++) {
        if (this.#isBefore(this.#timesMs[child], this.#entries[child], least)) least = child;
      }
      if (this.#isBefore(timeMs, entry, least)) break;
      this.#timesMs[place] = this.#timesMs[least];
      this.#entries[place] = this.#entries[least];
      place = least;
    }
    this.#timesMs[place] = timeMs;
    this.#entries[place] = entry;
  }

  #grow(): void {
    const length = this.#orders.length * 2;
    this.#timesMs = enlarged(this.#timesMs, new Float64Array(length));
    this.#entries = enlarged(this.#entries, new Int32Array(length));
    this.#orders = enlarged(this.#orders, new Float64Array(length));
    this.#codes = enlarged(this.#codes, new Float64Array(length));
  }
}

function enlarged<Numbers extends Float64Array | Int32Array>(from: Numbers, to: Numbers): Numbers {
  to.set(from);
  return to;
}
