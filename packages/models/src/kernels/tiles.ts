/**
 * Memories of tiled matrices with the functions on them. A tile's sums stay in the processor's registers
 * while the long side runs by, which is what makes these loops fast. They are WebAssembly, so all arrays
 * lie in one memory; where there is none, plain TypeScript gives the same bits.
 */
import type { TileFunctions } from "./tileLayout.ts";
import { createPlainTiles } from "./tilesPlain.ts";
import { createWasmTiles } from "./wasm.ts";

export {
  panelPlace,
  TILE,
  type TileFunctions,
  tiledLength,
  tiledPlace,
  tilesFor,
} from "./tileLayout.ts";

export type TileEngine = "webassembly" | "plain";

export type TileMemory<Name extends string> = {
  readonly engine: TileEngine;
  readonly functions: TileFunctions;
  readonly arrays: Readonly<Record<Name, Float64Array>>;
};

/**
 * A memory that holds the arrays, all 0, of the given lengths, and the functions on it: WebAssembly, or
 * plain TypeScript where the host cannot have it. With an engine named it is that one or an error.
 */
export function createTileMemory<Name extends string>(
  lengths: Readonly<Record<Name, number>>,
  wanted?: TileEngine,
): TileMemory<Name> {
  // Arrays begin on a cache line.
  const room = (length: number) => 64 * Math.ceil(length / 8);
  const names = Object.keys(lengths) as Name[];
  const bytes = names.reduce((sum, name) => sum + room(lengths[name]), 0);
  const { engine, functions, buffer } = createEngine(bytes, wanted);
  const arrays = {} as Record<Name, Float64Array>;
  let offset = 0;
  for (const name of names) {
    arrays[name] = new Float64Array(buffer, offset, lengths[name]);
    offset += room(lengths[name]);
  }
  return { engine, functions, arrays };
}

function createEngine(bytes: number, wanted: TileEngine | undefined) {
  if (wanted !== "plain") {
    try {
      return { engine: "webassembly", ...createWasmTiles(bytes) } as const;
    } catch (error) {
      if (wanted === "webassembly") throw error;
    }
  }
  return { engine: "plain", ...createPlainTiles(bytes) } as const;
}
