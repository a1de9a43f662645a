/** How far a fit is, in voxels. */
export interface FitProgress {
  readonly voxelsDone: number;
  readonly voxels: number;
  /** Over the last seconds; 0 until there is a measure. */
  readonly voxelsPerSecond: number;
  /** NaN until there is a measure. */
  readonly secondsLeft: number;
  /** Slots at work; 0 while a cluster has no worker for it. */
  readonly slots: number;
  /** What it waits for while there are none. */
  readonly waitsFor: "worker" | "head";
}

/** The rate is taken over about this long, so that it follows the machine and not the past. */
const windowMs = 5_000;
const reportIntervalMs = 100;

/** Turns counts of voxels into progress reports, at most ten a second and never backwards. */
export class ProgressMeter {
  readonly #voxels: number;
  readonly #report: ((progress: FitProgress) => void) | undefined;
  readonly #samples: { readonly ms: number; readonly voxels: number }[] = [];
  #voxelsDone = 0;
  #slots = 0;
  /** A cluster that lost its head waits for that. */
  waitsFor: FitProgress["waitsFor"] = "worker";
  #lastReportMs = Number.NEGATIVE_INFINITY;

  constructor(voxels: number, report: ((progress: FitProgress) => void) | undefined) {
    this.#voxels = voxels;
    this.#report = report;
  }

  get voxelsDone(): number {
    return this.#voxelsDone;
  }

  update(voxelsDone: number, slots: number, nowMs = performance.now()): void {
    const slotsChanged = slots !== this.#slots;
    this.#slots = slots;
    this.#voxelsDone = Math.max(this.#voxelsDone, Math.min(voxelsDone, this.#voxels));
    const isLast = this.#voxelsDone === this.#voxels;
    if (!slotsChanged && !isLast && nowMs - this.#lastReportMs < reportIntervalMs) return;
    this.#lastReportMs = nowMs;
    this.#samples.push({ ms: nowMs, voxels: this.#voxelsDone });
    while (this.#samples.length > 2 && nowMs - this.#samples[0].ms > windowMs)
      this.#samples.shift();
    const first = this.#samples[0];
    const voxelsPerSecond =
      nowMs > first.ms ? ((this.#voxelsDone - first.voxels) * 1000) / (nowMs - first.ms) : 0;
    this.#report?.({
      voxelsDone: this.#voxelsDone,
      voxels: this.#voxels,
      voxelsPerSecond,
      secondsLeft:
        voxelsPerSecond > 0 ? (this.#voxels - this.#voxelsDone) / voxelsPerSecond : Number.NaN,
      slots,
      waitsFor: this.waitsFor,
    });
  }
}
