/**
 * The failure detector: which peers are to be believed gone. A pure machine that counts the time it has itself
 * observed, tick by tick: where the observer stood still (stopped, suspended) or its clock was set, no peer is
 * blamed for the time between.
 */

export interface DetectorLimits {
  /** The owner ticks this often. */
  readonly tickIntervalMs: number;
  /** A peer that was not heard for this long is suspect. */
  readonly suspectAfterMs: number;
  /** A peer that was not heard for this long is dead: with two ticks more, within 10 s. */
  readonly silenceLimitMs: number;
  /** A peer whose connection broke is dead when it is not back within this. */
  readonly resumeGraceMs: number;
}

export const defaultDetectorLimits: DetectorLimits = {
  tickIntervalMs: 500,
  suspectAfterMs: 4_000,
  silenceLimitMs: 8_000,
  resumeGraceMs: 2_000,
};

export type DetectorEvent =
  /** A new peer, or one that is back. */
  | { readonly type: "Connected"; readonly peer: string }
  | { readonly type: "Disconnected"; readonly peer: string }
  | { readonly type: "Heard"; readonly peer: string }
  /** The peer is nobody's concern any more. */
  | { readonly type: "Removed"; readonly peer: string }
  /** `nowMs` by any clock of the owner's, also one that is set. */
  | { readonly type: "Ticked"; readonly nowMs: number };

export type DetectorEffect =
  | { readonly type: "Suspect"; readonly peer: string }
  | { readonly type: "Trust"; readonly peer: string }
  /** The peer is given up and forgotten; later words of it mean nothing. */
  | { readonly type: "Dead"; readonly peer: string; readonly reason: string };

export interface PeerWatch {
  isConnected: boolean;
  isSuspect: boolean;
  /** Heard since the last tick. */
  isFresh: boolean;
  /** Observed time at the first tick after it was last heard. */
  heardAtMs: number;
  /** Observed time at the first tick after its connection broke; undefined before it. */
  awaySinceMs: number | undefined;
  /** It was spared once because the observer stood still, and was not heard since. */
  wasSpared: boolean;
}

export interface DetectorState {
  readonly limits: DetectorLimits;
  readonly peers: Map<string, PeerWatch>;
  /** Time that the observer was awake, as far as its ticks tell. */
  observedMs: number;
  lastTickMs: number | undefined;
}

export function newDetector(limits: DetectorLimits = defaultDetectorLimits): DetectorState {
  return { limits, peers: new Map(), observedMs: 0, lastTickMs: undefined };
}

/** Applies one event; words about peers that were removed or found dead are ignored. */
export function stepDetector(
  state: DetectorState,
  event: DetectorEvent,
  effects: DetectorEffect[],
): void {
  if (event.type === "Ticked") {
    ticked(state, event.nowMs, effects);
    return;
  }
  const { peer } = event;
  if (event.type === "Removed") {
    state.peers.delete(peer);
    return;
  }
  let watch = state.peers.get(peer);
  if (event.type === "Connected" && watch === undefined) {
    watch = newWatch(state);
    state.peers.set(peer, watch);
  }
  if (watch === undefined) return;
  if (event.type === "Disconnected") {
    if (!watch.isConnected) return;
    watch.isConnected = false;
    watch.awaySinceMs = undefined;
    watch.wasSpared = false;
    suspect(peer, watch, effects);
    return;
  }
  // Words that were under way when the connection broke do not bring it back.
  if (event.type === "Heard" && !watch.isConnected) return;
  watch.isConnected = true;
  watch.isFresh = true;
  watch.wasSpared = false;
  if (!watch.isSuspect) return;
  watch.isSuspect = false;
  effects.push({ type: "Trust", peer });
}

function newWatch({ observedMs }: DetectorState): PeerWatch {
  return {
    isConnected: true,
    isSuspect: false,
    isFresh: true,
    heardAtMs: observedMs,
    awaySinceMs: undefined,
    wasSpared: false,
  };
}

function suspect(peer: string, watch: PeerWatch, effects: DetectorEffect[]): void {
  if (watch.isSuspect) return;
  watch.isSuspect = true;
  effects.push({ type: "Suspect", peer });
}

function ticked(state: DetectorState, nowMs: number, effects: DetectorEffect[]): void {
  const { tickIntervalMs } = state.limits;
  const gapMs = nowMs - (state.lastTickMs ?? nowMs);
  state.lastTickMs = nowMs;
  // A step of the clock, either way, or a pause of ours: one interval is all that surely passed.
  const stoodStill = gapMs > 2 * tickIntervalMs || gapMs < 0;
  state.observedMs += stoodStill ? tickIntervalMs : gapMs;
  for (const [peer, watch] of state.peers) judge(state, peer, watch, stoodStill, effects);
}

function judge(
  state: DetectorState,
  peer: string,
  watch: PeerWatch,
  stoodStill: boolean,
  effects: DetectorEffect[],
): void {
  const { limits, observedMs } = state;
  if (watch.isFresh) {
    watch.isFresh = false;
    watch.heardAtMs = observedMs;
  }
  if (!watch.isConnected) watch.awaySinceMs ??= observedMs;
  // What it said meanwhile may wait unread behind this tick. Once only: an observer that always stumbles
  // must still find the dead.
  if (stoodStill && !watch.wasSpared) spare(state, watch);
  const silentMs = observedMs - watch.heardAtMs;
  const awayMs = observedMs - (watch.awaySinceMs ?? observedMs);
  if (!watch.isConnected && awayMs >= limits.resumeGraceMs) {
    const seconds = limits.resumeGraceMs / 1000;
    bury(state, peer, `its connection broke and did not come back within ${seconds} s`, effects);
  } else if (silentMs >= limits.silenceLimitMs) {
    // Also where its connection broke in the end: that is no new chance for one that was silent before.
    bury(state, peer, `nothing was heard of it for ${limits.silenceLimitMs / 1000} s`, effects);
  } else if (silentMs >= limits.suspectAfterMs) {
    suspect(peer, watch, effects);
  }
}

/** Leaves the peer at least two ticks more. */
function spare({ limits, observedMs }: DetectorState, watch: PeerWatch): void {
  watch.wasSpared = true;
  const leftMs = 2 * limits.tickIntervalMs;
  watch.heardAtMs = Math.max(watch.heardAtMs, observedMs - limits.silenceLimitMs + leftMs);
  if (watch.awaySinceMs === undefined) return;
  watch.awaySinceMs = Math.max(watch.awaySinceMs, observedMs - limits.resumeGraceMs + leftMs);
}

function bury(state: DetectorState, peer: string, reason: string, effects: DetectorEffect[]): void {
  state.peers.delete(peer);
  effects.push({ type: "Dead", peer, reason });
}

/** Throws where the state contradicts itself: nobody that is kept is over a limit. */
export function checkDetectorInvariants(state: DetectorState): void {
  const { limits, observedMs } = state;
  for (const [peer, watch] of state.peers) {
    const assertThat = (condition: boolean, message: string) => {
      if (!condition) throw new Error(`Detector invariant broken: ${peer} ${message}.`);
    };
    assertThat(watch.heardAtMs <= observedMs, "was heard in the future");
    assertThat(
      watch.isFresh || !watch.isConnected || observedMs - watch.heardAtMs < limits.silenceLimitMs,
      "is kept although it was silent too long",
    );
    assertThat(
      watch.isConnected ||
        watch.awaySinceMs === undefined ||
        observedMs - watch.awaySinceMs < limits.resumeGraceMs,
      "is kept although it was away too long",
    );
    assertThat(watch.isConnected || watch.isSuspect, "is away and trusted");
  }
}
