/** What a session is told (events, past tense) and what it asks for (effects, imperative). */
import type { VersionRange } from "./versions.ts";

/** What each side says first on every connection. */
export interface Hello {
  readonly versions: VersionRange;
  /** The session that this connection carries on; undefined lets the other side name a new one. */
  readonly session: string | undefined;
  /** The number of the last frame that came from the other side; 0 for none. */
  readonly lastReceived: number;
}

export type SessionEvent =
  /** A connection stands and the peer's hello has come on it. Any earlier connection counts no more. */
  | { readonly type: "Connected"; readonly hello: Hello }
  /** The connection broke without a goodbye. */
  | { readonly type: "Disconnected" }
  /** The owner sends a frame of this many bytes. */
  | { readonly type: "FrameGiven"; readonly bytes: number }
  /** A frame came; `acknowledged` is the last of ours that the peer had received when it sent it. */
  | {
      readonly type: "FrameReceived";
      readonly sequence: number;
      readonly acknowledged: number;
      readonly bytes: number;
    }
  /** An acknowledgement came without a frame. */
  | { readonly type: "AckReceived"; readonly acknowledged: number }
  /** Some time has passed: what came must not stay without an acknowledgement. */
  | { readonly type: "Ticked" }
  /** What came was not the protocol. */
  | { readonly type: "Violated"; readonly reason: string }
  /** The peer says that it does not know this session (any more). */
  | { readonly type: "Forgotten"; readonly reason: string }
  /** One side said goodbye, or its owner gave up. */
  | { readonly type: "Closed"; readonly reason: string };

/** Why a session ended. */
export type SessionEnd = "closed" | "forgotten" | "refused" | "protocol" | "limit";

export type SessionEffect =
  /** Send this frame on the connection; on a new connection the same frame may be asked for again. */
  | { readonly type: "Transmit"; readonly sequence: number; readonly acknowledged: number }
  /** Send an acknowledgement without a frame. */
  | { readonly type: "Acknowledge"; readonly acknowledged: number }
  /** Hand the frame that just came to the owner. */
  | { readonly type: "Deliver"; readonly sequence: number }
  /** The peer has the frames up to this one: their memory is free. */
  | { readonly type: "Forget"; readonly through: number }
  /** It is over: let go of everything, and of the connection. */
  | { readonly type: "End"; readonly end: SessionEnd; readonly reason: string };
