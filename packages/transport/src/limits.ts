/** Every limit of the wire, with its unit. */

/** Bulk data travels in pieces of this size, so that a control message never waits behind more than a few. */
export const bulkFrameBytes = 1 << 20;

/** A message larger than this closes its connection. */
export const messageBytesLimit = 24 << 20;

/** A sender of bulk data waits while more than this is unsent on its connection. */
export const unsentBytesHighWater = 4 << 20;

/** A sender of bulk data waits while its peer has not acknowledged more than this. */
export const retainedBytesHighWater = 16 << 20;

/** What a frame takes in memory beside its bytes while it waits for its acknowledgement. */
export const retainedFrameOverheadBytes = 256;

/** What came is acknowledged after this long at the latest, and with whatever is said before. */
export const ackDelayMs = 250;

/** A connection is pinged this often. When a peer is given up: `defaultDetectorLimits` in core. */
export const pingIntervalMs = 2_000;

/** A goodbye that is not answered is not waited for longer than this. */
export const goodbyeTimeoutMs = 1_000;

/** A broken connection is dialled again at once, then after this long, doubled each time... */
export const redialDelayMs = 50;

/** ...up to this, so that some tries fit into the time that a session has to come back. */
export const redialDelayLimitMs = 500;

/** A handshake (challenge, proof, upgrade) must end within this. */
export const handshakeTimeoutMs = 5_000;

/** A challenge is good for one proof within this time. */
export const challengeLifetimeMs = 10_000;

/** Connections that a head has open at once. */
export const connectionsLimit = 8_192;

/** A driver may have this many fits open on one connection. */
export const fitsPerClientLimit = 16;

/** A worker has at most this much of its results under way to the driver... */
export const resultWindowBytes = 8 << 20;

/** ...and all workers of a fit together about this much: a driver that reads slowly must not be drowned. */
export const resultWindowsBytes = 256 << 20;

/** A worker asks for at most this many blocks of signals at once. */
export const wantedBlocksLimit = 4;
