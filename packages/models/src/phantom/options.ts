/** What a phantom is made from. */
import { InputError } from "../model.ts";
import { type PhantomScheme, phantomSchemes } from "./scheme.ts";

export interface PhantomOptions {
  /** Grid in x, y, z; 8 to 512 each. Default 40, 48, 32. */
  readonly size?: readonly number[];
  /** Gradient scheme, default `hcp`. */
  readonly scheme?: string;
  /** White matter's signal at b0 over the noise's standard deviation; default 30, Infinity for none. */
  readonly snr?: number;
  /** Whole number from 0 to 2^32 - 1 that decides the noise, default 1. */
  readonly seed?: number;
}

export interface ResolvedPhantomOptions {
  readonly size: readonly [number, number, number];
  readonly scheme: PhantomScheme;
  readonly snr: number;
  readonly seed: number;
}

const smallestSize = 8;
const largestSize = 512;

/** Fills the defaults in. Throws `InputError` where a value cannot be used. */
export function resolvePhantomOptions(options: PhantomOptions = {}): ResolvedPhantomOptions {
  const size = options.size ?? [40, 48, 32];
  const fits = (n: number) => Number.isInteger(n) && n >= smallestSize && n <= largestSize;
  if (size.length !== 3 || !size.every(fits)) {
    throw new InputError(
      `The phantom's size is ${size.join(",") || "empty"}, but it must be three whole numbers ` +
        `from ${smallestSize} to ${largestSize}, such as 40,48,32.`,
    );
  }
  const scheme = phantomSchemes.find((name) => name === (options.scheme ?? "hcp"));
  if (scheme === undefined) {
    throw new InputError(
      `There is no phantom scheme "${options.scheme}"; use one of ${phantomSchemes.join(", ")}.`,
    );
  }
  const snr = options.snr ?? 30;
  if (!(snr >= 1)) {
    throw new InputError(`The phantom's SNR is ${snr}, but it must be a number of at least 1.`);
  }
  const seed = options.seed ?? 1;
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new InputError(
      `The phantom's seed is ${seed}, but it must be a whole number from 0 to 4294967295.`,
    );
  }
  return { size: [size[0], size[1], size[2]], scheme, snr, seed };
}
