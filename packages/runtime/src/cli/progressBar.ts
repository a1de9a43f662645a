/** Progress on stderr: a bar that redraws itself on a terminal, a line now and then otherwise. */
import type { FitProgress } from "../fit/progress.ts";
import { formatSeconds, grouped, groupedCount } from "./parse.ts";

/** Lines come after this time, then after twice as much each, up to the limit: a log of hours stays short. */
const firstLineIntervalMs = 500;
const lineIntervalLimitMs = 16_000;
const barWidth = 28;

export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #isQuiet: boolean;
  #lastLineMs = Number.NEGATIVE_INFINITY;
  #lineIntervalMs = firstLineIntervalMs;
  #isDrawn = false;
  /** Stands before each percentage: of which step it is. */
  #step = "";
  #text = "";
  #share = 0;
  #waitsFor: string | undefined;

  constructor(stream: NodeJS.WriteStream, isQuiet = false) {
    this.#stream = stream;
    this.#isQuiet = isQuiet;
  }

  /** A step begins, of so many; it counts from 0 % again. */
  step(number: number, count: number): void {
    this.clear();
    this.#step = `step ${number} of ${count} `;
  }

  /** Shows how far a fit is. */
  fit(name: string, progress: FitProgress): void {
    const { voxelsDone, voxels, voxelsPerSecond, secondsLeft, slots, waitsFor } = progress;
    if (slots === 0) {
      const what = waitsFor === "head" ? "the head to come back" : "a worker to join";
      this.show(`fitting ${name}: waiting for ${what}`, voxelsDone / voxels);
      return;
    }
    const left = Number.isFinite(secondsLeft) ? `, ${formatSeconds(secondsLeft)} left` : "";
    const rate = voxelsPerSecond > 0 ? `, ${grouped(voxelsPerSecond)} voxels/s` : "";
    this.show(
      `fitting ${name}: ${grouped(voxelsDone)} of ${groupedCount(voxels, "voxel")}${rate}${left}`,
      voxelsDone / voxels,
    );
  }

  /** What the disk makes the work wait for; undefined when it goes on. */
  waits(reason: string | undefined): void {
    // That it begins to wait is worth a line of its own, however young the last one is.
    if (this.#waitsFor === undefined) this.#lastLineMs = Number.NEGATIVE_INFINITY;
    this.#waitsFor = reason;
    if (reason !== undefined) this.show(this.#text, this.#share);
  }

  /** Shows a line of text with a share of done work, from 0 to 1. */
  show(work: string, share: number): void {
    this.#text = work;
    this.#share = share;
    if (this.#isQuiet) return;
    const text = this.#waitsFor === undefined ? work : `${work}: waiting, since ${this.#waitsFor}`;
    const percent = `${this.#step}${String(Math.floor(share * 100)).padStart(3)} %`;
    if (this.#stream.isTTY) {
      // What the text says matters more than the bar: on a narrow terminal the bar shrinks, then goes.
      const columns = (this.#stream.columns ?? 100) - 1;
      const room = Math.min(barWidth, columns - text.length - percent.length - 3);
      const width = room < 6 ? 0 : room;
      const full = Math.round(share * width);
      const bar = `${"█".repeat(full)}${"░".repeat(width - full)} `.trimStart();
      const line = `${bar}${percent}  ${text}`.slice(0, columns);
      this.#stream.write(`\r\u001b[2K${line}`);
      this.#isDrawn = true;
      return;
    }
    const nowMs = performance.now();
    if (nowMs - this.#lastLineMs < this.#lineIntervalMs) return;
    if (Number.isFinite(this.#lastLineMs)) {
      this.#lineIntervalMs = Math.min(2 * this.#lineIntervalMs, lineIntervalLimitMs);
    }
    this.#lastLineMs = nowMs;
    this.#stream.write(`${percent}  ${text}\n`);
  }

  /** Clears the bar, so that other text can stand there. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write("\r\u001b[2K");
    this.#isDrawn = false;
    this.#lastLineMs = Number.NEGATIVE_INFINITY;
    this.#lineIntervalMs = firstLineIntervalMs;
  }
}
