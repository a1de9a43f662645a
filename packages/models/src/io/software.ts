/** Name and version as they stand in written files. */
import { readFileSync } from "node:fs";

const manifest: unknown = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
);

export const software = "Fascicle";
export const version = (manifest as { version: string }).version;
export const softwareName = `${software} ${version}`;
