/** Every limit of the head's scheduler. */

/** A lease is at most this fraction of a host's fair share of what is pending... */
export const shareOfPending = 0.5;

/** ...but not less than a host fits in this time, unless its fair share is: to ask again takes time, too. */
export const leastLeaseMs = 100;

/** Chunks that were lost with this many hosts are leased alone and run carefully... */
export const carefulAfterLosses = 5;

/** ...so many at a time on one host... */
export const carefulPerHost = 4;

/** ...and those lost with this many end the job: something about them takes hosts down. */
export const lossesLimit = 30;

/** A running chunk gets a second copy when its host has settled nothing for this many times a chunk's usual time... */
export const slowAfterChunks = 3;

/** ...and for at least this long. */
export const slowAfterMs = 1_000;

/** A job that none of the hosts that are left can run is kept this long: one that could may come back... */
export const nobodyCanMs = 10_000;

/** ...and longer where something was done: its driver may be less patient. */
export const nobodyCanAnyMoreMs = 120_000;

/** A job whose driver cannot be reached is kept this long. */
export const driverGraceMs = 20_000;

/** A host on which a job ran out of memory is tried again so often... */
export const memoryRetriesLimit = 5;

/** ...after this long, twice as long each time. */
export const memoryBackoffMs = 1_000;

/** A job whose kernel fails ends when this many hosts say so, or all that could run it: one alone may be broken. */
export const kernelFailuresLimit = 2;

/** A sentence of `why` lists this many hosts or jobs. */
export const listedLimit = 10;

/** Ended jobs that `why` can still tell about. */
export const endedJobsKept = 100;
