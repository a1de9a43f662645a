/** Cholesky factors of tiled matrices and the solutions by them. */
import {
  COLUMN,
  count,
  FOUR,
  loadTile,
  runOuterProducts,
  storeTile,
  TILE,
  TILE_BYTES,
  tilePairs,
  type Written,
} from "./tileLoops.ts";
import {
  above,
  addInt,
  advance,
  below,
  block,
  type Code,
  FunctionWriter,
  get,
  int,
  laneOf,
  leave,
  load,
  loadBoth,
  loadPair,
  loopWhile,
  minus,
  minusPair,
  notAbove,
  over,
  plus,
  plusPair,
  real,
  set,
  squareRoot,
  store,
  times,
  timesInt,
  timesPair,
  when,
} from "./wasm.ts";

export function writeFactorize(): Written {
  const writer = new FunctionWriter(["i32", "i32", "i32", "i32"], "f64");
  const [matrix, tiles, factor, inverse] = [0, 1, 2, 3];
  const [i, j, row, other, p, q, end] = writer.locals("i32", 7);
  const [smallest, pivot] = writer.locals("f64", 2);
  const tile = tilePairs(writer);
  const stride = timesInt(get(tiles), int(TILE * COLUMN));
  /** The tile less L L' of the columns before tile j; p then stands at its place, q at the diagonal tile of row j. */
  const reduce = block(
    loadTile(tile, matrix),
    advance(matrix, int(TILE_BYTES)),
    set(p, get(row)),
    set(q, get(other)),
    set(end, addInt(get(row), timesInt(get(j), int(TILE_BYTES)))),
    runOuterProducts(writer, tile, minusPair, [p, q, end]),
  );
  const inverseOf = (tileRow: number) =>
    addInt(get(inverse), timesInt(get(tileRow), int(8 * TILE)));
  const divide = block(
    set(end, inverseOf(j)),
    ...tile.flatMap((column, c) =>
      column.flatMap((pair, half) => [
        ...FOUR.slice(0, c).map((d) =>
          set(
            pair,
            minusPair(get(pair), timesPair(get(tile[d][half]), loadBoth(get(q), TILE * d + c))),
          ),
        ),
        set(pair, timesPair(get(pair), loadBoth(get(end), c))),
      ]),
    ),
    storeTile(tile, p),
  );
  const corner = block(
    storeTile(tile, p),
    set(end, inverseOf(i)),
    factorizeCorner(writer, { corner: p, inverse: end, pivot, smallest }),
  );
  const code = block(
    set(smallest, real(Number.POSITIVE_INFINITY)),
    set(row, get(factor)),
    count(
      i,
      get(tiles),
      block(
        set(other, get(factor)),
        count(j, get(i), block(reduce, divide, advance(other, stride))),
        reduce,
        corner,
        advance(row, stride),
      ),
    ),
    get(smallest),
  );
  return [writer, code];
}

/** Cholesky of the 4 x 4 at `corner` in place, number by number; leaves the function with 0 at a pivot not above 0. */
function factorizeCorner(
  writer: FunctionWriter,
  { corner, inverse, pivot, smallest }: Record<"corner" | "inverse" | "pivot" | "smallest", number>,
): Code {
  const entries = FOUR.map(() => writer.locals("f64", TILE));
  const scale = writer.local("f64");
  const parts: Code[] = [];
  for (const c of FOUR) {
    for (const r of FOUR.slice(c)) {
      const place = TILE * c + r;
      let value = load(get(corner), place);
      for (const d of FOUR.slice(0, c)) {
        value = minus(value, times(get(entries[r][d]), get(entries[c][d])));
      }
      if (r > c) {
        parts.push(set(entries[r][c], times(value, get(scale))));
      } else {
        parts.push(
          set(pivot, value),
          when(notAbove(get(pivot), real(0)), leave(real(0))),
          when(above(get(smallest), get(pivot)), set(smallest, get(pivot))),
          set(entries[c][c], squareRoot(get(pivot))),
          set(scale, over(real(1), get(entries[c][c]))),
          store(get(inverse), c, get(scale)),
        );
      }
      parts.push(store(get(corner), place, get(entries[r][c])));
    }
  }
  return block(...parts);
}

export function writeSolve(): Written {
  const writer = new FunctionWriter(["i32", "i32", "i32", "i32"]);
  const [factor, inverse, tiles, x] = [0, 1, 2, 3];
  const [i, row, p, q, own, ownInverse] = writer.locals("i32", 6);
  const solution: Solution = {
    ...{ x, i, row, p, q, own, ownInverse },
    pairs: writer.locals("v128", 2),
    product: writer.local("v128"),
    solved: writer.locals("f64", TILE),
  };
  const stride = timesInt(get(tiles), int(TILE * COLUMN));
  const step = (sign: 1 | -1) =>
    block(
      advance(own, int(sign * COLUMN)),
      advance(ownInverse, int(sign * COLUMN)),
      advance(row, timesInt(stride, int(sign))),
    );
  const code = block(
    set(own, get(x)),
    set(ownInverse, get(inverse)),
    set(row, get(factor)),
    count(i, get(tiles), block(solveForward(solution), step(1))),
    // i stands at the count of tiles.
    loopWhile(below(int(0), get(i)), block(step(-1), advance(i, int(-1)), solveBackward(solution))),
  );
  return [writer, code];
}

/** Locals of the solution: `own` points at the four unknowns of tile row i, `row` at its rows of L. */
interface Solution {
  readonly x: number;
  readonly i: number;
  readonly row: number;
  readonly p: number;
  readonly q: number;
  readonly own: number;
  readonly ownInverse: number;
  readonly pairs: readonly number[];
  readonly product: number;
  readonly solved: readonly number[];
}

/** Four unknowns of L y = b, those before them being known. */
function solveForward(locals: Solution): Code {
  const { p, own, ownInverse, pairs, solved } = locals;
  const takeKnown = pairs.map((pair, half) =>
    set(pair, minusPair(get(pair), timesPair(loadPair(get(p), 2 * half), loadBoth(get(locals.q))))),
  );
  return block(
    ...pairs.map((pair, half) => set(pair, loadPair(get(own), 2 * half))),
    runToOwn(locals, takeKnown),
    ...FOUR.map((r) => {
      let value = laneOf(get(pairs[r >> 1]), (r & 1) as 0 | 1);
      for (const d of FOUR.slice(0, r)) {
        value = minus(value, times(load(get(p), TILE * d + r), get(solved[d])));
      }
      return set(solved[r], times(value, load(get(ownInverse), r)));
    }),
    ...FOUR.map((r) => store(get(own), r, get(solved[r]))),
  );
}

/** Four unknowns of L' x = y, those after them being known, and their share taken from all before them. */
function solveBackward(locals: Solution): Code {
  const { i, row, p, q, own, ownInverse, pairs, product, solved } = locals;
  const share = plusPair(
    timesPair(loadPair(get(p)), get(pairs[0])),
    timesPair(loadPair(get(p), 2), get(pairs[1])),
  );
  const sum = plus(laneOf(get(product), 0), laneOf(get(product), 1));
  return block(
    set(p, addInt(get(row), timesInt(get(i), int(TILE_BYTES)))),
    ...FOUR.toReversed().flatMap((r) => {
      let value = load(get(own), r);
      for (const d of FOUR.slice(r + 1)) {
        value = minus(value, times(load(get(p), TILE * r + d), get(solved[d])));
      }
      return [
        set(solved[r], times(value, load(get(ownInverse), r))),
        store(get(own), r, get(solved[r])),
      ];
    }),
    ...pairs.map((pair, half) => set(pair, loadPair(get(own), 2 * half))),
    runToOwn(locals, [set(product, share), store(get(q), 0, minus(load(get(q)), sum))]),
  );
}

/** Runs q over the unknowns before `own` and p over their columns of L. */
function runToOwn({ x, row, p, q, own }: Solution, parts: readonly Code[]): Code {
  return block(
    set(p, get(row)),
    set(q, get(x)),
    loopWhile(
      below(get(q), get(own)),
      block(...parts, advance(p, int(COLUMN)), advance(q, int(8))),
    ),
  );
}
