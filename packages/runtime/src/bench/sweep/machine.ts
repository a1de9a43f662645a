/** Where a sweep ran. */
import { cpus, release, totalmem, type } from "node:os";
import { kernelHash } from "@fascicle/models";
import { physicalCores, usableCores } from "@fascicle/worker";
import { version } from "../../version.ts";

export interface Machine {
  readonly processor: string;
  /** Processors that the system shows: hardware threads. */
  readonly logicalCores: number;
  /** Hardware threads of one core counted once; in a virtual machine, what that tells. */
  readonly physicalCores: number;
  /** What this process may use of them. */
  readonly usableCores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly version: string;
  /** Hash of the kernels' code. */
  readonly kernels: string;
}

export function thisMachine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? "unknown",
    logicalCores: processors.length,
    physicalCores: physicalCores(),
    usableCores: usableCores(),
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
    version,
    kernels: kernelHash(),
  };
}
