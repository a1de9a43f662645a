/** The loops of CSD over the voxels in the lanes, in plain TypeScript, one voxel after the other. */
import {
  BLOCK_DIRECTIONS,
  type Evaluate,
  type Factorize,
  type Solve,
  TILE,
  VECTOR_BYTES,
} from "./csdFunctions.ts";

/** The numbers of a memory, in the precision of the lanes. */
type Numbers = Float64Array | Float32Array;
/** Rounds the result of an operation to that precision. */
type Round = (value: number) => number;

export interface PlainLanes {
  /** `sums` are places in `from`. */
  weave(from: Float64Array, sums: readonly number[], count: number, out: number): void;
  readonly factorize: Factorize;
  readonly solve: Solve;
  readonly evaluate: Evaluate;
}

/** `numbers` is a view of the whole buffer. */
export function createPlainLanes(buffer: ArrayBuffer, numbers: Numbers, round: Round): PlainLanes {
  const bytes = new Uint8Array(buffer);
  const words = new Uint32Array(buffer);
  const isDouble = numbers instanceof Float64Array;
  const lanes = VECTOR_BYTES / numbers.BYTES_PER_ELEMENT;
  const place = (offset: number) => offset / numbers.BYTES_PER_ELEMENT;
  return {
    weave(from, sums, count, out) {
      sums.forEach((at, lane) => {
        for (let i = 0; i < count; i++) numbers[place(out) + lanes * i + lane] = from[at + i];
      });
    },
    factorize(normal, places, moments, tiles, z, factor, inverse, y) {
      let good = 0;
      for (let lane = 0; lane < lanes; lane++) {
        const at = [factor, inverse, z, y].map((offset) => place(offset) + lane);
        const matrix = new FactorOfLane(numbers, lanes, round, at[0], at[1]);
        const moment = (i: number) => numbers[place(moments + words[places / 4 + i]) + lane];
        const entry = (i: number) => round(numbers[place(normal) + i] + moment(i));
        if (matrix.factorize(entry, tiles, at[2], at[3])) good |= 1 << lane;
      }
      return good;
    },
    solve(factor, inverse, tiles, x) {
      for (let lane = 0; lane < lanes; lane++) {
        const at = [factor, inverse, x].map((offset) => place(offset) + lane);
        new FactorOfLane(numbers, lanes, round, at[0], at[1]).solve(tiles, at[2]);
      }
    },
    evaluate(rows, blocks, count, x, thresholds, small) {
      bytes.fill(0, small, small + blocks * BLOCK_DIRECTIONS);
      let near = 0;
      for (let lane = 0; lane < lanes; lane++) {
        const threshold = numbers[place(thresholds) + lane];
        const margin = isDouble ? 0 : numbers[place(thresholds) + lanes + lane];
        for (let d = 0; d < blocks * BLOCK_DIRECTIONS; d++) {
          const block = Math.floor(d / BLOCK_DIRECTIONS);
          let row = place(rows) + block * count * BLOCK_DIRECTIONS + (d % BLOCK_DIRECTIONS);
          let sum = 0;
          for (let at = place(x) + lane, n = 0; n < count; n++, at += lanes) {
            sum = round(sum + round(numbers[row] * numbers[at]));
            row += BLOCK_DIRECTIONS;
          }
          if (sum < threshold) bytes[small + d] |= 1 << lane;
          if (Math.abs(round(sum - threshold)) < margin) near |= 1 << lane;
        }
      }
      return near;
    },
  };
}

/** The factor of one voxel; places are those of its lane. */
class FactorOfLane {
  readonly #numbers: Numbers;
  readonly #lanes: number;
  readonly #round: Round;
  readonly #factor: number;
  readonly #inverse: number;

  constructor(numbers: Numbers, lanes: number, round: Round, factor: number, inverse: number) {
    this.#numbers = numbers;
    this.#lanes = lanes;
    this.#round = round;
    this.#factor = factor;
    this.#inverse = inverse;
  }

  /** Cholesky of the matrix with the given entries, and y; false where a pivot is not above 0. */
  factorize(entry: (i: number) => number, tiles: number, z: number, y: number): boolean {
    const [numbers, lanes, round] = [this.#numbers, this.#lanes, this.#round];
    const step = TILE * lanes;
    // A factor's rows of tiles are as long as the matrix's.
    const length = ((tiles * (tiles + 1)) / 2) * TILE * TILE;
    for (let i = 0; i < length; i++) numbers[this.#factor + lanes * i] = entry(i);
    for (let row = 0; row < TILE * tiles; row++) {
      const start = this.#rowStart(row);
      for (let column = 0; column <= row; column++) {
        const other = this.#rowStart(column);
        const at = start + step * column;
        let sum = numbers[at];
        for (let k = 0; k < step * column; k += step) {
          sum = round(sum - round(numbers[start + k] * numbers[other + k]));
        }
        if (column < row) {
          numbers[at] = round(sum * numbers[this.#inverse + lanes * column]);
          continue;
        }
        // NaN is not above 0 either.
        if (!(sum > 0)) return false;
        numbers[this.#inverse + lanes * row] = round(1 / round(Math.sqrt(sum)));
      }
      let rest = numbers[z + lanes * row];
      for (let k = 0; k < row; k++) {
        rest = round(rest - round(numbers[start + step * k] * numbers[y + lanes * k]));
      }
      numbers[y + lanes * row] = round(rest * numbers[this.#inverse + lanes * row]);
    }
    return true;
  }

  /** L' x = y in place of y: three unknowns at a time, whose share is then taken from all before them. */
  solve(tiles: number, x: number): void {
    const [numbers, lanes, round] = [this.#numbers, this.#lanes, this.#round];
    const step = TILE * lanes;
    for (let last = TILE * tiles - 1; last > 0; last -= TILE) {
      const rows = [last - 2, last - 1, last];
      const [row0, row1, row2] = rows.map((row) => this.#rowStart(row));
      const [at0, at1, at2] = rows.map((row) => x + lanes * row);
      const [scale0, scale1, scale2] = rows.map((row) => numbers[this.#inverse + lanes * row]);
      const x2 = round(numbers[at2] * scale2);
      const share1 = round(numbers[row2 + step * (last - 1)] * x2);
      const x1 = round(round(numbers[at1] - share1) * scale1);
      const rest0 = round(numbers[at0] - round(numbers[row2 + step * (last - 2)] * x2));
      const share0 = round(numbers[row1 + step * (last - 2)] * x1);
      const x0 = round(round(rest0 - share0) * scale0);
      numbers[at0] = x0;
      numbers[at1] = x1;
      numbers[at2] = x2;
      for (let k = 0; k < last - 2; k++) {
        let share = round(numbers[row0 + step * k] * x0);
        share = round(share + round(numbers[row1 + step * k] * x1));
        share = round(share + round(numbers[row2 + step * k] * x2));
        numbers[x + lanes * k] = round(numbers[x + lanes * k] - share);
      }
    }
  }

  /** Where a row begins; its entries are a column apart. */
  #rowStart(row: number): number {
    const i = Math.floor(row / TILE);
    const start = ((i * (i + 1)) / 2) * TILE * TILE + (row % TILE);
    return this.#factor + start * this.#lanes;
  }
}
