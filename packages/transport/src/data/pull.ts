/** A block that is being got. */
export interface BlockPull {
  readonly job: string;
  readonly block: number;
  /** Of the whole block. */
  readonly bytes: number;
  /** The byte up to which it is here. */
  offset: number;
  onPiece(offset: number, piece: Uint8Array): void;
}

/** A block cannot be had from that worker. */
export class PullError extends Error {
  readonly code = "PULL";
  override readonly name = "PullError";
  /** It answered, and does not have it. */
  readonly isAbsent: boolean;

  constructor(message: string, isAbsent: boolean) {
    super(message);
    this.isAbsent = isAbsent;
  }
}

/** The connection broke, or there is none; another may do better unless it `isFinal`. */
export class BrokenPull extends Error {
  readonly code = "PULL_BROKEN";
  override readonly name = "BrokenPull";
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean) {
    super(message);
    this.isFinal = isFinal;
  }
}
