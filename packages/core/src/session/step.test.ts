import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Hello, SessionEffect, SessionEvent } from "./events.ts";
import {
  checkSessionInvariants,
  defaultSessionLimits,
  helloOf,
  newSession,
  type SessionLimits,
  type SessionState,
} from "./state.ts";
import { stepSession } from "./step.ts";

const versions = { min: 2, max: 3 };
const limits: SessionLimits = { ackFrames: 4, ackBytes: 100, retainedBytesLimit: 1_000 };

type Words =
  | { readonly kind: "hello"; readonly hello: Hello }
  | {
      readonly kind: "frame";
      readonly sequence: number;
      readonly acknowledged: number;
      readonly text: string;
    }
  | { readonly kind: "ack"; readonly acknowledged: number };

/** A connection as TCP has them: two streams in order; either end may not know that it is broken. */
class Wire {
  readonly toServer: Words[] = [];
  readonly toClient: Words[] = [];
  isCut = false;
}

/** One end with its owner: what it was given, what was delivered to it. */
class End {
  readonly state: SessionState;
  readonly #outOf: (wire: Wire) => Words[];
  readonly #inTo: (wire: Wire) => Words[];
  readonly given: string[] = [];
  readonly delivered: string[] = [];
  /** The connection that counts. */
  wire: Wire | undefined;
  ended: Extract<SessionEffect, { type: "End" }> | undefined;

  constructor(side: "client" | "server") {
    this.state = newSession(versions, side === "server" ? "s" : undefined, limits);
    this.#outOf = (wire) => (side === "server" ? wire.toClient : wire.toServer);
    this.#inTo = (wire) => (side === "server" ? wire.toServer : wire.toClient);
  }

  step(event: SessionEvent, text = ""): void {
    const effects: SessionEffect[] = [];
    stepSession(this.state, event, effects);
    checkSessionInvariants(this.state);
    for (const effect of effects) this.#perform(effect, text);
  }

  #perform(effect: SessionEffect, text: string): void {
    switch (effect.type) {
      case "Transmit": {
        const { sequence, acknowledged } = effect;
        this.say({ kind: "frame", sequence, acknowledged, text: this.given[sequence - 1] });
        return;
      }
      case "Acknowledge":
        this.say({ kind: "ack", acknowledged: effect.acknowledged });
        return;
      case "Deliver":
        this.delivered.push(text);
        return;
      case "End":
        this.ended = effect;
    }
  }

  say(words: Words, wire = this.wire): void {
    if (wire?.isCut === false) this.#outOf(wire).push(words);
  }

  give(text: string): void {
    this.given.push(text);
    this.step({ type: "FrameGiven", bytes: text.length });
  }

  /** The next words on a wire that counts. */
  read(wire: Wire): Words | undefined {
    return this.#inTo(wire).shift();
  }

  hear(words: Exclude<Words, { kind: "hello" }>): void {
    if (words.kind === "ack") this.step({ type: "AckReceived", acknowledged: words.acknowledged });
    else {
      const { sequence, acknowledged, text } = words;
      this.step({ type: "FrameReceived", sequence, acknowledged, bytes: text.length }, text);
    }
  }

  lose(): void {
    this.wire = undefined;
    if (this.state.phase === "open") this.step({ type: "Disconnected" });
  }
}

/** A client and a server with wires that break between them. */
class Pair {
  readonly client = new End("client");
  readonly server = new End("server");
  /** The wire on which the client has said hello and waits for the answer. */
  dialled: Wire | undefined;
  #wires: Wire[] = [];

  dial(): void {
    this.dialled = new Wire();
    this.#wires.push(this.dialled);
    this.client.say({ kind: "hello", hello: helloOf(this.client.state) }, this.dialled);
  }

  readAtServer(which: number): void {
    const wire = this.#wires.at(-1 - (which % Math.max(1, this.#wires.length)));
    const words = wire && this.server.read(wire);
    if (wire === undefined || words === undefined) return;
    if (words.kind === "hello") {
      const { lastReceived, lastAcknowledged } = this.server.state;
      // A first hello that comes late opens another session, which is not this one's concern.
      if (words.hello.session === undefined && lastReceived + lastAcknowledged > 0) return;
      // The newer connection wins, the older is closed.
      if (this.server.wire !== undefined) this.server.wire.isCut = true;
      this.server.wire = wire;
      this.server.say({ kind: "hello", hello: helloOf(this.server.state) });
      this.server.step({ type: "Connected", hello: words.hello });
    } else if (wire === this.server.wire) {
      this.server.hear(words);
    }
  }

  readAtClient(): void {
    const { client, dialled } = this;
    const answer = dialled && client.read(dialled);
    if (answer?.kind === "hello") {
      client.wire = dialled;
      this.dialled = undefined;
      client.step({ type: "Connected", hello: answer.hello });
      return;
    }
    const words = client.wire && client.read(client.wire);
    if (words !== undefined && words.kind !== "hello") client.hear(words);
  }

  /** Cuts all wires: of what is under way, only the first `kept` words arrive. Nobody is told. */
  cut(kept: number): void {
    for (const wire of this.#wires) {
      wire.isCut = true;
      wire.toServer.length = Math.min(wire.toServer.length, kept);
      wire.toClient.length = Math.min(wire.toClient.length, kept);
    }
    if (this.dialled?.isCut && this.dialled.toClient.length === 0) this.dialled = undefined;
  }

  /** An end finds out that its wire is cut, when it has read what came on it. */
  notice(end: End): void {
    const { wire } = end;
    if (wire?.isCut && (end === this.server ? wire.toServer : wire.toClient).length === 0) {
      end.lose();
    }
  }

  /** No more faults: what both were given must come. */
  settle(): void {
    if (this.dialled?.isCut !== false && this.client.wire?.isCut !== false) {
      this.cut(0);
      this.dial();
    }
    for (let round = 0; round < 2_000; round++) {
      this.readAtServer(0);
      this.readAtClient();
    }
    for (const end of [this.client, this.server]) tick(end);
    for (let round = 0; round < 50; round++) {
      this.readAtServer(0);
      this.readAtClient();
    }
  }
}

const action = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ do: "giveClient" } as const) },
  { weight: 6, arbitrary: fc.constant({ do: "giveServer" } as const) },
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant("readServer" as const), which: fc.nat(2) }),
  },
  { weight: 10, arbitrary: fc.constant({ do: "readClient" } as const) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), kept: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom({ do: "noticeClient" }, { do: "noticeServer" } as const),
  },
  { weight: 3, arbitrary: fc.constant({ do: "dial" } as const) },
  { weight: 2, arbitrary: fc.constantFrom({ do: "tickClient" }, { do: "tickServer" } as const) },
);

function act(pair: Pair, step: { do: string; which?: number; kept?: number }, name: string): void {
  const { client, server } = pair;
  if (step.do === "giveClient") client.give(`c${name}`);
  else if (step.do === "giveServer") server.give(`s${name}`);
  else if (step.do === "readServer") pair.readAtServer(step.which ?? 0);
  else if (step.do === "readClient") pair.readAtClient();
  else if (step.do === "cut") pair.cut(step.kept ?? 0);
  else if (step.do === "noticeClient") pair.notice(client);
  else if (step.do === "noticeServer") pair.notice(server);
  else if (step.do === "dial") pair.dial();
  else tick(step.do === "tickClient" ? client : server);
}

function tick(end: End): void {
  if (end.state.phase !== "new") end.step({ type: "Ticked" });
}

describe("a session over connections that break", () => {
  it("delivers everything exactly once and in order, and then keeps nothing", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200, size: "max" }), (steps) => {
        const pair = new Pair();
        for (const [i, step] of steps.entries()) {
          act(pair, step, String(i));
          const { client, server } = pair;
          expect(server.delivered).toEqual(client.given.slice(0, server.delivered.length));
          expect(client.delivered).toEqual(server.given.slice(0, client.delivered.length));
        }
        pair.settle();
        const { client, server } = pair;
        expect([client.ended, server.ended]).toEqual([undefined, undefined]);
        expect(server.delivered).toEqual(client.given);
        expect(client.delivered).toEqual(server.given);
        expect([client.state.retainedBytes, server.state.retainedBytes]).toEqual([0, 0]);
      }),
      { numRuns: 1_500 },
    );
  });
});

/** An open end that has sent 3 frames and received 2. */
function openEnd(changes: Partial<SessionLimits> = {}): SessionState {
  const state = newSession(versions, "s", { ...defaultSessionLimits, ...changes });
  run(state, { type: "Connected", hello: { versions, session: undefined, lastReceived: 0 } });
  for (let i = 0; i < 3; i++) run(state, { type: "FrameGiven", bytes: 10 });
  for (let sequence = 1; sequence <= 2; sequence++) {
    run(state, { type: "FrameReceived", sequence, acknowledged: 0, bytes: 10 });
  }
  return state;
}

function run(state: SessionState, event: SessionEvent): SessionEffect[] {
  const effects: SessionEffect[] = [];
  stepSession(state, event, effects);
  checkSessionInvariants(state);
  return effects;
}

describe("a session", () => {
  const back = (changes: Partial<Hello> = {}): SessionEvent => ({
    type: "Connected",
    hello: { versions, session: "s", lastReceived: 1, ...changes },
  });

  it("sends again what the peer lacks, and lets go of what it has", () => {
    const state = openEnd();
    run(state, { type: "Disconnected" });
    expect(run(state, { type: "FrameGiven", bytes: 5 })).toEqual([]);
    expect(run(state, back())).toEqual([
      { type: "Forget", through: 1 },
      { type: "Transmit", sequence: 2, acknowledged: 2 },
      { type: "Transmit", sequence: 3, acknowledged: 2 },
      { type: "Transmit", sequence: 4, acknowledged: 2 },
    ]);
  });

  it("drops what came twice, and says so by an acknowledgement", () => {
    const state = openEnd();
    run(state, { type: "Ticked" });
    const replay = { type: "FrameReceived", sequence: 1, acknowledged: 0, bytes: 10 } as const;
    expect(run(state, replay)).toEqual([]);
    expect(run(state, { type: "Ticked" })).toEqual([{ type: "Acknowledge", acknowledged: 2 }]);
    expect(run(state, { type: "Ticked" })).toEqual([]);
  });

  it("acknowledges after so many frames or bytes, or with what it sends", () => {
    const frame = (sequence: number, bytes: number) =>
      ({ type: "FrameReceived", sequence, acknowledged: 0, bytes }) as const;
    const byFrames = openEnd({ ackFrames: 3 });
    expect(run(byFrames, frame(3, 1)).at(-1)).toEqual({ type: "Acknowledge", acknowledged: 3 });
    const byBytes = openEnd({ ackBytes: 100 });
    expect(run(byBytes, frame(3, 100)).at(-1)).toEqual({ type: "Acknowledge", acknowledged: 3 });
    const bySending = openEnd();
    expect(run(bySending, { type: "FrameGiven", bytes: 1 })).toEqual([
      { type: "Transmit", sequence: 4, acknowledged: 2 },
    ]);
    expect(run(bySending, { type: "Ticked" })).toEqual([]);
  });

  const ends: [string, SessionEvent, string, RegExp][] = [
    [
      "a gap",
      { type: "FrameReceived", sequence: 4, acknowledged: 0, bytes: 1 },
      "protocol",
      /^frame 4 came where 3 was next$/,
    ],
    [
      "a number that is none",
      { type: "FrameReceived", sequence: Number.NaN, acknowledged: 0, bytes: 1 },
      "protocol",
      /came where 3/,
    ],
    [
      "an acknowledgement of what was never sent",
      { type: "AckReceived", acknowledged: 4 },
      "protocol",
      /^frame 4 was acknowledged, and the last that was sent is 3$/,
    ],
    ["the same in a hello", back({ lastReceived: 4 }), "protocol", /^frame 4 was acknowledged/],
    ["another session's hello", back({ session: "t" }), "forgotten", /does not know this session/],
    ["a hello of no session", back({ session: undefined }), "forgotten", /does not know/],
    [
      "another protocol",
      back({ versions: { min: 7, max: 9 } }),
      "refused",
      /protocol 2-3, the other 7-9: install the same version/,
    ],
    ["garbage", { type: "Violated", reason: "garbage" }, "protocol", /^garbage$/],
    ["a peer that forgot it", { type: "Forgotten", reason: "gone" }, "forgotten", /^gone$/],
    ["a goodbye", { type: "Closed", reason: "the worker leaves" }, "closed", /worker leaves/],
    [
      "too much that is not acknowledged",
      { type: "FrameGiven", bytes: defaultSessionLimits.retainedBytesLimit },
      "limit",
      /does not read/,
    ],
  ];
  for (const [what, event, end, reason] of ends) {
    it(`ends with a reason at ${what}`, () => {
      const state = openEnd();
      const effects = run(state, event);
      expect(effects).toEqual([{ type: "End", end, reason: expect.stringMatching(reason) }]);
      expect(state.phase).toBe("closed");
    });
  }

  it("takes no acknowledgement of what waits for a connection", () => {
    const state = openEnd();
    run(state, { type: "Disconnected" });
    run(state, { type: "FrameGiven", bytes: 5 });
    expect(run(state, back({ lastReceived: 4 }))).toMatchObject([{ end: "protocol" }]);
  });

  it("speaks the highest version that both know", () => {
    const state = openEnd();
    expect(state.version).toBe(3);
    run(state, back({ versions: { min: 1, max: 2 } }));
    expect(state.version).toBe(2);
  });

  it("tells its story where an event has no meaning", () => {
    const state = openEnd();
    run(state, { type: "Disconnected" });
    const frame = { type: "FrameReceived", sequence: 3, acknowledged: 0, bytes: 1 } as const;
    expect(() => run(state, frame)).toThrow(
      /FrameReceived has no meaning while a session is away \(session s: new -> Connected: open -> Disconnected: away; sent 3 of 3, acknowledged 0, received 2\)/,
    );
    run(state, { type: "Closed", reason: "done" });
    expect(() => run(state, { type: "Closed", reason: "again" })).toThrow(/is closed/);
  });
});
