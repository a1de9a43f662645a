/** Measured values in words. */
import { formatNumber } from "../../report/html.ts";
import type { Measured, Timing } from "./statistics.ts";
import type { SeriesSummary } from "./summary.ts";

/** Digits after the point, so that the error shows one, or two where it begins with 1 or 2. */
function digitsFor(error: number, fallback: number): number {
  if (!(error > 0 && Number.isFinite(error))) return fallback;
  const power = Math.floor(Math.log10(error));
  return Math.min(4, Math.max(0, (error < 3 * 10 ** power ? 1 : 0) - power));
}

/** `1.94 ± 0.02`. */
export function plusMinus({ value, error }: Measured, fallback = 2): string {
  const digits = digitsFor(error, fallback);
  if (!Number.isFinite(value)) return "–";
  return Number.isFinite(error)
    ? `${value.toFixed(digits)} ± ${error.toFixed(digits)}`
    : value.toFixed(digits);
}

export const percent = ({ value, error }: Measured) =>
  `${plusMinus({ value: 100 * value, error: 100 * error }, 1)} %`;

export const secondsOf = ({ median, deviation }: Timing) =>
  `${plusMinus({ value: median, error: deviation })} s`;

/** Seconds of thread time as microseconds. */
export const microseconds = ({ value, error }: Measured) =>
  `${plusMinus({ value: 1e6 * value, error: 1e6 * error }, 1)} µs`;

export const perSecond = (voxels: number, seconds: number) =>
  formatNumber(Math.round(voxels / seconds));

/** Which side a series is of. */
export function sideOf({ engine }: SeriesSummary): string {
  if (engine === "dipy-ray") return "DIPY on Ray, here";
  return engine === "cluster" ? "Fascicle, cluster" : "Fascicle";
}
