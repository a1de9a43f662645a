export * from "./chunks.ts";
export * from "./head/events.ts";
export * from "./head/state.ts";
export * from "./head/step.ts";
export * from "./model.ts";
export * from "./rangeSet.ts";
