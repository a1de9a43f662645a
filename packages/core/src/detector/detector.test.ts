import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkDetectorInvariants,
  type DetectorEffect,
  type DetectorEvent,
  defaultDetectorLimits,
  newDetector,
  stepDetector,
} from "./detector.ts";

const { tickIntervalMs, silenceLimitMs, resumeGraceMs } = defaultDetectorLimits;

/** A detector with a clock that the test moves. */
class Observer {
  readonly state = newDetector();
  nowMs = 1_000_000;
  readonly effects: (DetectorEffect & { atMs: number })[] = [];

  step(event: DetectorEvent): void {
    const effects: DetectorEffect[] = [];
    stepDetector(this.state, event, effects);
    checkDetectorInvariants(this.state);
    for (const effect of effects) this.effects.push({ ...effect, atMs: this.nowMs });
  }

  tick(gapMs = tickIntervalMs): void {
    this.nowMs += gapMs;
    this.step({ type: "Ticked", nowMs: this.nowMs });
  }

  /** Ticks for so long; says when the peer died, counted from now. */
  deathWithin(limitMs: number, peer = "a"): number | undefined {
    const fromMs = this.nowMs;
    while (this.nowMs - fromMs < limitMs) {
      this.tick();
      const dead = this.effects.find((effect) => effect.type === "Dead" && effect.peer === peer);
      if (dead !== undefined) return dead.atMs - fromMs;
    }
    return undefined;
  }
}

function watching(...peers: string[]): Observer {
  const observer = new Observer();
  observer.tick();
  for (const peer of peers) observer.step({ type: "Connected", peer });
  return observer;
}

describe("the failure detector", () => {
  it("finds a silent peer within 10 s and not before its limit, and suspects it first", () => {
    const observer = watching("a", "b");
    const fromMs = observer.nowMs;
    for (let i = 0; i < 24; i++) {
      observer.step({ type: "Heard", peer: "b" });
      observer.tick();
    }
    expect(observer.effects).toEqual([
      { type: "Suspect", peer: "a", atMs: expect.any(Number) },
      {
        type: "Dead",
        peer: "a",
        reason: "nothing was heard of it for 8 s",
        atMs: expect.any(Number),
      },
    ]);
    const [suspected, dead] = observer.effects.map((effect) => effect.atMs - fromMs);
    expect(suspected).toBeLessThan(5_100);
    expect(dead).toBeGreaterThanOrEqual(silenceLimitMs);
    expect(dead).toBeLessThan(10_000);
    expect([...observer.state.peers.keys()]).toEqual(["b"]);
  });

  it("gives a broken connection its time to come back, each time", () => {
    const observer = watching("a");
    for (let i = 0; i < 5; i++) {
      observer.step({ type: "Disconnected", peer: "a" });
      expect(observer.deathWithin(resumeGraceMs)).toBeUndefined();
      observer.step({ type: "Connected", peer: "a" });
    }
    observer.step({ type: "Disconnected", peer: "a" });
    const diedMs = observer.deathWithin(10_000);
    expect(diedMs).toBeGreaterThanOrEqual(resumeGraceMs);
    expect(diedMs).toBeLessThan(resumeGraceMs + 2 * tickIntervalMs);
    expect(observer.effects.map((effect) => effect.type).join(" ")).toBe(
      "Suspect Trust Suspect Trust Suspect Trust Suspect Trust Suspect Trust Suspect Dead",
    );
  });

  it("gives no new time to a silent peer because its connection breaks in the end", () => {
    const observer = watching("a");
    const fromMs = observer.nowMs;
    expect(observer.deathWithin(silenceLimitMs - tickIntervalMs)).toBeUndefined();
    observer.step({ type: "Disconnected", peer: "a" });
    observer.deathWithin(silenceLimitMs);
    const dead = observer.effects.find(({ type }) => type === "Dead");
    expect((dead?.atMs ?? Number.NaN) - fromMs).toBeLessThanOrEqual(10_000);
  });

  it("blames nobody for the time in which the observer stood still or its clock was set", () => {
    for (const gapMs of [60_000, 3_600_000, -60_000, -1]) {
      const observer = watching("a", "b");
      observer.step({ type: "Disconnected", peer: "b" });
      for (let i = 0; i < 4; i++) observer.tick();
      observer.tick(gapMs);
      // What they said meanwhile is read now.
      observer.step({ type: "Heard", peer: "a" });
      observer.step({ type: "Connected", peer: "b" });
      for (let i = 0; i < 4; i++) observer.tick();
      expect(observer.effects.filter((effect) => effect.type === "Dead")).toEqual([]);
    }
  });

  it("finds the dead although it stumbles all the time", () => {
    const observer = watching("a");
    let ticks = 0;
    while (observer.state.peers.size > 0 && ticks < 100) {
      observer.tick(5_000);
      ticks++;
    }
    expect(ticks).toBeLessThan(silenceLimitMs / tickIntervalMs + 5);
  });

  it("ignores words about those it does not know", () => {
    const observer = watching();
    for (const type of ["Heard", "Disconnected", "Removed"] as const) {
      observer.step({ type, peer: "nobody" });
    }
    observer.step({ type: "Connected", peer: "a" });
    observer.step({ type: "Removed", peer: "a" });
    expect(observer.deathWithin(20_000)).toBeUndefined();
    expect(observer.effects).toEqual([]);
  });

  it("never gives up who is heard in time, and always who is not, whatever the clock does", () => {
    const steps = fc.array(
      fc.record({
        gapMs: fc.oneof(
          { weight: 20, arbitrary: fc.integer({ min: 400, max: 900 }) },
          { weight: 1, arbitrary: fc.integer({ min: -10_000, max: 10_000 }) },
        ),
        drop: fc.boolean(),
        heardAgain: fc.boolean(),
      }),
      { minLength: 40, maxLength: 120 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const observer = watching("alive", "flapping", "dead");
        for (const { gapMs, drop, heardAgain } of all) {
          observer.step({ type: "Heard", peer: "alive" });
          if (heardAgain) observer.step({ type: "Heard", peer: "alive" });
          if (drop) observer.step({ type: "Disconnected", peer: "flapping" });
          observer.step({ type: "Connected", peer: "flapping" });
          observer.tick(gapMs);
        }
        expect([...observer.state.peers.keys()]).toEqual(["alive", "flapping"]);
        const gone = observer.effects.filter((effect) => effect.type === "Dead");
        expect(gone.map((effect) => effect.peer)).toEqual(["dead"]);
      }),
      { numRuns: 500 },
    );
  });
});
