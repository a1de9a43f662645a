/**
 * How the numbers of a tensor model's voxel lie in memory, and the functions on them.
 *
 * Samples come in pairs, for two are calculated at a time: an array over the samples has `places` numbers, an
 * even count, of which the last is padding where the samples are odd in number. A panel of k columns holds, pair
 * of samples after pair, each column's two numbers. The design's panel has seven columns: the six tensor
 * elements, then 1 for a sample and 0 for padding. The products' panel is two: one of the first eight, one of
 * the other seven. Padding is 0 in both panels, so that it adds nothing, whatever its sample.
 *
 * A sum over the samples is that of the even places, in order, plus that of the odd ones.
 */

/** Columns of the design: six tensor elements and the constant. */
export const DESIGN_COLUMNS = 7;
/** Products of four direction components, of which all products of two columns are made. */
export const PRODUCTS = 15;
/** Products in the first of their two panels. */
export const FIRST_PRODUCTS = 8;

/** Samples with padding: an even number. */
export function placesFor(samples: number): number {
  return 2 * Math.ceil(samples / 2);
}

/** Where a sample's number stands in a panel of so many columns. */
export function pairPlace(sample: number, column: number, columns: number): number {
  return 2 * ((sample >> 1) * columns + column) + (sample & 1);
}

/** The functions on arrays of one memory; arrays are given by their byteOffset, `table` is that of ELEMENTARY_TABLE. */
export interface TensorFunctions {
  /** samples = ln max(samples, floor), for finite samples. */
  takeLogs(samples: number, floor: number, places: number, table: number): void;
  /** sums = a panel of seven columns times the values: 7 numbers. */
  sumColumns(columns: number, values: number, places: number, sums: number): void;
  /** sums = the products' panels times the weights: 15 numbers. */
  sumProducts(products: number, weights: number, places: number, sums: number): void;
  /**
   * For a solution (six tensor elements, the constant): weights = e^(2 x exponent), where the exponent is the
   * prediction without the constant; residuals = logs - prediction; pulls = weights x residuals.
   */
  weighByPrediction(
    design: number,
    solution: number,
    logs: number,
    places: number,
    weights: number,
    residuals: number,
    pulls: number,
    table: number,
  ): void;
}
