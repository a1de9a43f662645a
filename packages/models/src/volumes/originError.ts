/** A file that rows cannot be read from here: the message is the reason, in one sentence. */
export class OriginError extends Error {
  readonly code = "ORIGIN";
  override readonly name = "OriginError";
}
