export * from "./owner.ts";
export * from "./slabs.ts";
