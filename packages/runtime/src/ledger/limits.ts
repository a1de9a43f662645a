/** Every limit of ledgers and journals, with its unit. */

/** A longer record is not written, and one that claims to be longer is damage. */
export const recordBytesLimit = 512 << 20;

/** Records that come within this time share one write and one sync. */
export const defaultBatchMs = 100;

/** The journal of a head is not rewritten below this size... */
export const compactionBytesMinimum = 1 << 20;

/** ...and above it when it has this many times the bytes that its live jobs need. */
export const compactionFactor = 2;

/** A ledger of a fit writes what was settled this often at most... */
export const ledgerIntervalMs = 1_000;

/** ...and rests this many times as long as it has cost a thread, so that no fit is slowed by more than a twentieth of one... */
export const ledgerRestFactor = 20;

/** ...reckoned from the bytes, as a busy machine's clock says nothing of it: about twice what checksum and write took where we measured... */
export const ledgerCostMsPerMiB = 3;

/** ...but never longer than this: so much of a fit is lost at most. */
export const ledgerRestMsLimit = 10_000;

/** What a fit overwrites is left alone for this long, so that whoever forgot --resume can stop and ask for it. */
export const obsoleteGraceMs = 10_000;

/** Rows go to the disk in pieces of about this size... */
export const ledgerPieceBytes = 4 << 20;

/** ...and are recorded after this many bytes at the latest. */
export const ledgerSyncBytes = 32 << 20;

/** A ledger whose process is dead is kept this long for --resume. */
export const ledgerLifetimeMs = 24 * 3600 * 1000;

/** Who holds a ledger says so this often... */
export const heartbeatMs = 15_000;

/** ...and counts as dead, where its process cannot be seen from here, after this long without a word. */
export const silentHolderMs = 120_000;

/** A claim that cannot be read is being written, unless it is older than this. */
export const unreadableClaimMs = 10_000;

/** A head touches its claim on the state directory this often... */
export const claimBeatMs = 2_000;

/** ...and counts as dead, where its process cannot be seen from here, when nothing was heard of it for this long... */
export const silentClaimMs = 7_000;

/** ...looking this often; */
export const claimLookMs = 500;

/** what is older than this by our own clock needs no look. */
export const longSilenceMs = 600_000;
