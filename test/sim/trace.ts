/** What happened, as a hash that is equal for equal runs, and as lines for those who want to read it. */
import type { Clock } from "./clock.ts";
import { hash32 } from "./random.ts";

export class Trace {
  readonly #clock: Clock;
  /** Called with every line; undefined where nobody reads them. */
  readonly #print: ((line: string) => void) | undefined;
  #hash = 1;
  readonly #words = new Map<string, number>();

  constructor(clock: Clock, print: ((line: string) => void) | undefined) {
    this.#clock = clock;
    this.#print = print;
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** `who` did `what` with a subject (of somebody else's), and with these numbers. */
  note(who: string, what: string, subject = "", whose = "", first = 0, second = 0): void {
    let hash = this.#hash;
    hash = mix(hash, this.#clock.nowMs * 1_024);
    hash = mix(hash, this.#wordOf(who));
    hash = mix(hash, this.#wordOf(what));
    hash = mix(hash, this.#wordOf(subject));
    hash = mix(hash, this.#wordOf(whose));
    hash = mix(hash, first);
    hash = mix(hash, second);
    this.#hash = hash;
    if (this.#print === undefined) return;
    const time = this.#clock.nowMs.toFixed(3).padStart(12);
    this.#print([time, who, what, subject, whose, first, second].filter((x) => x !== "").join(" "));
  }

  #wordOf(text: string): number {
    let word = this.#words.get(text);
    if (word === undefined) {
      word = hash32(...Array.from(text, (letter) => letter.charCodeAt(0)));
      this.#words.set(text, word);
    }
    return word;
  }
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ (word | 0), 0x01000193);
  return mixed ^ (mixed >>> 15);
}
