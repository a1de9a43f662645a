/** What a person is told when objects cannot be kept on disk. */

/** Objects could not be written to disk, or read from it; or there is no room for them and there will be none. */
export class SpillError extends Error {
  readonly code: string = "SPILL";
  override readonly name: string = "SpillError";

  /** The system's own word for it, where there is one: "ENOSPC" and the like. */
  readonly reason: string | undefined;

  constructor(
    message: string,
    options: { readonly cause?: unknown; readonly reason?: string } = {},
  ) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
  }

  /** `path` is what the system refused, `doing` what was tried: "write objects to". */
  static of(error: unknown, doing: string, path: string): SpillError {
    if (error instanceof SpillError) return error;
    const { code, message } = error as NodeJS.ErrnoException;
    const why = reasons[code ?? ""] ?? `${message}: give another directory with --spill-dir`;
    return new SpillError(`Could not ${doing} ${path}: ${why}.`, { cause: error, reason: code });
  }
}

/** Bytes on disk are not those that were written there. Nobody has seen them. */
export class SpillDamageError extends SpillError {
  override readonly code = "SPILL_DAMAGED";
  override readonly name = "SpillDamageError";

  static ofPiece(path: string, offset: number, bytes: number, what: string): SpillDamageError {
    return new SpillDamageError(
      `The spill file ${path} ${what} (${bytes} bytes at ${offset}): something changed it or the disk is failing; check the disk, or give another directory with --spill-dir, and run it again.`,
    );
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free some space, or give a directory on another disk with --spill-dir",
  EDQUOT:
    "your quota there is used up: free some space, or give a directory on another disk with --spill-dir",
  EFBIG:
    "the file system allows no file so large: give a directory on another disk with --spill-dir",
  EROFS: "the file system is read-only: give another directory with --spill-dir",
  EACCES:
    "you may not write there: change its permissions, or give another directory with --spill-dir",
  EPERM:
    "you may not write there: change its permissions, or give another directory with --spill-dir",
  EIO: "the disk reports an error: check it, or give a directory on another disk with --spill-dir",
  ENOENT:
    "it was removed meanwhile: run it again, with a directory that nobody empties (--spill-dir)",
  ENOTDIR: "that is no directory: give another with --spill-dir",
  EMFILE: "too many files are open: raise the limit (ulimit -n)",
  ENFILE: "too many files are open on this machine: end other programs here",
};
