/**
 * Memories that hold a kernel's arrays, and the functions on them: WebAssembly, so that all arrays of a
 * kernel lie in one memory, or plain TypeScript where the host cannot have it. Both give the same bits.
 */
import { createWasmMemory } from "./wasm.ts";

export type KernelEngine = "webassembly" | "plain";

export interface KernelMemory<Functions, Name extends string> {
  readonly engine: KernelEngine;
  readonly functions: Functions;
  readonly arrays: Readonly<Record<Name, Float64Array>>;
}

/** Arrays begin on a cache line. */
const roomFor = (length: number) => 64 * Math.ceil(length / 8);

/**
 * A memory that holds the arrays, all 0, of the given lengths, and the functions on it; `plain` makes
 * the functions that stand in where there is no WebAssembly. With an engine named it is that one or an error.
 */
export function createKernelMemory<Functions, Name extends string>(
  lengths: Readonly<Record<Name, number>>,
  plain: (memory: ArrayBuffer) => Functions,
  wanted?: KernelEngine,
): KernelMemory<Functions, Name> {
  const names = Object.keys(lengths) as Name[];
  const bytes = names.reduce((sum, name) => sum + roomFor(lengths[name]), 0);
  const { engine, functions, buffer } = createEngine(bytes, plain, wanted);
  const arrays = {} as Record<Name, Float64Array>;
  let offset = 0;
  for (const name of names) {
    arrays[name] = new Float64Array(buffer, offset, lengths[name]);
    offset += roomFor(lengths[name]);
  }
  return { engine, functions, arrays };
}

/** The engine that a memory gets here where none is named. */
export function usualEngine(): KernelEngine {
  return createEngine(0, () => undefined, undefined).engine;
}

function createEngine<Functions>(
  bytes: number,
  plain: (memory: ArrayBuffer) => Functions,
  wanted: KernelEngine | undefined,
) {
  if (wanted !== "plain") {
    try {
      return { engine: "webassembly", ...createWasmMemory<Functions>(bytes) } as const;
    } catch (error) {
      if (wanted === "webassembly") throw error;
    }
  }
  const buffer = new ArrayBuffer(bytes);
  return { engine: "plain", functions: plain(buffer), buffer } as const;
}
