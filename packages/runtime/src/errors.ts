/** What a caller may want to tell apart; the command turns `code` into its exit code. */

/** A call or its input is wrong; nothing was begun. */
export class UsageError extends Error {
  readonly code = "USAGE";
  override readonly name = "UsageError";
}

/** The work failed. */
export class FitError extends Error {
  readonly code = "FIT";
  override readonly name = "FitError";
  /** Whether what was done is worth keeping: nothing is wrong with the fit itself, so it can be resumed. */
  readonly keepsLedger: boolean;

  constructor(message: string, options: ErrorOptions & { readonly keepsLedger?: boolean } = {}) {
    super(message, options);
    this.keepsLedger = options.keepsLedger ?? false;
  }
}

/** A feature of a later version: it says so instead of doing something else. */
export class NotYetError extends Error {
  readonly code = "NOT_YET";
  override readonly name = "NotYetError";
}

/** A reason as the end of a sentence: with one full stop, whatever it came with. */
export function sentence(reason: string): string {
  return /[.!?)]$/.test(reason) ? reason : `${reason}.`;
}

/** The reason of an aborted signal, as an error. */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error
    ? signal.reason
    : new DOMException("The fit was aborted.", "AbortError");
}

const fileReasons: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist",
  ENOTDIR: "a part of its path is a file, not a directory",
  EEXIST: "a file is in its place",
  EISDIR: "it is a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "its file system is read-only",
  ENOSPC: "no space is left on its disk",
  EDQUOT: "the quota of its disk is used up",
  ENAMETOOLONG: "its name is too long",
};

/** Why a file or directory cannot be used, as words for brackets. `ENOENT` of what was to be made means `missing`. */
export function whyNotFile(error: unknown, missing = fileReasons.ENOENT): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return message;
  return code === "ENOENT" ? missing : (fileReasons[code] ?? code);
}

/** For `whyNotFile`: what is missing where a file was to be made. */
export const missingFolder = "its directory does not exist";
