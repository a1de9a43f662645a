/** Which engine the kernels have on this host, and what a user is told of it. */
import { type KernelEngine, usualEngine } from "./kernels/kernelMemory.ts";

export type { KernelEngine } from "./kernels/kernelMemory.ts";

let found: KernelEngine | undefined;

/** What the kernels' hot loops run on in this process: WebAssembly with SIMD, or plain JavaScript with the same bits. */
export function kernelEngine(): KernelEngine {
  found ??= usualEngine();
  return found;
}

/** A sentence for the user where the kernels are slow on this host; none where they are not. */
export function kernelWarnings(): string[] {
  if (kernelEngine() === "webassembly") return [];
  return [
    "This Node.js cannot run WebAssembly with SIMD (--jitless, or an old processor): fits on this machine run in plain JavaScript, several times slower, with the same answers.",
  ];
}
