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
