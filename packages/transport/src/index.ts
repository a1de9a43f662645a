export * from "./client.ts";
export {
  type DataAddress,
  DataClient,
  type DataClientOptions,
  type WantedBlock,
} from "./data/client.ts";
export { PullError } from "./data/pull.ts";
export { DataServer, type DataServerOptions, type OpenBlock } from "./data/server.ts";
export * from "./frame.ts";
export { ConnectError } from "./handshake.ts";
export * from "./joinString.ts";
export * from "./limits.ts";
export * from "./messages.ts";
export { protocolVersions, type Role } from "./proof.ts";
export * from "./server.ts";
export { headStopsReason, Session, type SessionHandlers } from "./session.ts";
