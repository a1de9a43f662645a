export * from "./client.ts";
export * from "./connection.ts";
export * from "./frame.ts";
export * from "./joinString.ts";
export * from "./limits.ts";
export * from "./messages.ts";
export { protocolVersion, type Role } from "./proof.ts";
export * from "./server.ts";
