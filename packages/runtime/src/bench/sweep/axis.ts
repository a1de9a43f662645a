/** Axes of a chart: which values, where they lie, and what is written beside them. */

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface Axis {
  readonly label: string;
  readonly isLog: boolean;
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly Tick[];
}

/** Where a value lies between the axis's ends, 0 to 1; beyond them it stays at the end. */
export function placeOn({ isLog, min, max }: Axis, value: number): number {
  const of = (x: number) => (isLog ? Math.log2(Math.max(x, Number.MIN_VALUE)) : x);
  const share = (of(value) - of(min)) / (of(max) - of(min));
  return Math.min(1, Math.max(0, share));
}

/** Powers of two that enclose the values, with at most about `ticks` of them written. */
export function log2Axis(
  label: string,
  values: readonly number[],
  format: (value: number) => string,
  ticks = 9,
): Axis {
  const known = values.filter((value) => Number.isFinite(value) && value > 0);
  const low = Math.floor(Math.log2(Math.min(...known, 2)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log2(Math.max(...known, 1)) - 1e-9));
  const step = Math.ceil((high - low) / ticks);
  return {
    label,
    isLog: true,
    min: 2 ** low,
    max: 2 ** high,
    ticks: range(Math.floor((high - low) / step) + 1).map((i) => {
      const at = 2 ** (low + i * step);
      return { at, label: format(at) };
    }),
  };
}

/** Shares from 0 to above all of the values and 100 %, so that lines at the top have room for words. */
export function shareAxis(label: string, values: readonly number[]): Axis {
  const most = Math.max(...values.filter(Number.isFinite), 1);
  const step = most <= 1.2 ? 0.25 : most <= 2.4 ? 0.5 : 1;
  const steps = Math.floor(most / step + 0.05) + 1;
  const ticks = range(steps + 1).map((i) => {
    const at = i * step;
    return { at, label: `${Math.round(100 * at)} %` };
  });
  return { label, isLog: false, min: 0, max: steps * step, ticks };
}

/** A logarithmic axis in steps of 1, 2 and 5, from a ten-thousandth to a hundred million. */
export function decadeAxis(
  label: string,
  values: readonly number[],
  format: (value: number) => string,
): Axis {
  const known = values.filter((value) => Number.isFinite(value) && value > 0);
  const steps = range(13).flatMap((i) => [1, 2, 5].map((digit) => Number(`${digit}e${i - 4}`)));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const min = steps.filter((step) => step <= low * 1.001).at(-1) ?? steps[0];
  const max = steps.find((step) => step >= high * 0.999 && step > min) ?? steps[steps.length - 1];
  const ticks = steps
    .filter((step) => step >= min && step <= max)
    .map((at) => ({ at, label: format(at) }));
  return { label, isLog: true, min, max, ticks };
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
