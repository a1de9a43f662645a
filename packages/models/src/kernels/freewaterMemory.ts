/** The memory of a free-water kernel. */
import { exp } from "./elementary.ts";
import type { FreeWaterFunctions } from "./freewaterLayout.ts";
import { createPlainFreeWater } from "./freewaterPlain.ts";
import type { KernelEngine } from "./kernelMemory.ts";
import type { TensorDesign } from "./tensor.ts";
import { DESIGN_COLUMNS, PRODUCTS, placesFor } from "./tensorLayout.ts";
import { createTensorMemory, type TensorMemory } from "./tensorMemory.ts";

/** Diffusivity of free water at body temperature, mm²/s. */
export const WATER_DIFFUSIVITY = 3e-3;

export type FreeWaterMemory = TensorMemory<keyof ReturnType<typeof lengthsOf>, FreeWaterFunctions>;

/** A memory for one voxel at a time, with the decay of free water in `water`; the caller fills `samples`. */
export function createFreeWaterMemory(
  design: TensorDesign,
  engine?: KernelEngine,
): FreeWaterMemory {
  const lengths = lengthsOf(placesFor(design.samples));
  const memory = createTensorMemory(design, lengths, createPlainFreeWater, engine);
  design.scaledB.forEach((b, i) => {
    memory.arrays.water[i] = exp(-(b / design.unit) * WATER_DIFFUSIVITY);
  });
  return memory;
}

const lengthsOf = (places: number) => ({
  samples: places,
  water: places,
  /** Samples over the mean b0 signal. */
  signal: places,
  tissue: places,
  /** Weights of the linear fit, curvatures of the search. */
  weights: places,
  pulls: places,
  mixed: places,
  /** Six elements of a scaled tensor, and ln of the tissue's S0. */
  trial: DESIGN_COLUMNS,
  productSums: PRODUCTS,
  weightSums: DESIGN_COLUMNS,
  pullSums: DESIGN_COLUMNS,
  mixedSums: DESIGN_COLUMNS,
  decaySums: 3,
});
