/** What happened to a job, a host or an actor: the first and the last entries are kept, the middle is counted. */

export interface StoryEntry {
  readonly nowMs: number;
  readonly text: string;
}

const firstKept = 20;
const lastKept = 60;

export class Story {
  readonly #first: StoryEntry[] = [];
  /** A ring of the last entries. */
  readonly #last: StoryEntry[] = [];
  #count = 0;

  add(nowMs: number, text: string): void {
    this.#count++;
    if (this.#first.length < firstKept) this.#first.push({ nowMs, text });
    else this.#last[(this.#count - firstKept - 1) % lastKept] = { nowMs, text };
  }

  /** All that is kept, in order, with a line where entries are left out. */
  entries(): StoryEntry[] {
    const later = this.#count - this.#first.length;
    if (later <= lastKept) return [...this.#first, ...this.#last];
    const oldest = later % lastKept;
    const ring = [...this.#last.slice(oldest), ...this.#last.slice(0, oldest)];
    const left = later - lastKept;
    const gap = { nowMs: ring[0].nowMs, text: `(${left} more entries were not kept)` };
    return [...this.#first, gap, ...ring];
  }
}
