/** The tiles of 4 x 4 of which the matrix loops are made, and the loops that the others share. */
import {
  advance,
  below,
  block,
  type Code,
  type FunctionWriter,
  get,
  int,
  loadBoth,
  loadPair,
  loopWhile,
  set,
  storePair,
  timesPair,
} from "./wasm.ts";

export const TILE = 4;

/** A function as wasm.ts compiles it. */
export type Written = readonly [FunctionWriter, Code];

/** A column of a tile, and a tile, in bytes. */
export const COLUMN = 8 * TILE;
export const TILE_BYTES = TILE * COLUMN;
export const FOUR = [0, 1, 2, 3] as const;

/** for (local = 0; local < end; local++) */
export const count = (local: number, end: Code, body: Code): Code =>
  block(set(local, int(0)), loopWhile(below(get(local), end), block(body, advance(local, int(1)))));

/** The eight pairs of a tile: pairs[column][half]. */
export function tilePairs(writer: FunctionWriter): number[][] {
  return FOUR.map(() => writer.locals("v128", 2));
}

export const loadTile = (pairs: number[][], address: number): Code =>
  block(
    ...pairs.flatMap((column, c) =>
      column.map((pair, half) => set(pair, loadPair(get(address), TILE * c + 2 * half))),
    ),
  );

export const storeTile = (pairs: number[][], address: number): Code =>
  block(
    ...pairs.flatMap((column, c) =>
      column.map((pair, half) => storePair(get(address), TILE * c + 2 * half, get(pair))),
    ),
  );

/** Adds to (or takes from) the tile the outer products of the columns from p up to `end`; q runs along. */
export function runOuterProducts(
  writer: FunctionWriter,
  tile: number[][],
  combine: (left: Code, right: Code) => Code,
  [p, q, end]: readonly [number, number, number],
): Code {
  const left = writer.locals("v128", 2);
  const right = writer.local("v128");
  const body = block(
    ...left.map((pair, half) => set(pair, loadPair(get(p), 2 * half))),
    ...tile.flatMap((column, c) => [
      set(right, loadBoth(get(q), c)),
      ...column.map((pair, half) =>
        set(pair, combine(get(pair), timesPair(get(left[half]), get(right)))),
      ),
    ]),
    advance(p, int(COLUMN)),
    advance(q, int(COLUMN)),
  );
  return loopWhile(below(get(p), get(end)), body);
}
