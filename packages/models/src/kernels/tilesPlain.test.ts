import { afterEach, describe, expect, it, vi } from "vitest";
import { randomNumbers } from "../csd/testing.ts";
import {
  createTileMemory,
  panelPlace,
  TILE,
  type TileFunctions,
  tiledLength,
  tiledPlace,
} from "./tiles.ts";

interface Side {
  readonly functions: TileFunctions;
  readonly arrays: Readonly<Record<keyof ReturnType<typeof lengthsOf>, Float64Array>>;
}

function lengthsOf(tiles: number, columns: number) {
  const side = TILE * tiles;
  return {
    ...{ panel: side * columns, base: tiledLength(tiles), out: tiledLength(tiles) },
    ...{ factor: side * side, inverse: side, x: side, product: side },
    ...{ long: columns, short: side, transposed: columns },
  };
}

/** Both engines over the same random numbers of very different sizes, one in a hundred being an odd one. */
function createBoth(tiles: number, columns: number, odd: readonly number[] = []): [Side, Side] {
  const random = randomNumbers(1000 * tiles + columns);
  const number = () => {
    if (odd.length > 0 && random() < 0.01) return odd[Math.floor(random() * odd.length)];
    return (random() - 0.5) * 2 ** Math.floor(random() * 20);
  };
  const lengths = lengthsOf(tiles, columns);
  const wasm = createTileMemory(lengths, "webassembly");
  const plain = createTileMemory(lengths, "plain");
  expect([wasm.engine, plain.engine]).toEqual(["webassembly", "plain"]);
  const filled = ["panel", "base", "x", "long", "short", "factor", "inverse"] as const;
  for (const name of filled) {
    for (let i = 0; i < lengths[name]; i++) wasm.arrays[name][i] = number();
    plain.arrays[name].set(wasm.arrays[name]);
  }
  return [wasm, plain];
}

/** The bits of the numbers, all NaN being one. */
function bitsOf(numbers: Float64Array): string {
  const canonical = Float64Array.from(numbers, (x) => (Number.isNaN(x) ? Number.NaN : x));
  return Buffer.from(canonical.buffer).toString("hex");
}

/** Runs the same on both engines and compares the named arrays, bit by bit, and what it returns. */
function expectSame<Result>(
  sides: readonly Side[],
  names: readonly (keyof Side["arrays"])[],
  run: (functions: TileFunctions, at: Record<keyof Side["arrays"], number>) => Result,
): Result {
  const [wasm, plain] = sides.map(({ functions, arrays }) => {
    const offsets = Object.entries(arrays).map(([name, array]) => [name, array.byteOffset]);
    const result = run(functions, Object.fromEntries(offsets));
    return { result, bits: names.map((name) => bitsOf(arrays[name])) };
  });
  expect(plain.result).toBe(wasm.result);
  expect(plain.bits).toEqual(wasm.bits);
  return wasm.result;
}

/** The lower triangle of both factors; above it a factor means nothing. */
function clearAboveDiagonal(sides: readonly Side[], side: number): void {
  for (const { arrays } of sides) {
    for (let row = 0; row < side; row++) {
      for (let column = row + 1; column < side; column++) {
        arrays.factor[panelPlace(row, column, side)] = 0;
      }
    }
  }
}

function runProducts(sides: readonly Side[], tiles: number, columns: number): void {
  const added = Math.floor(columns / 3);
  const total = columns - 1;
  expectSame(sides, ["out"], (f, at) =>
    f.addOuterProducts(at.base, at.panel, columns, added, total, tiles, at.out),
  );
  expectSame(sides, ["product"], (f, at) =>
    f.multiply(at.panel, columns, tiles, at.long, at.product),
  );
  expectSame(sides, ["transposed"], (f, at) =>
    f.multiplyTransposed(at.panel, columns, tiles, at.short, at.transposed),
  );
}

/** Factorises `out` on both sides and solves by what came out; returns the smallest pivot. */
function runSolution(sides: readonly Side[], tiles: number): number {
  const pivot = expectSame(sides, [], (f, at) => f.factorize(at.out, tiles, at.factor, at.inverse));
  if (pivot === 0) return 0;
  clearAboveDiagonal(sides, TILE * tiles);
  expectSame(sides, ["factor", "inverse"], () => undefined);
  expectSame(sides, ["x"], (f, at) => f.solve(at.factor, at.inverse, tiles, at.x));
  return pivot;
}

const SIZES = Array.from({ length: 40 }, (_, i) => i + 1);

describe("the plain loops have the bits of the WebAssembly ones", () => {
  it.each(SIZES)("%i tiles along the side", (tiles) => {
    const columns = 2 * TILE * tiles;
    const sides = createBoth(tiles, columns);
    runProducts(sides, tiles, columns);
    // A positive definite matrix in place of what the base was.
    for (const { arrays } of sides) arrays.base.fill(0);
    expectSame(sides, ["out"], (f, at) =>
      f.addOuterProducts(at.base, at.panel, columns, columns, columns, tiles, at.out),
    );
    expect(runSolution(sides, tiles)).toBeGreaterThan(0);
  });

  it.each([1, 2, 4, 7, 12, 23, 39])(
    "matrices that are not positive definite: %i tiles",
    (tiles) => {
      const sides = createBoth(tiles, 8);
      for (const bad of [0, -0, -1, -1e-300, Number.NaN, Number.NEGATIVE_INFINITY]) {
        for (let at = 0; at < TILE * tiles; at += 1 + (at >> 2)) {
          for (const { arrays } of sides) {
            arrays.out.fill(0);
            for (let n = 0; n < TILE * tiles; n++) arrays.out[tiledPlace(n, n)] = n + 2;
            arrays.out[tiledPlace(at, at)] = bad;
          }
          expect(runSolution(sides, tiles)).toBe(0);
        }
      }
    },
  );

  it.each([
    ["NaN", [Number.NaN]],
    ["infinities", [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ["zeros of both signs, the least and the greatest", [0, -0, 5e-324, -1e-310, 1.7e308]],
  ] as const)("panels, vectors and factors with %s", (_, odd) => {
    for (const tiles of [1, 2, 4, 7, 12, 23]) {
      const sides = createBoth(tiles, 64, odd);
      runProducts(sides, tiles, 64);
      // By any numbers in place of a factor, and by what the sums' factor is, if they have one.
      expectSame(sides, ["x"], (f, at) => f.solve(at.factor, at.inverse, tiles, at.x));
      runSolution(sides, tiles);
    }
  });
});

describe("the engine of a memory", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("is WebAssembly where there is one", () => {
    expect(createTileMemory({ x: 4 }).engine).toBe("webassembly");
  });

  it("is plain TypeScript where there is none, or an error if WebAssembly is asked for", () => {
    vi.stubGlobal("WebAssembly", undefined);
    const { engine, arrays } = createTileMemory({ x: 4, y: 9 });
    expect(engine).toBe("plain");
    expect([arrays.x.length, arrays.y.length, arrays.y.byteOffset]).toEqual([4, 9, 64]);
    expect(() => createTileMemory({ x: 4 }, "webassembly")).toThrow(TypeError);
  });
});
