/** Memories of kernels that show whether a function wrote where it should not. */
import { ELEMENTARY_TABLE } from "../kernels/elementaryTable.ts";
import { createKernelMemory, type KernelEngine } from "../kernels/kernelMemory.ts";

export const ENGINES = ["webassembly", "plain"] as const;

/** What stands before, between and behind the arrays, and must stay. */
const GUARD = 12345.678;
const GUARD_LENGTH = 8;

/**
 * Arrays of one memory, with numbers around each that nobody may change: `isWhole` says whether they are as they
 * were. The table of exp and log is among them.
 */
export function guardedMemory<Name extends string, Functions>(
  lengths: Readonly<Record<Name, number>>,
  plain: (memory: ArrayBuffer) => Functions,
  engine: KernelEngine,
) {
  const names = Object.keys(lengths) as Name[];
  const all: Record<string, number> = { table: ELEMENTARY_TABLE.length, before: GUARD_LENGTH };
  for (const name of names) {
    all[name] = lengths[name];
    all[`${name}After`] = GUARD_LENGTH;
  }
  const { functions, arrays } = createKernelMemory<Functions, string>(all, plain, engine);
  arrays.table.set(ELEMENTARY_TABLE);
  // Arrays begin on a cache line: what lies between the end of one and the next guard is guarded as well.
  const memory = new Float64Array(arrays.table.buffer);
  const isOwned = new Uint8Array(memory.length);
  for (const name of [...names, "table"]) {
    const first = arrays[name].byteOffset / 8;
    isOwned.fill(1, first, first + arrays[name].length);
  }
  const unowned = [...memory.keys()].filter((i) => isOwned[i] === 0);
  for (const i of unowned) memory[i] = GUARD;
  const isWhole = () =>
    unowned.every((i) => memory[i] === GUARD) &&
    ELEMENTARY_TABLE.every((value, i) => Object.is(value, arrays.table[i]));
  const at = Object.fromEntries(
    Object.entries(arrays).map(([name, array]) => [name, array.byteOffset]),
  ) as Record<Name | "table", number>;
  return { functions, arrays: arrays as Record<Name | "table", Float64Array>, at, isWhole };
}
