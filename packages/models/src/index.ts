export * from "./io/dwi.ts";
export * from "./model.ts";
