/**
 * A session: numbered, acknowledged frames over connections that come and go. The same pure machine stands at
 * both ends. After a broken connection each side says what it has; what is missing is sent again, in order, so
 * that each frame is delivered once.
 */
import type { Hello, SessionEffect, SessionEnd, SessionEvent } from "./events.ts";
import { remember, SessionEventError, type SessionState, sessionTransitions } from "./state.ts";
import { commonVersion, formatVersions, versionRefusal } from "./versions.ts";

/** Applies one event; effects are pushed in the order in which they must be carried out. */
export function stepSession(
  state: SessionState,
  event: SessionEvent,
  effects: SessionEffect[],
): void {
  const { phase } = state;
  const targets = sessionTransitions[phase][event.type];
  if (targets === undefined) throw new SessionEventError(state, event.type);
  apply(state, event, effects);
  if (state.phase === phase && event.type !== "Connected") return;
  if (!targets.includes(state.phase)) throw new SessionEventError(state, event.type);
  remember(state, `${event.type}: ${state.phase}`);
}

function apply(state: SessionState, event: SessionEvent, effects: SessionEffect[]): void {
  switch (event.type) {
    case "FrameGiven":
      frameGiven(state, event.bytes, effects);
      return;
    case "FrameReceived":
      frameReceived(state, event, effects);
      return;
    case "AckReceived":
      acknowledged(state, event.acknowledged, effects);
      return;
    case "Ticked":
      if (state.phase === "open" && state.owedFrames > 0) acknowledge(state, effects);
      return;
    case "Connected":
      connected(state, event.hello, effects);
      return;
    case "Disconnected":
      state.phase = "away";
      return;
    case "Violated":
      end(state, "protocol", event.reason, effects);
      return;
    case "Forgotten":
      end(state, "forgotten", event.reason, effects);
      return;
    case "Closed":
      end(state, "closed", event.reason, effects);
  }
}

function frameGiven(state: SessionState, bytes: number, effects: SessionEffect[]): void {
  if (state.retainedBytes + bytes > state.limits.retainedBytesLimit) {
    const reason =
      state.phase === "open"
        ? "the peer does not read what it is sent"
        : "too much waits for a peer that is away";
    end(state, "limit", reason, effects);
    return;
  }
  state.lastGiven++;
  state.retained.push(bytes);
  state.retainedBytes += bytes;
  if (state.phase === "open") transmit(state, state.lastGiven, effects);
}

function transmit(state: SessionState, sequence: number, effects: SessionEffect[]): void {
  state.lastTransmitted = Math.max(state.lastTransmitted, sequence);
  owesNothing(state);
  effects.push({ type: "Transmit", sequence, acknowledged: state.lastReceived });
}

function owesNothing(state: SessionState): void {
  state.owedFrames = 0;
  state.owedBytes = 0;
}

function acknowledge(state: SessionState, effects: SessionEffect[]): void {
  owesNothing(state);
  effects.push({ type: "Acknowledge", acknowledged: state.lastReceived });
}

function frameReceived(
  state: SessionState,
  event: Extract<SessionEvent, { type: "FrameReceived" }>,
  effects: SessionEffect[],
): void {
  const expected = state.lastReceived + 1;
  if (!(event.sequence <= expected && event.sequence >= 1)) {
    const reason = `frame ${event.sequence} came where ${expected} was next`;
    end(state, "protocol", reason, effects);
    return;
  }
  if (!acknowledged(state, event.acknowledged, effects)) return;
  // A duplicate is owed an acknowledgement as well: its sender does not know that it is one.
  state.owedFrames++;
  state.owedBytes += event.bytes;
  if (event.sequence === expected) {
    state.lastReceived = event.sequence;
    effects.push({ type: "Deliver", sequence: event.sequence });
  }
  const { ackFrames, ackBytes } = state.limits;
  if (state.owedFrames >= ackFrames || state.owedBytes >= ackBytes) acknowledge(state, effects);
}

/** Lets go of what the peer has; false where it cannot have it, which ends the session. */
function acknowledged(state: SessionState, through: number, effects: SessionEffect[]): boolean {
  if (!(through <= state.lastTransmitted && through >= 0)) {
    const reason = `frame ${through} was acknowledged, and the last that was sent is ${state.lastTransmitted}`;
    end(state, "protocol", reason, effects);
    return false;
  }
  if (through <= state.lastAcknowledged) return true;
  while (state.lastAcknowledged < through) {
    state.retainedBytes -= state.retained.shift() ?? 0;
    state.lastAcknowledged++;
  }
  effects.push({ type: "Forget", through });
  return true;
}

function connected(state: SessionState, hello: Hello, effects: SessionEffect[]): void {
  const version = commonVersion(state.versions, hello.versions);
  if (version === undefined) {
    const reason = versionRefusal(state.versions, formatVersions(hello.versions));
    end(state, "refused", reason, effects);
    return;
  }
  // Who has never had an answer does not know the name, and has sent and received nothing.
  const isFirst = state.lastReceived === 0 && state.lastAcknowledged === 0;
  const isNameless = hello.session === undefined && isFirst;
  if (state.session !== undefined && hello.session !== state.session && !isNameless) {
    end(state, "forgotten", "the peer does not know this session", effects);
    return;
  }
  if (state.session === undefined && hello.session === undefined) {
    end(state, "protocol", "a session came without a name", effects);
    return;
  }
  // A hello may be older than the last acknowledgement that came on the connection before: that one counts.
  if (!acknowledged(state, hello.lastReceived, effects)) return;
  state.session ??= hello.session;
  state.version = version;
  state.phase = "open";
  for (let sequence = state.retained.first; sequence <= state.lastGiven; sequence++) {
    transmit(state, sequence, effects);
  }
}

function end(state: SessionState, kind: SessionEnd, reason: string, effects: SessionEffect[]) {
  state.phase = "closed";
  while (state.retained.size > 0) state.retained.shift();
  state.retainedBytes = 0;
  owesNothing(state);
  effects.push({ type: "End", end: kind, reason });
}
