export type { ChunkedModel, FittedField, FittedMaps } from "@fascicle/core";
export { VoxelStatus } from "@fascicle/core";
export {
  type ClusterStatus,
  ConnectError,
  type FitObjects,
  type HostStatus,
  JoinStringError,
  type SpillUse,
} from "@fascicle/transport";
export { Cluster, connect } from "./client/connect.ts";
export * from "./errors.ts";
export { type FitOptions, type FitResult, fitChunked } from "./fit/fitChunked.ts";
export { endLocalThreads } from "./fit/local.ts";
export type { FitProgress } from "./fit/progress.ts";
export type { CommandSeconds, EngineName, Receipt } from "./fit/receipt.ts";
export { Scratch, type ScratchOptions, type ScratchUse } from "./fit/scratch.ts";
export { type BuildReportOptions, buildReport, renderReport } from "./report/index.ts";
