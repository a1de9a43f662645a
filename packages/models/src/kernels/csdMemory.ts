/** Memories that hold the arrays of CSD, with the functions on them. */
import type { CsdFunctions } from "./csdFunctions.ts";
import { createPlainCsd } from "./csdPlain.ts";
import { createKernelMemory, type KernelEngine, type KernelMemory } from "./kernelMemory.ts";

/** Float64 between one array and the next, which nothing may read or write. */
const GAP = 8;

/** A memory that holds the arrays, all 0, of the given lengths in float64, and the functions on it. */
export function createCsdMemory<Name extends string>(
  lengths: Readonly<Record<Name, number>>,
  wanted?: KernelEngine,
): KernelMemory<CsdFunctions, Name> {
  const names = Object.keys(lengths) as Name[];
  const spaced = {} as Record<Name, number>;
  for (const name of names) spaced[name] = lengths[name] + GAP;
  const memory = createKernelMemory(spaced, createPlainCsd, wanted);
  const arrays = {} as Record<Name, Float64Array>;
  for (const name of names) arrays[name] = memory.arrays[name].subarray(0, lengths[name]);
  return { ...memory, arrays };
}
