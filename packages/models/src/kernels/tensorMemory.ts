/** Memories of the tensor models: a design in panels, a model's own arrays, and the functions on them. */
import { ELEMENTARY_TABLE } from "./elementaryTable.ts";
import { createKernelMemory, type KernelEngine, type KernelMemory } from "./kernelMemory.ts";
import type { TensorDesign } from "./tensor.ts";
import {
  DESIGN_COLUMNS,
  FIRST_PRODUCTS,
  PRODUCTS,
  pairPlace,
  placesFor,
  type TensorFunctions,
} from "./tensorLayout.ts";

type DesignArray = "design" | "products" | "table";

export interface TensorMemory<Name extends string, Functions = TensorFunctions>
  extends KernelMemory<Functions, DesignArray | Name> {
  readonly places: number;
  /** Byte offsets of the arrays, as the functions take them. */
  readonly at: Readonly<Record<DesignArray | Name, number>>;
}

/** A memory with the design's panels and, all 0, arrays of the given lengths; `plain` as in createKernelMemory. */
export function createTensorMemory<Name extends string, Functions extends TensorFunctions>(
  design: TensorDesign,
  lengths: Readonly<Record<Name, number>>,
  plain: (memory: ArrayBuffer) => Functions,
  wanted?: KernelEngine,
): TensorMemory<Name, Functions> {
  const places = placesFor(design.samples);
  const all = {
    design: DESIGN_COLUMNS * places,
    products: PRODUCTS * places,
    table: ELEMENTARY_TABLE.length,
    ...lengths,
  } as Record<DesignArray | Name, number>;
  const memory = createKernelMemory(all, plain, wanted);
  const { arrays } = memory;
  arrays.table.set(ELEMENTARY_TABLE);
  fillPanels(design, arrays.design, arrays.products, places);
  const at = Object.fromEntries(
    Object.entries<Float64Array>(arrays).map(([name, array]) => [name, array.byteOffset]),
  ) as Record<DesignArray | Name, number>;
  return { ...memory, places, at };
}

function fillPanels(
  design: TensorDesign,
  panel: Float64Array,
  products: Float64Array,
  places: number,
): void {
  const first = products.subarray(0, FIRST_PRODUCTS * places);
  const rest = products.subarray(FIRST_PRODUCTS * places);
  for (let i = 0; i < design.samples; i++) {
    fillRow(panel, i, DESIGN_COLUMNS, [...design.rows.subarray(6 * i, 6 * i + 6), 1]);
    const row = design.products.subarray(PRODUCTS * i, PRODUCTS * (i + 1));
    fillRow(first, i, FIRST_PRODUCTS, row.subarray(0, FIRST_PRODUCTS));
    fillRow(rest, i, PRODUCTS - FIRST_PRODUCTS, row.subarray(FIRST_PRODUCTS));
  }
}

/** Sets a sample's numbers in a panel of so many columns. */
export function fillRow(
  panel: Float64Array,
  sample: number,
  columns: number,
  values: Iterable<number>,
): void {
  let column = 0;
  for (const value of values) panel[pairPlace(sample, column++, columns)] = value;
}
