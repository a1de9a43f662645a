/** CSD's matrices of lanes, a tile of 3 x 3 at a time; what csd.ts says holds here as well. */

/** Bytes of a vector: a number of each voxel. */
export const VECTOR: usize = 16;
export const COLUMN: usize = 3 * VECTOR;
export const TILE_BYTES: usize = 3 * COLUMN;

// biome-ignore lint/complexity/noStaticOnlyClass: a decorator, and so @inline, may only stand on a method.
export class Tile {
  /** The entry of the matrix at the given places. */
  @inline static entry<T>(normal: v128, place: u32, moments: usize): v128 {
    return v128.add<T>(normal, v128.load(moments + place));
  }

  /** Where the given row of a factor begins; its entries are a column apart. */
  @inline static rowStart(factor: usize, row: usize): usize {
    const i = row / 3;
    return factor + ((i * (i + 1)) / 2) * TILE_BYTES + (row % 3) * VECTOR;
  }

  /**
   * Two columns of the three rows of tiles at `row`: those that come to stand at `tile`, over the factor's
   * rows at `first` and `second`; `scale` holds 1 over the diagonal. No more columns at a time: with nine
   * sums the processor has not the registers for what they need, and one of them would wait for memory.
   */
  @inline static columns<T>(
    normal: usize,
    places: usize,
    moments: usize,
    row: usize,
    first: usize,
    second: usize,
    scale: usize,
    tile: usize,
  ): void {
    const size = sizeof<T>();
    let sum00 = Tile.entry<T>(v128.load_splat<T>(normal), load<u32>(places), moments);
    let sum10 = Tile.entry<T>(v128.load_splat<T>(normal, size), load<u32>(places, 4), moments);
    let sum20 = Tile.entry<T>(v128.load_splat<T>(normal, 2 * size), load<u32>(places, 8), moments);
    let sum01 = Tile.entry<T>(v128.load_splat<T>(normal, 3 * size), load<u32>(places, 12), moments);
    let sum11 = Tile.entry<T>(v128.load_splat<T>(normal, 4 * size), load<u32>(places, 16), moments);
    let sum21 = Tile.entry<T>(v128.load_splat<T>(normal, 5 * size), load<u32>(places, 20), moments);
    while (row < tile) {
      const entry0 = v128.load(row);
      const entry1 = v128.load(row, VECTOR);
      const entry2 = v128.load(row, 2 * VECTOR);
      const factor0 = v128.load(first);
      sum00 = v128.sub<T>(sum00, v128.mul<T>(entry0, factor0));
      sum10 = v128.sub<T>(sum10, v128.mul<T>(entry1, factor0));
      sum20 = v128.sub<T>(sum20, v128.mul<T>(entry2, factor0));
      const factor1 = v128.load(second);
      sum01 = v128.sub<T>(sum01, v128.mul<T>(entry0, factor1));
      sum11 = v128.sub<T>(sum11, v128.mul<T>(entry1, factor1));
      sum21 = v128.sub<T>(sum21, v128.mul<T>(entry2, factor1));
      row += COLUMN;
      first += COLUMN;
      second += COLUMN;
    }
    const scale0 = v128.load(scale);
    sum00 = v128.mul<T>(sum00, scale0);
    sum10 = v128.mul<T>(sum10, scale0);
    sum20 = v128.mul<T>(sum20, scale0);
    v128.store(tile, sum00);
    v128.store(tile, sum10, VECTOR);
    v128.store(tile, sum20, 2 * VECTOR);
    const entry = v128.load(second);
    const scale1 = v128.load(scale, VECTOR);
    sum01 = v128.mul<T>(v128.sub<T>(sum01, v128.mul<T>(sum00, entry)), scale1);
    sum11 = v128.mul<T>(v128.sub<T>(sum11, v128.mul<T>(sum10, entry)), scale1);
    sum21 = v128.mul<T>(v128.sub<T>(sum21, v128.mul<T>(sum20, entry)), scale1);
    v128.store(tile, sum01, COLUMN);
    v128.store(tile, sum11, COLUMN + VECTOR);
    v128.store(tile, sum21, COLUMN + 2 * VECTOR);
  }

  /** One column of the three rows of tiles at `row`. */
  @inline static column<T>(
    normal: usize,
    places: usize,
    moments: usize,
    row: usize,
    other: usize,
    scale: usize,
    tile: usize,
  ): void {
    const size = sizeof<T>();
    let sum0 = Tile.entry<T>(v128.load_splat<T>(normal), load<u32>(places), moments);
    let sum1 = Tile.entry<T>(v128.load_splat<T>(normal, size), load<u32>(places, 4), moments);
    let sum2 = Tile.entry<T>(v128.load_splat<T>(normal, 2 * size), load<u32>(places, 8), moments);
    while (row < tile) {
      const factor = v128.load(other);
      sum0 = v128.sub<T>(sum0, v128.mul<T>(v128.load(row), factor));
      sum1 = v128.sub<T>(sum1, v128.mul<T>(v128.load(row, VECTOR), factor));
      sum2 = v128.sub<T>(sum2, v128.mul<T>(v128.load(row, 2 * VECTOR), factor));
      row += COLUMN;
      other += COLUMN;
    }
    const scale0 = v128.load(scale);
    v128.store(tile, v128.mul<T>(sum0, scale0));
    v128.store(tile, v128.mul<T>(sum1, scale0), VECTOR);
    v128.store(tile, v128.mul<T>(sum2, scale0), 2 * VECTOR);
  }

  /** The diagonal tile at the end of `row`, 1 over its diagonal, and its three of y; all ones in the lanes whose pivots are above 0. */
  @inline static corner<T>(
    normal: usize,
    places: usize,
    moments: usize,
    row: usize,
    z: usize,
    tile: usize,
    inverse: usize,
    y: usize,
  ): v128 {
    const size = sizeof<T>();
    let sum00 = Tile.entry<T>(v128.load_splat<T>(normal), load<u32>(places), moments);
    let sum10 = Tile.entry<T>(v128.load_splat<T>(normal, size), load<u32>(places, 4), moments);
    let sum20 = Tile.entry<T>(v128.load_splat<T>(normal, 2 * size), load<u32>(places, 8), moments);
    let sum11 = Tile.entry<T>(v128.load_splat<T>(normal, 4 * size), load<u32>(places, 16), moments);
    let sum21 = Tile.entry<T>(v128.load_splat<T>(normal, 5 * size), load<u32>(places, 20), moments);
    let sum22 = Tile.entry<T>(v128.load_splat<T>(normal, 8 * size), load<u32>(places, 32), moments);
    let rest0 = v128.load(z);
    let rest1 = v128.load(z, VECTOR);
    let rest2 = v128.load(z, 2 * VECTOR);
    while (row < tile) {
      const entry0 = v128.load(row);
      const entry1 = v128.load(row, VECTOR);
      const entry2 = v128.load(row, 2 * VECTOR);
      const known = v128.load(y);
      sum00 = v128.sub<T>(sum00, v128.mul<T>(entry0, entry0));
      sum10 = v128.sub<T>(sum10, v128.mul<T>(entry1, entry0));
      sum20 = v128.sub<T>(sum20, v128.mul<T>(entry2, entry0));
      sum11 = v128.sub<T>(sum11, v128.mul<T>(entry1, entry1));
      sum21 = v128.sub<T>(sum21, v128.mul<T>(entry2, entry1));
      sum22 = v128.sub<T>(sum22, v128.mul<T>(entry2, entry2));
      rest0 = v128.sub<T>(rest0, v128.mul<T>(entry0, known));
      rest1 = v128.sub<T>(rest1, v128.mul<T>(entry1, known));
      rest2 = v128.sub<T>(rest2, v128.mul<T>(entry2, known));
      row += COLUMN;
      y += VECTOR;
    }
    const zero = v128.splat<T>(0);
    const one = v128.splat<T>(1);
    const scale0 = v128.div<T>(one, v128.sqrt<T>(sum00));
    const entry10 = v128.mul<T>(sum10, scale0);
    const entry20 = v128.mul<T>(sum20, scale0);
    const pivot1 = v128.sub<T>(sum11, v128.mul<T>(entry10, entry10));
    const scale1 = v128.div<T>(one, v128.sqrt<T>(pivot1));
    const entry21 = v128.mul<T>(v128.sub<T>(sum21, v128.mul<T>(entry20, entry10)), scale1);
    let pivot2 = v128.sub<T>(sum22, v128.mul<T>(entry20, entry20));
    pivot2 = v128.sub<T>(pivot2, v128.mul<T>(entry21, entry21));
    const scale2 = v128.div<T>(one, v128.sqrt<T>(pivot2));
    v128.store(inverse, scale0);
    v128.store(inverse, scale1, VECTOR);
    v128.store(inverse, scale2, 2 * VECTOR);
    v128.store(tile, entry10, VECTOR);
    v128.store(tile, entry20, 2 * VECTOR);
    v128.store(tile, entry21, COLUMN + 2 * VECTOR);
    const y0 = v128.mul<T>(rest0, scale0);
    const y1 = v128.mul<T>(v128.sub<T>(rest1, v128.mul<T>(entry10, y0)), scale1);
    rest2 = v128.sub<T>(rest2, v128.mul<T>(entry20, y0));
    const y2 = v128.mul<T>(v128.sub<T>(rest2, v128.mul<T>(entry21, y1)), scale2);
    v128.store(y, y0);
    v128.store(y, y1, VECTOR);
    v128.store(y, y2, 2 * VECTOR);
    // NaN is not above 0 either.
    const isGood = v128.and(v128.gt<T>(sum00, zero), v128.gt<T>(pivot1, zero));
    return v128.and(isGood, v128.gt<T>(pivot2, zero));
  }
}
