/** Diffusion-MRI models and their data. */
export * from "./csd.ts";
export * from "./dti.ts";
export * from "./freewater.ts";
export * from "./io/index.ts";
export * from "./kernelEngine.ts";
export * from "./kernelHash.ts";
export { HEMISPHERE181 } from "./kernels/sphere.ts";
export * from "./model.ts";
export * from "./phantom/index.ts";
