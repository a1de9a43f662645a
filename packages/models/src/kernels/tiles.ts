/**
 * Memories of tiled matrices with the functions on them. A tile's sums stay in the processor's registers
 * while the long side runs by, which is what makes these loops fast.
 */
import { createKernelMemory, type KernelEngine, type KernelMemory } from "./kernelMemory.ts";
import type { TileFunctions } from "./tileLayout.ts";
import { createPlainTiles } from "./tilesPlain.ts";

export {
  panelPlace,
  TILE,
  type TileFunctions,
  tiledLength,
  tiledPlace,
  tilesFor,
} from "./tileLayout.ts";

/** A memory that holds the arrays, all 0, of the given lengths, and the functions on it. */
export function createTileMemory<Name extends string>(
  lengths: Readonly<Record<Name, number>>,
  wanted?: KernelEngine,
): KernelMemory<TileFunctions, Name> {
  return createKernelMemory(lengths, createPlainTiles, wanted);
}
