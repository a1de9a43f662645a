/** Every limit of the wire, with its unit. */

/** Bulk data travels in pieces of this size, so that a control message never waits behind more than a few. */
export const bulkFrameBytes = 1 << 20;

/** A message larger than this closes its connection. */
export const messageBytesLimit = 24 << 20;

/** A sender of bulk data waits while more than this is unsent on its connection. */
export const unsentBytesHighWater = 4 << 20;

/** A connection is pinged this often... */
export const pingIntervalMs = 2_000;

/** ...and given up when nothing at all was heard of the peer for this long. */
export const silenceLimitMs = 8_000;

/** A handshake (challenge, proof, upgrade) must end within this. */
export const handshakeTimeoutMs = 5_000;

/** A challenge is good for one proof within this time. */
export const challengeLifetimeMs = 10_000;

/** Connections that a head has open at once. */
export const connectionsLimit = 8_192;

/** A peer that leaves this much of what it was sent unread is given up. */
export const unreadBytesLimit = 512 << 20;

/** A driver may have this many fits open on one connection. */
export const fitsPerClientLimit = 16;

/** A worker has at most this much of its results under way to the driver. */
export const resultWindowBytes = 8 << 20;

/** A worker asks for at most this many blocks of signals at once. */
export const wantedBlocksLimit = 4;
