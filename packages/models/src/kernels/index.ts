/** The kernels by name: the module that threads and joined workers load. */
import type { VoxelKernel } from "../model.ts";
import { createCsdKernel } from "./csd.ts";
import { createDtiKernel } from "./dti.ts";
import { createFreeWaterKernel } from "./freewater.ts";

export { kernelHash } from "../kernelHash.ts";

/** Parameters were made by the model of the same name, in this build: the hash says so. */
const factories: Readonly<Record<string, (parameters: never) => VoxelKernel>> = {
  csd: createCsdKernel,
  dti: createDtiKernel,
  freewater: createFreeWaterKernel,
};

/** Makes a kernel's workspaces once for a thread. Throws on a name that this build does not know. */
export function createKernel(name: string, parameters: unknown): VoxelKernel {
  const factory = Object.hasOwn(factories, name) ? factories[name] : undefined;
  if (factory === undefined) {
    throw new Error(`this build of @fascicle/models has no kernel "${name}"`);
  }
  return factory(parameters as never);
}
