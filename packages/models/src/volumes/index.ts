/** Volumes on a file system that hosts share: the module that a joined worker reads signals by. */
export { openRows } from "./openRows.ts";
export { OriginError } from "./originError.ts";
export type { VolumeParameters } from "./parameters.ts";
