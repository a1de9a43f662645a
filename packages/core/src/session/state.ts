import type { Hello, SessionEvent } from "./events.ts";
import { FrameQueue } from "./frameQueue.ts";
import type { VersionRange } from "./versions.ts";

/** new: no connection yet; away: it broke and may come back. */
export type SessionPhase = "new" | "open" | "away" | "closed";

export interface SessionLimits {
  /** Frames that may stay without an acknowledgement. */
  readonly ackFrames: number;
  /** Bytes that may stay without an acknowledgement. */
  readonly ackBytes: number;
  /** Bytes kept for a peer that does not acknowledge them; more ends the session. */
  readonly retainedBytesLimit: number;
}

export const defaultSessionLimits: SessionLimits = {
  ackFrames: 64,
  ackBytes: 1 << 20,
  retainedBytesLimit: 512 << 20,
};

/**
 * One end of a session. Frames are numbered from 1 in each direction; the frames themselves stay with the
 * owner, who knows them by their numbers.
 */
export interface SessionState {
  readonly versions: VersionRange;
  readonly limits: SessionLimits;
  /** Known from the start on the side that names it, from the first hello on the other. */
  session: string | undefined;
  /** The version spoken on the present connection. */
  version: number | undefined;
  phase: SessionPhase;
  /** The last frame that the owner gave. */
  lastGiven: number;
  /** The last frame that was sent on any connection; those after it wait for one. */
  lastTransmitted: number;
  /** The last frame of ours that the peer has. */
  lastAcknowledged: number;
  /** The last frame of the peer's that was delivered. */
  lastReceived: number;
  /** Bytes of each frame that the peer has not acknowledged. */
  readonly retained: FrameQueue<number>;
  retainedBytes: number;
  /** Frames that came since the last acknowledgement, duplicates included. */
  owedFrames: number;
  owedBytes: number;
  /** The last few changes of phase, for errors. */
  readonly history: string[];
}

/** `session` is given on the side that names it. */
export function newSession(
  versions: VersionRange,
  session?: string,
  limits: SessionLimits = defaultSessionLimits,
): SessionState {
  return {
    versions,
    limits,
    session,
    version: undefined,
    phase: "new",
    lastGiven: 0,
    lastTransmitted: 0,
    lastAcknowledged: 0,
    lastReceived: 0,
    retained: new FrameQueue(),
    retainedBytes: 0,
    owedFrames: 0,
    owedBytes: 0,
    history: ["new"],
  };
}

/** What this side says first on a connection. */
export function helloOf({ versions, session, lastReceived }: SessionState): Hello {
  return { versions, session, lastReceived };
}

/** Which events a phase knows, and where they may lead. */
export const sessionTransitions: Readonly<
  Record<SessionPhase, Partial<Record<SessionEvent["type"], readonly SessionPhase[]>>>
> = {
  new: {
    Connected: ["open", "closed"],
    FrameGiven: ["new", "closed"],
    Forgotten: ["closed"],
    Closed: ["closed"],
  },
  open: {
    Connected: ["open", "closed"],
    Disconnected: ["away"],
    FrameGiven: ["open", "closed"],
    FrameReceived: ["open", "closed"],
    AckReceived: ["open", "closed"],
    Ticked: ["open"],
    Violated: ["closed"],
    Forgotten: ["closed"],
    Closed: ["closed"],
  },
  away: {
    Connected: ["open", "closed"],
    FrameGiven: ["away", "closed"],
    Ticked: ["away"],
    Forgotten: ["closed"],
    Closed: ["closed"],
  },
  closed: {},
};

const historyLimit = 12;

export function remember(state: SessionState, line: string): void {
  state.history.push(line);
  if (state.history.length > historyLimit) state.history.shift();
}

/** How this end came to be where it is: one line. */
export function sessionStory(state: SessionState): string {
  return `session ${state.session ?? "without a name"}: ${state.history.join(" -> ")}; sent ${state.lastTransmitted} of ${state.lastGiven}, acknowledged ${state.lastAcknowledged}, received ${state.lastReceived}`;
}

/** An event that the session's phase does not know: a mistake in the code around it. */
export class SessionEventError extends Error {
  readonly code = "SESSION_EVENT";
  override readonly name = "SessionEventError";

  constructor(state: SessionState, event: string) {
    super(
      `The event ${event} has no meaning while a session is ${state.phase} (${sessionStory(state)}).`,
    );
  }
}

/** Throws where an end contradicts itself: every frame given is acknowledged or retained, and none is both. */
export function checkSessionInvariants(state: SessionState): void {
  const assertThat = (condition: boolean, message: string) => {
    if (!condition) {
      throw new Error(`Session invariant broken: ${message} (${sessionStory(state)}).`);
    }
  };
  const { retained, phase } = state;
  assertThat(state.lastAcknowledged <= state.lastTransmitted, "more is acknowledged than sent");
  assertThat(state.lastTransmitted <= state.lastGiven, "more is sent than was given");
  assertThat(state.owedFrames >= 0 && state.owedBytes >= 0, "fewer than no frames are owed");
  if (phase === "closed") {
    assertThat(retained.size === 0 && state.retainedBytes === 0, "a closed end keeps frames");
    return;
  }
  assertThat(retained.first === state.lastAcknowledged + 1, "an acknowledged frame is retained");
  assertThat(
    retained.size === state.lastGiven - state.lastAcknowledged,
    "a frame that is not acknowledged is not retained",
  );
  let bytes = 0;
  for (let i = 0; i < retained.size; i++) bytes += retained.get(retained.first + i) ?? Number.NaN;
  assertThat(bytes === state.retainedBytes, "the retained bytes are not the sum of their frames");
  assertThat(bytes <= state.limits.retainedBytesLimit, "more is retained than the limit");
  assertThat(
    phase !== "open" || state.lastTransmitted === state.lastGiven,
    "an open end holds back",
  );
  assertThat(phase !== "open" || state.owedFrames < state.limits.ackFrames, "too much is owed");
  assertThat(phase !== "new" || state.lastReceived === 0, "frames came before a connection");
}
