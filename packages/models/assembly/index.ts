/** What the module exports: one module holds the hot loops of all kernels. */
export * from "./csd";
export * from "./freewater";
export * from "./tensor";
