/**
 * The figures of the report that this project began with: CSD and free-water DTI by DIPY on Ray, 435,686 voxels of an
 * HCP scan of 288 volumes, one host of 36 cores and 72 threads limited to so many of its processors. Read off its plots.
 */
import type { SweepModel } from "./points.ts";

export const publishedName = "the 2024 report, DIPY on Ray";
export const publishedVoxels = 435_686;
export const publishedMachine =
  "one host of 36 cores (72 hardware threads), limited by cpuset to 8 to 72 of its processors";

/** Chunk counts of the speed-ups below. */
export const publishedChunks = [2, 8, 32, 512, 4096, 32768] as const;

export interface PublishedSeries {
  /** Processors (hardware threads). */
  readonly workers: number;
  /** Over their serial run, at each of `publishedChunks`. */
  readonly speedUps: readonly number[];
  /** The best of all chunk counts. */
  readonly peak: { readonly speedUp: number; readonly efficiency: number; readonly chunks: string };
  /** Best mean time, seconds. */
  readonly bestSeconds: number;
}

const series = (
  workers: number,
  speedUps: readonly number[],
  [speedUp, efficiency, chunks]: readonly [number, number, string],
  bestSeconds: number,
): PublishedSeries => ({ workers, speedUps, peak: { speedUp, efficiency, chunks }, bestSeconds });

export const published: Readonly<Record<SweepModel, readonly PublishedSeries[]>> = {
  csd: [
    series(8, [1.8, 5.0, 5.0, 4.9, 4.0, 1.9], [5.06, 0.632, "128"], 22.08),
    series(16, [1.9, 5.5, 8.2, 8.3, 7.0, 3.2], [8.38, 0.524, "256"], 14.67),
    series(32, [1.9, 5.5, 9.7, 10.8, 9.6, 3.1], [10.8, 0.338, "512"], 11.79),
    series(48, [1.7, 4.9, 8.7, 9.9, 8.8, 2.9], [9.9, 0.206, "512"], 11.54),
    series(72, [1.7, 4.9, 8.3, 10.2, 8.3, 2.8], [10.2, 0.142, "512"], 11.54),
  ],
  freewater: [
    series(8, [2.0, 7.2, 6.7, 6.5, 6.3, 5.7], [7.2, 0.9, "8"], 106.5),
    series(16, [2.0, 7.5, 12.6, 12.3, 11.8, 10.5], [13.1, 0.82, "16"], 60.9),
    series(32, [2.0, 7.1, 16.6, 18.2, 17.7, 15.9], [18.2, 0.568, "512"], 44.7),
    series(48, [2.0, 7.1, 16.6, 20.0, 19.6, 13.4], [20.0, 0.416, "1024"], 40.8),
    series(72, [2.0, 7.0, 19.5, 24.9, 25.3, 18.1], [25.3, 0.352, "2048 to 4096"], 31.5),
  ],
};

/** What their serial runs took, seconds, by the speed-ups and times they give; least and most of the machines. */
export const publishedSerialSeconds: Readonly<Record<SweepModel, readonly [number, number]>> = {
  csd: [112, 128],
  freewater: [767, 815],
};
