/** The hot loops in WebAssembly, which scripts/build.mjs compiles from packages/models/assembly into one module. */
import { KERNELS_WASM } from "./kernelsWasm.generated.ts";

/** What this module needs of the engine's WebAssembly, which TypeScript only declares with the DOM. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
  Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

const PAGE_BYTES = 65536;

let compiled: object | undefined;

/**
 * A new memory of at least so many bytes, all 0, and the module's functions on it. Throws what the engine
 * throws where it has no WebAssembly, no SIMD in it, or no address space for one more memory.
 */
export function createWasmMemory<Functions>(bytes: number): {
  functions: Functions;
  buffer: ArrayBuffer;
} {
  compiled ??= new WebAssembly.Module(Buffer.from(KERNELS_WASM, "base64"));
  const pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return { functions: exports as Functions, buffer: memory.buffer };
}
