/** The kernels by name: the module that threads and joined workers load. */
import type { VoxelKernel } from "../model.ts";

export { kernelHash } from "../kernelHash.ts";

type KernelFactory = (parameters: never) => VoxelKernel;

const factories: Readonly<Record<string, KernelFactory>> = {};

/** Makes a kernel's workspaces once for a thread. Throws on a name that this build does not know. */
export function createKernel(name: string, parameters: unknown): VoxelKernel {
  const factory = factories[name];
  if (factory === undefined) {
    throw new Error(`This build of @fascicle/models has no kernel "${name}".`);
  }
  return factory(parameters as never);
}
