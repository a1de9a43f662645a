export * from "./agent.ts";
export { boardBytes, ChunkBoard } from "./chunkBoard.ts";
export * from "./hostLimits.ts";
export type { ThreadJob } from "./threadMessages.ts";
export * from "./threadPool.ts";
