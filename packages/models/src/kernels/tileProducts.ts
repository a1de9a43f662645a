/** Products of tiled panels: sums of outer products, and panels times vectors. */
import {
  COLUMN,
  count,
  loadTile,
  runOuterProducts,
  storeTile,
  TILE,
  TILE_BYTES,
  tilePairs,
  type Written,
} from "./tileLoops.ts";
import {
  addInt,
  advance,
  below,
  block,
  FunctionWriter,
  get,
  int,
  laneOf,
  loadBoth,
  loadPair,
  loopWhile,
  minusPair,
  plus,
  plusPair,
  set,
  store,
  storePair,
  timesInt,
  timesPair,
  zeroPair,
} from "./wasm.ts";

export function writeAddOuterProducts(): Written {
  const writer = new FunctionWriter(["i32", "i32", "i32", "i32", "i32", "i32", "i32"]);
  const [base, panel, columns, added, total, tiles, out] = [0, 1, 2, 3, 4, 5, 6];
  const [i, j, row, p, q, end] = writer.locals("i32", 6);
  const tile = tilePairs(writer);
  const stride = timesInt(get(columns), int(COLUMN));
  const until = (last: number) => set(end, addInt(get(row), timesInt(get(last), int(COLUMN))));
  const oneTile = block(
    loadTile(tile, base),
    set(p, get(row)),
    until(added),
    runOuterProducts(writer, tile, plusPair, [p, q, end]),
    until(total),
    runOuterProducts(writer, tile, minusPair, [p, q, end]),
    storeTile(tile, out),
    advance(base, int(TILE_BYTES)),
    advance(out, int(TILE_BYTES)),
  );
  const code = block(
    set(row, get(panel)),
    count(
      i,
      get(tiles),
      block(
        count(
          j,
          addInt(get(i), int(1)),
          block(set(q, addInt(get(panel), timesInt(get(j), stride))), oneTile),
        ),
        advance(row, stride),
      ),
    ),
  );
  return [writer, code];
}

export function writeMultiply(): Written {
  const writer = new FunctionWriter(["i32", "i32", "i32", "i32", "i32"]);
  const [panel, columns, tiles, vector, out] = [0, 1, 2, 3, 4];
  const [i, q, end] = writer.locals("i32", 3);
  const sums = writer.locals("v128", 2);
  const code = block(
    set(end, addInt(get(vector), timesInt(get(columns), int(8)))),
    count(
      i,
      get(tiles),
      block(
        ...sums.map((pair) => set(pair, zeroPair)),
        set(q, get(vector)),
        loopWhile(
          below(get(q), get(end)),
          block(
            ...sums.map((pair, half) =>
              set(
                pair,
                plusPair(get(pair), timesPair(loadPair(get(panel), 2 * half), loadBoth(get(q)))),
              ),
            ),
            advance(panel, int(COLUMN)),
            advance(q, int(8)),
          ),
        ),
        ...sums.map((pair, half) => storePair(get(out), 2 * half, get(pair))),
        advance(out, int(COLUMN)),
      ),
    ),
  );
  return [writer, code];
}

/** Four columns at a time; each sum is that of the even rows and that of the odd ones. */
export function writeMultiplyTransposed(): Written {
  const writer = new FunctionWriter(["i32", "i32", "i32", "i32", "i32"]);
  const [panel, columns, tiles, vector, out] = [0, 1, 2, 3, 4];
  const [p, q, end, stop] = writer.locals("i32", 4);
  const sums = writer.locals("v128", TILE);
  const factors = writer.locals("v128", 2);
  const code = block(
    set(end, addInt(get(vector), timesInt(get(tiles), int(COLUMN)))),
    set(stop, addInt(get(out), timesInt(get(columns), int(8)))),
    loopWhile(
      below(get(out), get(stop)),
      block(
        ...sums.map((pair) => set(pair, zeroPair)),
        set(p, get(panel)),
        set(q, get(vector)),
        loopWhile(
          below(get(q), get(end)),
          block(
            ...factors.map((pair, half) => set(pair, loadPair(get(q), 2 * half))),
            ...sums.flatMap((pair, c) =>
              factors.map((factor, half) =>
                set(
                  pair,
                  plusPair(
                    get(pair),
                    timesPair(loadPair(get(p), TILE * c + 2 * half), get(factor)),
                  ),
                ),
              ),
            ),
            advance(p, timesInt(get(columns), int(COLUMN))),
            advance(q, int(COLUMN)),
          ),
        ),
        ...sums.map((pair, c) =>
          store(get(out), c, plus(laneOf(get(pair), 0), laneOf(get(pair), 1))),
        ),
        advance(panel, int(TILE_BYTES)),
        advance(out, int(8 * TILE)),
      ),
    ),
  );
  return [writer, code];
}
