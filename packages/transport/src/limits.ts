/** Every limit of the wire, with its unit. */

/** Bulk data travels in pieces of this size, so that a control message never waits behind more than a few. */
export const bulkFrameBytes = 1 << 20;

/** A message larger than this closes its connection. */
export const messageBytesLimit = 24 << 20;

/** Bulk data waits while more than this is unsent on its connection: what is said meanwhile goes before it. */
export const unsentBytesHighWater = 1 << 20;

/** Bulk data waits while its peer has not acknowledged more than this, wherever on the way it is. */
export const retainedBytesHighWater = 8 << 20;

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

/** Of what a door says when it refuses somebody, so many letters are read. */
export const refusalLengthLimit = 300;

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

/** A worker tells of so many fits what they have in its memory; of all of them together it tells always. */
export const listedFitsLimit = 100;

/** So many sentences say what a worker waits for. */
export const listedWaitsLimit = 10;

/** A worker serves at most this many others at once on its data port. */
export const dataConnectionsLimit = 1_024;

/** One worker asks another for at most this many blocks at once. */
export const dataPullsLimit = 8;

/** What is asked on a data port fits in this. */
export const dataRequestBytesLimit = 4_096;

/** What comes from a data port: a piece of bulk data and its header. */
export const dataPieceBytesLimit = bulkFrameBytes + 4_096;

/** Bytes of one block that a worker has under way to another. */
export const dataWindowBytes = 4 << 20;

/** A connection to a data port that carries nothing for this long is closed by who dialled... */
export const dataIdleMs = 15_000;

/** ...and after this by who was dialled; so is one whose peer says nothing for so long while it is sent a block. */
export const dataServerIdleMs = 60_000;

/** A connection to a data port stands within this time, or the block is asked for elsewhere. */
export const dataDialTimeoutMs = 4_000;

/** Somebody who sends a block is given up when nothing at all came for this long. */
export const dataSilenceMs = 8_000;

/** No piece of a block for this long, and it is asked for elsewhere: its sender lives, but cannot read it. */
export const dataPieceTimeoutMs = 30_000;

/** Connections of a data port are looked after this often. */
export const dataTickMs = 1_000;

/** A block is asked for again on a new connection this often without a byte between. */
export const dataTriesLimit = 3;

/** Before the second try; doubled for the third. */
export const dataRetryDelayMs = 50;
