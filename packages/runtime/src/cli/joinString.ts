/** The join string, wherever the user has put it. */
import { readFileSync } from "node:fs";
import { parseJoinString } from "@fascicle/transport";
import { UsageError, whyNotFile } from "../errors.ts";
import { requireJoinString } from "../head/discovery.ts";

/**
 * The join string given as such or in a file, else RUNTIME_JOIN, else that of the user's own head on this host.
 * Throws where there is none, or it cannot be read.
 */
export function readJoinString(text: string | undefined, file: string | undefined): string {
  if (text !== undefined && file !== undefined) {
    throw new UsageError("Give the join string or --join-file, not both.");
  }
  if (file !== undefined) {
    try {
      return readFileSync(file, "utf8").trim();
    } catch (error) {
      throw new UsageError(
        `The join file ${file} cannot be read (${whyNotFile(error)}): is the head up, and is this its --join-file?`,
      );
    }
  }
  const found = text ?? requireJoinString();
  parseJoinString(found);
  return found;
}
