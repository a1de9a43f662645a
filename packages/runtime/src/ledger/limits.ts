/** Every limit of ledgers and journals, with its unit. */

/** A longer record is not written, and one that claims to be longer is damage. */
export const recordBytesLimit = 512 << 20;

/** Records that come within this time share one write and one sync. */
export const defaultBatchMs = 100;

/** The journal of a head is not rewritten below this size... */
export const compactionBytesMinimum = 1 << 20;

/** ...and above it when it has this many times the bytes that its live jobs need. */
export const compactionFactor = 2;
