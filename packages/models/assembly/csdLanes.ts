/** The iteration of CSD with a voxel in each lane; what csd.ts says holds here as well. */
import { COLUMN, TILE_BYTES, Tile, VECTOR } from "./csdTiles";

/** Sums that run side by side, so that none waits for itself: with what they need, as many as there are registers for. */
export const SUMS: usize = 6;

// biome-ignore lint/complexity/noStaticOnlyClass: a decorator, and so @inline, may only stand on a method.
export class Lanes {
  @inline static sumMoments(
    base: usize,
    table: usize,
    directions: usize,
    list: usize,
    added: usize,
    total: usize,
    blocks: usize,
    out: usize,
  ): void {
    const height = SUMS * VECTOR;
    const middle = list + added * sizeof<u32>();
    const end = list + total * sizeof<u32>();
    for (const stop = out + blocks * height; out < stop; out += height) {
      let sum0 = v128.load(base);
      let sum1 = v128.load(base, VECTOR);
      let sum2 = v128.load(base, 2 * VECTOR);
      let sum3 = v128.load(base, 3 * VECTOR);
      let sum4 = v128.load(base, 4 * VECTOR);
      let sum5 = v128.load(base, 5 * VECTOR);
      let place = list;
      for (; place < middle; place += sizeof<u32>()) {
        const row = table + load<u32>(place) * height;
        sum0 = f64x2.add(sum0, v128.load(row));
        sum1 = f64x2.add(sum1, v128.load(row, VECTOR));
        sum2 = f64x2.add(sum2, v128.load(row, 2 * VECTOR));
        sum3 = f64x2.add(sum3, v128.load(row, 3 * VECTOR));
        sum4 = f64x2.add(sum4, v128.load(row, 4 * VECTOR));
        sum5 = f64x2.add(sum5, v128.load(row, 5 * VECTOR));
      }
      for (; place < end; place += sizeof<u32>()) {
        const row = table + load<u32>(place) * height;
        sum0 = f64x2.sub(sum0, v128.load(row));
        sum1 = f64x2.sub(sum1, v128.load(row, VECTOR));
        sum2 = f64x2.sub(sum2, v128.load(row, 2 * VECTOR));
        sum3 = f64x2.sub(sum3, v128.load(row, 3 * VECTOR));
        sum4 = f64x2.sub(sum4, v128.load(row, 4 * VECTOR));
        sum5 = f64x2.sub(sum5, v128.load(row, 5 * VECTOR));
      }
      v128.store(out, sum0);
      v128.store(out, sum1, VECTOR);
      v128.store(out, sum2, 2 * VECTOR);
      v128.store(out, sum3, 3 * VECTOR);
      v128.store(out, sum4, 4 * VECTOR);
      v128.store(out, sum5, 5 * VECTOR);
      base += height;
      table += directions * height;
    }
  }

  @inline static factorize<T>(
    normal: usize,
    places: usize,
    moments: usize,
    tiles: usize,
    z: usize,
    factor: usize,
    inverse: usize,
    y: usize,
  ): i32 {
    let good = v128.eq<u8>(i8x16.splat(0), i8x16.splat(0));
    let row = factor;
    for (let i: usize = 0; i < tiles; i++) {
      let tile = row;
      let scale = inverse;
      let column: usize = 0;
      for (; column + 1 < 3 * i; column += 2) {
        const first = Tile.rowStart(factor, column);
        const second = Tile.rowStart(factor, column + 1);
        Tile.columns<T>(normal, places, moments, row, first, second, scale, tile);
        normal += 6 * sizeof<T>();
        places += 6 * sizeof<u32>();
        tile += 2 * COLUMN;
        scale += 2 * VECTOR;
      }
      if (column < 3 * i) {
        const other = Tile.rowStart(factor, column);
        Tile.column<T>(normal, places, moments, row, other, scale, tile);
        normal += 3 * sizeof<T>();
        places += 3 * sizeof<u32>();
        tile += COLUMN;
        scale += VECTOR;
      }
      good = v128.and(good, Tile.corner<T>(normal, places, moments, row, z, tile, scale, y));
      normal += 9 * sizeof<T>();
      places += 9 * sizeof<u32>();
      row = tile + TILE_BYTES;
      z += COLUMN;
    }
    return sizeof<T>() === 8 ? i64x2.bitmask(good) : i32x4.bitmask(good);
  }

  @inline static solve<T>(factor: usize, inverse: usize, tiles: usize, x: usize): void {
    let row = factor + ((tiles * (tiles + 1)) / 2) * TILE_BYTES;
    let own = x + tiles * COLUMN;
    inverse += tiles * COLUMN;
    for (; tiles > 0; tiles--) {
      row -= tiles * TILE_BYTES;
      own -= COLUMN;
      inverse -= COLUMN;
      const corner = row + (tiles - 1) * TILE_BYTES;
      const x2 = v128.mul<T>(v128.load(own, 2 * VECTOR), v128.load(inverse, 2 * VECTOR));
      const entry21 = v128.load(corner, COLUMN + 2 * VECTOR);
      const rest1 = v128.sub<T>(v128.load(own, VECTOR), v128.mul<T>(entry21, x2));
      const x1 = v128.mul<T>(rest1, v128.load(inverse, VECTOR));
      const entry20 = v128.load(corner, 2 * VECTOR);
      let rest0 = v128.sub<T>(v128.load(own), v128.mul<T>(entry20, x2));
      rest0 = v128.sub<T>(rest0, v128.mul<T>(v128.load(corner, VECTOR), x1));
      const x0 = v128.mul<T>(rest0, v128.load(inverse));
      v128.store(own, x0);
      v128.store(own, x1, VECTOR);
      v128.store(own, x2, 2 * VECTOR);
      let column = row;
      for (let place = x; place < own; place += VECTOR) {
        let share = v128.mul<T>(v128.load(column), x0);
        share = v128.add<T>(share, v128.mul<T>(v128.load(column, VECTOR), x1));
        share = v128.add<T>(share, v128.mul<T>(v128.load(column, 2 * VECTOR), x2));
        v128.store(place, v128.sub<T>(v128.load(place), share));
        column += COLUMN;
      }
    }
  }

  @inline static evaluate<T>(
    rows: usize,
    blocks: usize,
    count: usize,
    x: usize,
    thresholds: usize,
    small: usize,
  ): i32 {
    const end = x + count * VECTOR;
    const threshold = v128.load(thresholds);
    const margin = v128.load(thresholds, VECTOR);
    let near = i32x4.splat(0);
    for (const stop = small + blocks * SUMS; small < stop; small += SUMS) {
      let sum0 = v128.splat<T>(0);
      let sum1 = v128.splat<T>(0);
      let sum2 = v128.splat<T>(0);
      let sum3 = v128.splat<T>(0);
      let sum4 = v128.splat<T>(0);
      let sum5 = v128.splat<T>(0);
      for (let place = x; place < end; place += VECTOR) {
        const factor = v128.load(place);
        sum0 = v128.add<T>(sum0, v128.mul<T>(v128.load_splat<T>(rows), factor));
        sum1 = v128.add<T>(sum1, v128.mul<T>(v128.load_splat<T>(rows, sizeof<T>()), factor));
        sum2 = v128.add<T>(sum2, v128.mul<T>(v128.load_splat<T>(rows, 2 * sizeof<T>()), factor));
        sum3 = v128.add<T>(sum3, v128.mul<T>(v128.load_splat<T>(rows, 3 * sizeof<T>()), factor));
        sum4 = v128.add<T>(sum4, v128.mul<T>(v128.load_splat<T>(rows, 4 * sizeof<T>()), factor));
        sum5 = v128.add<T>(sum5, v128.mul<T>(v128.load_splat<T>(rows, 5 * sizeof<T>()), factor));
        rows += SUMS * sizeof<T>();
      }
      if (sizeof<T>() === 4) {
        near = v128.or(near, Lanes.near<T>(sum0, threshold, margin));
        near = v128.or(near, Lanes.near<T>(sum1, threshold, margin));
        near = v128.or(near, Lanes.near<T>(sum2, threshold, margin));
        near = v128.or(near, Lanes.near<T>(sum3, threshold, margin));
        near = v128.or(near, Lanes.near<T>(sum4, threshold, margin));
        near = v128.or(near, Lanes.near<T>(sum5, threshold, margin));
      }
      store<u8>(small, Lanes.below<T>(sum0, threshold));
      store<u8>(small, Lanes.below<T>(sum1, threshold), 1);
      store<u8>(small, Lanes.below<T>(sum2, threshold), 2);
      store<u8>(small, Lanes.below<T>(sum3, threshold), 3);
      store<u8>(small, Lanes.below<T>(sum4, threshold), 4);
      store<u8>(small, Lanes.below<T>(sum5, threshold), 5);
    }
    return sizeof<T>() === 4 ? i32x4.bitmask(near) : 0;
  }

  /** All ones in the lanes where the value is so close to the limit that rounding may have it on the wrong side. */
  @inline static near<T>(value: v128, limit: v128, margin: v128): v128 {
    return v128.lt<T>(v128.abs<T>(v128.sub<T>(value, limit)), margin);
  }

  /** A bit for each lane in which the value is below the limit. */
  @inline static below<T>(value: v128, limit: v128): u8 {
    const mask = v128.lt<T>(value, limit);
    return <u8>(sizeof<T>() === 8 ? i64x2.bitmask(mask) : i32x4.bitmask(mask));
  }
}
