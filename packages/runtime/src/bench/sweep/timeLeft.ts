/** How long a sweep still takes, from how long its points took so far. */
import type { SweepEngine, SweepPoint } from "./points.ts";

const sideOf = (engine: SweepEngine) => (engine.startsWith("dipy") ? "dipy" : "ours");
const nameOf = ({ model, engine, workers, chunks }: SweepPoint) =>
  `${model} ${engine} ${workers} ${chunks}`;
/** Points of one of these take alike, but for how many threads share the work. */
const kindOf = ({ model, engine }: SweepPoint) => `${model} ${sideOf(engine)}`;
const threads = ({ workers, chunks }: SweepPoint) => Math.min(workers, chunks);

export class TimeLeft {
  /** What is still to run, and how often. */
  readonly #left = new Map<string, { readonly point: SweepPoint; times: number }>();
  readonly #seconds = new Map<string, number>();
  /** Seconds of one thread for all the work. */
  readonly #threadSeconds = new Map<string, number>();
  #doneSeconds = 0;

  constructor(points: readonly SweepPoint[], rounds: number) {
    for (const point of points) this.#left.set(nameOf(point), { point, times: rounds });
  }

  took(point: SweepPoint, seconds: number): void {
    const name = nameOf(point);
    this.#seconds.set(name, seconds);
    this.#threadSeconds.set(kindOf(point), seconds * threads(point));
    const left = this.#left.get(name);
    if (left === undefined || left.times === 0) return;
    left.times--;
    this.#doneSeconds += seconds;
  }

  /** Of the whole sweep; NaN seconds while a kind of point has never run. */
  now(): { share: number; secondsLeft: number } {
    let secondsLeft = 0;
    for (const { point, times } of this.#left.values()) {
      if (times > 0) secondsLeft += times * this.#guess(point);
    }
    const whole = this.#doneSeconds + secondsLeft;
    return { share: whole > 0 ? this.#doneSeconds / whole : 0, secondsLeft };
  }

  #guess(point: SweepPoint): number {
    const alone = this.#threadSeconds.get(kindOf(point)) ?? Number.NaN;
    return this.#seconds.get(nameOf(point)) ?? alone / threads(point);
  }
}
