/** Numbers to colours. */
import type { Pixels } from "./png.ts";
import type { DisplaySlice } from "./slices.ts";

type Rgb = readonly [number, number, number];

/** Evenly spaced stops, dark to light, so that brightness alone tells the order. */
export const colourRamps = {
  grey: [
    [0, 0, 0],
    [255, 255, 255],
  ],
  water: [
    [4, 8, 20],
    [14, 52, 110],
    [28, 118, 176],
    [104, 193, 214],
    [240, 252, 250],
  ],
  ember: [
    [8, 6, 16],
    [82, 24, 76],
    [176, 54, 70],
    [240, 134, 52],
    [254, 236, 168],
  ],
} as const satisfies Record<string, readonly Rgb[]>;

export type ColourRamp = keyof typeof colourRamps;

/** Colour of a share 0..1 of the ramp; shares beyond the ends take the end's colour. */
export function rampColour(ramp: ColourRamp, share: number): Rgb {
  const stops: readonly Rgb[] = colourRamps[ramp];
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(at));
  const t = at - low;
  return [0, 1, 2].map((i) =>
    Math.round(stops[low][i] + t * (stops[low + 1][i] - stops[low][i])),
  ) as unknown as Rgb;
}

/** A slice as pixels; what is not finite is transparent. */
export function slicePixels(
  slice: DisplaySlice,
  [low, high]: readonly [number, number],
  ramp: ColourRamp,
): Pixels {
  const { width, height } = slice.plane;
  const rgba = new Uint8Array(4 * width * height);
  slice.values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    rgba.set(rampColour(ramp, (value - low) / (high - low)), 4 * i);
    rgba[4 * i + 3] = 255;
  });
  return { width, height, rgba };
}

/** The ramp as CSS, left to right. */
export function rampGradient(ramp: ColourRamp): string {
  return `linear-gradient(90deg,${colourRamps[ramp].map((c) => `rgb(${c.join(",")})`).join(",")})`;
}

/** A window that shows most of the values: the 1st and 99th percentile, widened to round numbers. */
export function windowOf(slices: readonly DisplaySlice[]): [number, number] {
  const values = slices.flatMap((slice) => [...slice.values].filter(Number.isFinite));
  if (values.length === 0) return [0, 1];
  values.sort((a, b) => a - b);
  const low = Math.min(0, values[Math.floor(0.01 * (values.length - 1))]);
  const high = values[Math.ceil(0.99 * (values.length - 1))];
  return [roundOutwards(low), high > low ? roundOutwards(high) : roundOutwards(low) + 1];
}

function roundOutwards(value: number): number {
  if (value === 0) return 0;
  const step = 10 ** Math.floor(Math.log10(Math.abs(value))) / 2;
  return Math.sign(value) * Math.ceil(Math.abs(value) / step) * step;
}
