/** Medians, spreads, and ratios with their errors. */

/** What repeated runs of one thing took. */
export interface Timing {
  /** Seconds. */
  readonly median: number;
  /** Sample standard deviation, seconds; NaN of one run. */
  readonly deviation: number;
  readonly runs: number;
}

/** A value with its standard error of one sigma; NaN where single runs leave it unknown. */
export interface Measured {
  readonly value: number;
  readonly error: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function timing(seconds: readonly number[]): Timing {
  const mean = seconds.reduce((sum, value) => sum + value, 0) / seconds.length;
  const squares = seconds.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = seconds.length > 1 ? Math.sqrt(squares / (seconds.length - 1)) : Number.NaN;
  return { median: median(seconds), deviation, runs: seconds.length };
}

/**
 * The ratio of two medians. Both sides vary, so both count: the relative deviations of numerator and denominator
 * are added in quadrature.
 */
export function ratio(numerator: Timing, denominator: Timing): Measured {
  const value = numerator.median / denominator.median;
  const relative = ({ deviation, median }: Timing) => deviation / median;
  return { value, error: value * Math.hypot(relative(numerator), relative(denominator)) };
}

/** A measured value times a number that is exact. */
export const scaled = ({ value, error }: Measured, factor: number): Measured => ({
  value: value * factor,
  error: error * factor,
});
