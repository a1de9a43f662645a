/** Limits of workspaces, with their units. */

/** The owner of a workspace says so this often... */
export const workspaceHeartbeatMs = 2 * 60_000;

/** ...and one that cannot be seen from here counts as dead after this long without a word; so does one that was never finished. */
export const silentOwnerMs = 3600 * 1000;

/** More than an owner's file can hold: what is longer is none. */
export const ownerFileBytesLimit = 16 << 10;

/** A workspace whose directory is taken away while it is made is begun again so often. */
export const createAttempts = 3;

/** What is written into a workspace while it is removed is removed as well, so often. */
export const removeAttempts = 10;

/** A note of another host, who may never come back to strike it out, is kept this long. */
export const strangeNoteMs = 30 * 24 * 3600 * 1000;
