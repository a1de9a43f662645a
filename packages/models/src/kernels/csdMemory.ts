/** Memories that hold the arrays of CSD, with the functions on them. */
import type { CsdFunctions } from "./csdFunctions.ts";
import { createPlainCsd } from "./csdPlain.ts";
import { createKernelMemory, type KernelEngine } from "./kernelMemory.ts";

/** Float64 between one array and the next, which nothing may read or write. */
const GAP = 8;

/** Lengths in float64 by name, in groups. */
type Lengths = Readonly<Record<string, Readonly<Record<string, number>>>>;
export type Arrays<Names> = { readonly [Name in keyof Names]: Float64Array };

export interface CsdMemory<Groups> {
  readonly engine: KernelEngine;
  readonly functions: CsdFunctions;
  readonly groups: { readonly [Group in keyof Groups]: Arrays<Groups[Group]> };
}

/** A memory that holds groups of arrays, all 0, of the given lengths, and the functions on it. */
export function createCsdMemory<Groups extends Lengths>(
  lengths: Groups,
  wanted?: KernelEngine,
): CsdMemory<Groups> {
  const spaced: Record<string, number> = {};
  for (const [group, names] of Object.entries(lengths)) {
    for (const [name, length] of Object.entries(names)) spaced[`${group}.${name}`] = length + GAP;
  }
  const { engine, functions, arrays } = createKernelMemory(spaced, createPlainCsd, wanted);
  const groups: Record<string, Record<string, Float64Array>> = {};
  for (const [group, names] of Object.entries(lengths)) {
    groups[group] = {};
    for (const [name, length] of Object.entries(names)) {
      groups[group][name] = arrays[`${group}.${name}`].subarray(0, length);
    }
  }
  return { engine, functions, groups: groups as CsdMemory<Groups>["groups"] };
}
