/** Where the kernels live that this installation runs. */

/** The modules that a joined worker loads on a driver's word, and no others. */
export const kernelModules: ReadonlyMap<string, string> = new Map([
  ["@fascicle/models/kernels", import.meta.resolve("@fascicle/models/kernels")],
]);

/** The modules that read the volumes which a worker shares with a driver. */
export const volumeModules: ReadonlyMap<string, string> = new Map([
  ["@fascicle/models/volumes", import.meta.resolve("@fascicle/models/volumes")],
]);

/** URL of a kernel module; a module of the caller's own (a file URL) runs on the embedded engines. */
export function kernelModuleUrl(module: string): string {
  return kernelModules.get(module) ?? module;
}
