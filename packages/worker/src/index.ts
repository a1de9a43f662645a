export * from "./agent.ts";
export { chunksPerFrame, memoryNeeded } from "./agentJob.ts";
export { boardBytes, ChunkBoard } from "./chunkBoard.ts";
export * from "./hostLimits.ts";
export type { ThreadJob } from "./threadMessages.ts";
export * from "./threadPool.ts";
